import assert from "node:assert/strict";
import { configFromFlags, UsageError } from "../../src/config/config.ts";
import { type Flag, FLAGS, isSwitchedOn, type SwitchFlag } from "../../src/config/flags.ts";
import { runCommand } from "../../testing/command.ts";
import { helpText, parseCommandLine, readFlags } from "../../src/config/command_line.ts";

const ROWS: readonly Flag[] = Object.values(FLAGS);

const COLLECTORS: readonly SwitchFlag[] = [
  {
    name: "collector.cpu",
    group: "other",
    description: "Processor time",
    default: true,
    negatable: true,
  },
  {
    name: "collector.memory",
    group: "other",
    description: "Memory",
    default: false,
    negatable: true,
  },
];

Deno.test("parseCommandLine() runs with the defaults when nothing is given", () => {
  const expected = { kind: "run", config: configFromFlags(new Map()) };
  for (const args of [[], ["--"]]) assert.deepEqual(parseCommandLine(args), expected);
});

Deno.test("parseCommandLine() takes a value after white space or after an equals sign", () => {
  const config = configFromFlags(
    new Map([
      ["uri", ["test:///default?a=b"]],
      ["port", ["9204"]],
      ["log", ["-"]],
      ["libvirt.max-abandoned", ["7"]],
      ["web.listen-address", [":1", ":2"]],
      ["once", ["true"]],
    ]),
  );
  const cases = [
    "--uri=test:///default?a=b --port=9204 --log=- --libvirt.max-abandoned=7 --web.listen-address=:1 --web.listen-address=:2 --once",
    "--once --uri test:///default?a=b --port 9204 --log - --libvirt.max-abandoned 7 --web.listen-address :1 --web.listen-address :2",
    "--port 1 --port=9204 --uri test:///default?a=b --log a --log - --libvirt.max-abandoned 7 --web.listen-address :1 --once --web.listen-address=:2",
  ];
  for (const line of cases) {
    assert.deepEqual(parseCommandLine(line.split(" ")), { kind: "run", config });
  }
});

Deno.test("parseCommandLine() gives help before any complaint, and the version only without", () => {
  const help = { kind: "help", text: helpText() };
  for (
    const line of [
      "--help",
      "-h",
      "--once -h",
      "--port x --help",
      "--help --bogus",
      "--version --help word",
    ]
  ) {
    assert.deepEqual(parseCommandLine(line.split(" ")), help, line);
  }
  for (const line of ["--version", "--port 9204 --version", "--once --version"]) {
    assert.deepEqual(parseCommandLine(line.split(" ")), { kind: "version" }, line);
  }
  for (const line of ["--version --bogus", "--version word", "--port x --version"]) {
    assert.throws(() => parseCommandLine(line.split(" ")), UsageError, line);
  }
});

Deno.test("parseCommandLine() refuses a wrong command line in one line with a remedy", () => {
  const cases: readonly [args: readonly string[], message: string][] = [
    [["--prot", "9100"], 'Unknown flag "--prot": try --port'],
    [["--prot=9100"], 'Unknown flag "--prot": try --port'],
    [["-port", "9100"], 'Unknown flag "-port": try --port'],
    [["--log.fromat=json"], 'Unknown flag "--log.fromat": try --log.format'],
    [["--web.listen-adress", ":1"], 'Unknown flag "--web.listen-adress": try --web.listen-address'],
    [["--completely-different"], 'Unknown flag "--completely-different": leave it out'],
    [["-x"], 'Unknown flag "-x": leave it out'],
    [["--no-once"], 'Unknown flag "--no-once": try --once'],
    [["--a\nb"], 'Unknown flag "--a\\nb": leave it out'],
    [["--a\n(Did you mean --b?)"], 'Unknown flag "--a\\n(Did you mean --b?)": leave it out'],
    [["--=x"], 'Unknown flag "--": leave it out'],
    [["--once=true"], "Flag --once takes no value: give --once alone"],
    [
      ["--collector.cpu=false"],
      "Flag --collector.cpu takes no value: give --collector.cpu or --no-collector.cpu alone",
    ],
    [
      ["--no-collector.cpu=1"],
      "Flag --no-collector.cpu takes no value: give --collector.cpu or --no-collector.cpu alone",
    ],
    [["--help=x"], "Flag --help takes no value: give --help alone"],
    [
      ["--once", "true"],
      'Unexpected argument "true": give each setting as a flag, such as --port 9100',
    ],
    [
      ["metrics"],
      'Unexpected argument "metrics": give each setting as a flag, such as --port 9100',
    ],
    [[""], 'Unexpected argument "": give each setting as a flag, such as --port 9100'],
    [
      ["--", "--port"],
      'Unexpected argument "--port": give each setting as a flag, such as --port 9100',
    ],
    [
      ["qemu://user:secret@host/system"],
      'Unexpected argument "qemu://user:***@host/system": give each setting as a flag, such as --port 9100',
    ],
    [["--port"], "Missing value for --port: give one, as in --port VALUE or --port=VALUE"],
    [["--log", "--once"], "Missing value for --log: give one, as in --log VALUE or --log=VALUE"],
    [["--log", "-h"], "Missing value for --log: give one, as in --log VALUE or --log=VALUE"],
    [["--port", "-5"], 'Invalid value "-5" for --port: give a whole number from 1 to 65535'],
    [["--port="], 'Invalid value "" for --port: give a whole number from 1 to 65535'],
    [["--port", ""], 'Invalid value "" for --port: give a whole number from 1 to 65535'],
    [
      ["--uri", "qemu:/system"],
      'Invalid value "qemu:/system" for --uri: give a libvirt connection URI such as qemu:///system, qemu+tls://host/system or test:///default',
    ],
  ];
  for (const [args, message] of cases) {
    assert.throws(() => parseCommandLine(args), new UsageError(message), args.join(" "));
    assert.doesNotMatch(message, /\n/);
  }
});

