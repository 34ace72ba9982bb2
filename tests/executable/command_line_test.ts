// The executable's command line: what ends at once, and what it says. It is built by `npm run build`.
import assert from "node:assert/strict";
import {
  assertNothingRuns,
  createTestFolder,
  requireExecutable,
  runExecutable,
  startExecutable,
  type TestFolder,
} from "../../testing/executable.ts";
import { DEFAULT_URI } from "../../testing/hypervisor_files.ts";
import { assertOneLine } from "../../testing/printed_lines.ts";
import { waitUntil } from "../../testing/wait_until.ts";

requireExecutable();

/** A command that finds no usable client library of libvirt. */
async function withoutClientLibrary(folder: TestFolder): Promise<Readonly<Record<string, string>>> {
  await folder.write("libvirt.so.0", "not a library\n");
  return { LD_LIBRARY_PATH: folder.path };
}

Deno.test("a missing executable is reported with the command that builds it", () => {
  assert.throws(() => requireExecutable("/nonexistent/exporter"), /: run npm run build$/);
});

Deno.test("help and version need neither libvirt nor a temporary folder", async () => {
  await using folder = await createTestFolder();
  const environment = { ...await withoutClientLibrary(folder), TMPDIR: "/nonexistent" };
  const cases = [["--help", /^Usage: /], ["-h", /^Usage: /], [
    "--version",
    /^libvirt_nova_exporter \d+\.\d+\.\d+ \(.*\)\n$/,
  ]] as const;
  for (const [flag, expected] of cases) {
    const { code, output, errorOutput } = await runExecutable([flag], { folder, environment });
    assert.match(output, expected);
    assert.deepEqual([code, errorOutput], [0, ""], flag);
  }
});

Deno.test("a wrong command line ends with 2 and one line that names flag, value and remedy", async () => {
  await using folder = await createTestFolder();
  const cases: readonly (readonly [args: readonly string[], parts: readonly string[]])[] = [
    [["--prot", "9100"], [`"--prot"`, "try --port"]],
    [["-port", "9100"], [`"-port"`, "try --port"]],
    [["--port", "0"], ["--port", `"0"`, "from 1 to 65535"]],
    [["--port", "70000"], ["--port", `"70000"`, "from 1 to 65535"]],
    [["--port=abc"], ["--port", `"abc"`, "from 1 to 65535"]],
    [["--port"], ["--port", "Missing value", "--port VALUE"]],
    [["--port", "--once"], ["--port", "Missing value", "--port VALUE"]],
    [["--path", "metrics"], ["--path", `"metrics"`, "such as /metrics"]],
    [["--web.telemetry-path", "metrics"], ["--web.telemetry-path", `"metrics"`, "/metrics"]],
    [["--path=/a", "--web.telemetry-path=/b"], ["--path", `"/a"`, `"/b"`, "give one"]],
    [["--web.listen-address", "localhost"], ["--web.listen-address", `"localhost"`, ":9100"]],
    [["--uri", "qemu"], ["--uri", `"qemu"`, "qemu:///system"]],
    [["--uri", ""], ["--uri", `""`, "qemu:///system"]],
    [["--libvirt.timeout", "5x"], ["--libvirt.timeout", `"5x"`, "such as 500ms"]],
    [["--libvirt.timeout", "1ms"], ["--libvirt.timeout", `"1ms"`, "from 50ms to 10m"]],
    [["--log.level", "loud"], ["--log.level", `"loud"`, "debug, info, warn, error"]],
    [["--log.format", "xml"], ["--log.format", `"xml"`, "logfmt, json"]],
    [["--once=yes"], ["--once", "takes no value"]],
    [["9100"], [`"9100"`, "as a flag"]],
    [["--", "9100"], [`"9100"`, "as a flag"]],
    [["--port", "1\n2"], ["--port", `"1\\n2"`]],
  ];
  for (const [args, parts] of cases) {
    const { code, output, errorOutput } = await runExecutable(args, { folder });
    assert.deepEqual([code, output], [2, ""], args.join(" "));
    assertOneLine(errorOutput, /^libvirt_nova_exporter: .*; see --help$/m, ...parts);
  }
  assert.equal(await folder.has("libvirt_nova.log"), false, "no log for a wrong command line");
});

