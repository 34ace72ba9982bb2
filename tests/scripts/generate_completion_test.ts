import assert from "node:assert/strict";
import {
  bashCompletion,
  fishCompletion,
  zshCompletion,
} from "../../scripts/generate_completion.ts";
import { ALL_FLAGS, type Flag, ONCE_FORMATS } from "../../src/config/flags.ts";
import { outputOf } from "../../testing/command.ts";
import { LOG_FORMATS, LOG_LEVELS } from "../../src/log/line.ts";

const SAMPLE: readonly Flag[] = [
  {
    name: "uri",
    group: "libvirt",
    valueName: "URI",
    default: "x",
    description: "It's [a] C:\\x",
    parse: String,
  },
  {
    name: "log",
    group: "log",
    valueName: "FILE",
    default: "-",
    description: "File",
    parse: String,
  },
  {
    name: "log.level",
    group: "log",
    valueName: "LEVEL",
    default: "info",
    description: "Level",
    parse: String,
  },
  {
    name: "web.address",
    group: "web",
    valueName: "ADDRESS",
    default: undefined,
    repeatable: true,
    description: "Where",
    parse: String,
  },
  {
    name: "collector.disk",
    group: "libvirt",
    default: true,
    negatable: true,
    description: "Disks",
  },
  { name: "help", letter: "h", group: "other", default: false, description: "Help" },
];

/** What Bash offers for the last of some words. */
async function offered(
  flags: readonly Flag[],
  words: readonly string[],
): Promise<readonly string[]> {
  const script = `${bashCompletion(flags)}
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    _libvirt_nova_exporter
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const parameters = ["-c", script, "bash", "libvirt_nova_exporter", ...words];
  return (await outputOf("bash", parameters)).split("\n").filter((line) => line !== "");
}

Deno.test("Bash offers the flags, and the values of those that have a choice", async () => {
  const cases: readonly (readonly [readonly string[], readonly string[]])[] = [
    [["--log"], ["--log", "--log.level"]],
    [["--log.level", ""], ["debug", "info", "warn", "error"]],
    [["--log.level", "="], ["debug", "info", "warn", "error"]],
    [["--log.level", "=", "d"], ["debug"]],
    [["--uri", "x"], []],
    [["--log", "/etc/host"], ["/etc/hostname", "/etc/hosts"]],
    [["--no"], ["--no-collector.disk"]],
    [["--help", "--coll"], ["--collector.disk"]],
    [["-h"], ["-h"]],
  ];
  for (const [words, expected] of cases) {
    const found = await offered(SAMPLE, words);
    if (words[0] === "--log" && words.length > 1) {
      for (const file of expected.slice(1)) assert.ok(found.includes(file), `${found}`);
    } else assert.deepEqual(found, expected, words.join(" "));
  }
});

Deno.test("Bash offers what each flag of the program takes", async () => {
  const cases = [
    ["--log.format", LOG_FORMATS],
    ["--log.level", LOG_LEVELS],
    ["--format", ONCE_FORMATS],
  ] as const;
  for (const [flag, values] of cases) {
    assert.deepEqual(await offered(ALL_FLAGS, [flag, ""]), [...values], flag);
  }
});

Deno.test("Bash offers every flag of the program", async () => {
  const names = ALL_FLAGS.map(({ name }) => `--${name}`);
  const found = await offered(ALL_FLAGS, ["--"]);
  assert.deepEqual(found.filter((name) => !name.startsWith("--no-")), names);
});

Deno.test("zshCompletion() quotes what Zsh would take for its own", () => {
  const lines = zshCompletion(SAMPLE).split("\n");
  assert.equal(lines[0], "#compdef libvirt_nova_exporter");
  assert.deepEqual(lines.slice(3, -1).map((line) => line.replace(/ \\$/, "").trim()), [
    `'--uri=[It'\\''s \\[a\\] C\\:\\\\x]:uri: '`,
    "'--log=[File]:file:_files'",
    "'--log.level=[Level]:level:(debug info warn error)'",
    "'*--web.address=[Where]:address: '",
    "'--collector.disk[Disks]'",
    "'--no-collector.disk[Not\\: Disks]'",
    "'(-h --help)'{-h,--help}'[Help]'",
  ]);
});

Deno.test("fishCompletion() quotes what fish would take for its own", () => {
  assert.deepEqual(fishCompletion(SAMPLE).trimEnd().split("\n").slice(2), [
    "complete -c libvirt_nova_exporter -l uri -x -d 'It\\'s [a] C:\\\\x'",
    "complete -c libvirt_nova_exporter -l log -r -F -d 'File'",
    "complete -c libvirt_nova_exporter -l log.level -x -a 'debug info warn error' -d 'Level'",
    "complete -c libvirt_nova_exporter -l web.address -x -d 'Where'",
    "complete -c libvirt_nova_exporter -l collector.disk -d 'Disks'",
    "complete -c libvirt_nova_exporter -l no-collector.disk -d 'Not: Disks'",
    "complete -c libvirt_nova_exporter -s h -l help -d 'Help'",
  ]);
});