Deno.test("parseCommandLine() names how to get help at the end of its errors", () => {
  assert.throws(() => parseCommandLine(["--prot"]), {
    name: "UsageError",
    message: 'Unknown flag "--prot": try --port; see --help',
  });
});

Deno.test("readFlags() finds switches that can be negated, the last time counting", () => {
  const cases: readonly [line: string, cpu: boolean, memory: boolean][] = [
    ["--once", true, false],
    ["--no-collector.cpu", false, false],
    ["--collector.memory", true, true],
    ["--no-collector.cpu --collector.cpu", true, false],
    ["--collector.memory --no-collector.memory", true, false],
    ["--no-collector.cpu --collector.memory", false, true],
  ];
  const [cpu, memory] = COLLECTORS;
  assert.ok(cpu !== undefined && memory !== undefined);
  for (const [line, isCpuOn, isMemoryOn] of cases) {
    const given = readFlags(line.split(" "), [...ROWS, ...COLLECTORS]);
    assert.deepEqual([isSwitchedOn(cpu, given), isSwitchedOn(memory, given)], [
      isCpuOn,
      isMemoryOn,
    ]);
  }
});

Deno.test("readFlags() suggests the name of a switch that can be negated", () => {
  assert.throws(
    () => readFlags(["--no-colector.cpu"], [...ROWS, ...COLLECTORS]),
    new UsageError('Unknown flag "--no-colector.cpu": try --no-collector.cpu'),
  );
});

Deno.test("helpText() fits into 96 columns and shows each flag with its default in its group", () => {
  const text = helpText([...ROWS, ...COLLECTORS]);
  const lines = text.split("\n");
  for (const line of lines) assert.ok(line.length <= 96 && line === line.trimEnd(), line);
  // A description goes on in the column where it started.
  const joined = text.replaceAll(/\n {20,}/g, " ");
  for (const flag of ROWS) {
    const pattern = "valueName" in flag
      ? `--${flag.name} <${flag.valueName}> +`
      : `--${flag.name} +`;
    const byDefault = "valueName" in flag && flag.default !== undefined
      ? `(default: ${flag.default})\n`
      : "\n";
    const [start] = new RegExp(`^  (?:-h, )?${pattern}.*\n`, "m").exec(joined) ?? [];
    assert.ok(start?.endsWith(`${flag.description} ${byDefault}`.replace(" \n", "\n")), flag.name);
  }
  assert.match(joined, /^ {2}--\[no-\]collector\.cpu +Processor time \(default: on\)$/m);
  assert.match(joined, /^ {2}--\[no-\]collector\.memory +Memory \(default: off\)$/m);
  assert.doesNotMatch(joined, /--no-/);
  assert.deepEqual(lines.filter((line) => /^[A-Z][a-z ]+:$/.test(line)), [
    "Libvirt:",
    "Domains and their labels:",
    "Collectors:",
    "Web server:",
    "Log:",
    "Other:",
    "Examples:",
  ]);
  assert.ok(
    lines.indexOf("Web server:") < lines.findIndex((line) => line.includes("--port <PORT>")),
  );
});

Deno.test("helpText() gives two examples that are right", () => {
  const examples = helpText().split("\n").filter((line) =>
    line.startsWith("    libvirt_nova_exporter")
  );
  assert.equal(examples.length, 2);
  for (const example of examples) {
    assert.equal(parseCommandLine(example.trim().split(" ").slice(1)).kind, "run");
  }
});

Deno.test("nothing is printed by reading a command line", async () => {
  const script = `
    import { parseCommandLine } from "./src/config/command_line.ts";
    for (const args of [["--help"], ["--version"], ["--prot"], ["--port"], ["word"], ["--port", "x"]]) {
      try { parseCommandLine(args); } catch (error) { if (error.name !== "UsageError") throw error; }
    }
  `;
  const result = await runCommand(Deno.execPath(), ["eval", script], {
    workingDirectory: decodeURIComponent(new URL("../..", import.meta.url).pathname),
  });
  assert.deepEqual(result, { code: 0, output: "", errorOutput: "" });
});