Deno.test("a standard error that cannot be written does not change the exit code", async () => {
  await using folder = await createTestFolder();
  const through = ["sh", "-c", 'exec "$0" "$@" 2> /dev/full'];
  const { code, output } = await runExecutable(["--port", "0"], { folder, through });
  assert.deepEqual([code, output], [2, ""]);
});

Deno.test("without libvirt's client library one line names the packages to install", async () => {
  await using folder = await createTestFolder();
  const environment = await withoutClientLibrary(folder);
  for (const args of [["--once"], ["--web.listen-address", "127.0.0.1:0", "--log", "-"]]) {
    const outcome = await runExecutable([...args, "--uri", DEFAULT_URI], { folder, environment });
    assert.deepEqual([outcome.code, outcome.output], [1, ""]);
    const packages = [/"libvirt0" \(Debian/, /"libvirt-libs" \(RHEL.*Alpine\)/];
    assertOneLine(outcome.errorOutput, "libvirt.so.0", ...packages);
  }
});

Deno.test("a port in use ends it with one line that names the address and suggests another", async () => {
  await using folder = await createTestFolder();
  using occupant = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = occupant.addr;
  const cases = [
    [["--port", `${port}`], `"*:${port}"`],
    [["--web.listen-address", `127.0.0.1:${port}`], `"127.0.0.1:${port}"`],
    [
      ["--web.listen-address", "127.0.0.1:0", "--web.listen-address", `127.0.0.1:${port}`],
      `"127.0.0.1:${port}"`,
    ],
  ] as const;
  for (const [args, address] of cases) {
    const outcome = await runExecutable([...args, "--uri", DEFAULT_URI, "--log", "-"], { folder });
    assert.deepEqual([outcome.code, outcome.output], [1, ""]);
    assertOneLine(outcome.errorOutput, address, "in use", "--port");
  }
});

Deno.test("a password in the URI is shown nowhere", async () => {
  await using folder = await createTestFolder();
  const uri = "qemu+tcp://user:sesame@127.0.0.1:1/system";
  const wrong = await runExecutable(["--uri", `${uri}#`], { folder });
  assertOneLine(wrong.errorOutput, ":***@127.0.0.1");
  await using exporter = await startExecutable(["--uri", uri, "--log", "-"], { folder });
  const { body } = await exporter.get("/metrics");
  const { errorOutput } = await exporter.stop();
  assert.match(errorOutput, /user:\*\*\*@/);
  assert.doesNotMatch(`${wrong.errorOutput}${errorOutput}${body}`, /sesame/);
});

Deno.test("a password that ssh repeats in its complaints is shown nowhere", async () => {
  await using folder = await createTestFolder();
  // ssh gets the user and the password as the name to log in with, and says so when it is refused. It reads what libvirt sends
  // first, else libvirt may fail at writing and not read the complaint.
  const ssh = await folder.write(
    "ssh",
    '#!/bin/sh\necho "$2@127.0.0.1: denied" >&2\nhead -c 28 >/dev/null\nexit 255\n',
  );
  await Deno.chmod(ssh, 0o755);
  const uri = `qemu+ssh://user:sesame@127.0.0.1/system?command=${ssh}`;
  const target = ["--probe.target", `other=${uri}&x=1`];
  const args = ["--uri", uri, ...target, "--log", "-", "--log.level", "debug"];
  await using exporter = await startExecutable(args, { folder });
  await waitUntil(
    "ssh has complained",
    async () => (await exporter.get("/-/ready")).body.includes("user:***@127.0.0.1: denied"),
  );
  const paths = ["/", "/metrics", "/-/ready", "/probe?target=other", "/probe?target=qemu"];
  const pages = await Promise.all(paths.map((path) => exporter.get(path)));
  assert.match(pages[0]?.body ?? "", /user:\*\*\*@127\.0\.0\.1: denied/);
  const { errorOutput } = await exporter.stop();
  assert.match(errorOutput, /user:\*\*\*@127\.0\.0\.1: denied/);
  const all = [
    errorOutput,
    ...pages.map(({ body, headers }) => body + JSON.stringify([...headers])),
  ];
  assert.doesNotMatch(all.join("\n"), /sesame/);
  const once = await runExecutable(["--once", "--format", "table", "--uri", uri], { folder });
  assert.doesNotMatch(`${once.output}${once.errorOutput}`, /sesame/);
});

Deno.test("all these tests leave no process behind", () => assertNothingRuns());
