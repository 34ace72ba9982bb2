// The log of the executable. It is built by `npm run build`.
import assert from "node:assert/strict";
import { succeeds } from "../../testing/command.ts";
import {
  assertNothingRuns,
  createTestFolder,
  requireExecutable,
  startExecutable,
} from "../../testing/executable.ts";
import { DEFAULT_URI } from "../../testing/hypervisor_files.ts";
import { assertServesWithoutLog } from "../../testing/log_failures.ts";
import { valueOf } from "../../testing/parse_page.ts";
import { countLines } from "../../testing/printed_lines.ts";
import { waitUntil } from "../../testing/wait_until.ts";
import { openClient } from "../../testing/web_client.ts";

requireExecutable();

Deno.test("the log says of which target it speaks, and hides the password of its URI", async () => {
  await using folder = await createTestFolder();
  const missing = `${folder.path}/missing`;
  const uri = `qemu+unix://nova:sesame@/system?socket=${missing}`;
  const targets = [`first=${uri}`, `second=${uri}`, "own=test:///default"];
  const args = targets.flatMap((target) => ["--probe.target", target]);
  await using exporter = await startExecutable(["--uri", DEFAULT_URI, "--log", "-", ...args], {
    folder,
  });
  for (const name of ["first", "second", "own"]) await exporter.get(`/probe?target=${name}`);
  const { errorOutput } = await exporter.stop();
  const lines = errorOutput.split("\n").filter((line) => line.includes("is not available"));
  assert.equal(lines.length, 1, errorOutput);
  const shown = `target="first, second" uri="qemu+unix://nova:***@/system?socket=${missing}"`;
  assert.ok(lines[0]?.includes(shown), lines[0]);
});

Deno.test("the log goes to a file in the working directory by default", async () => {
  await using folder = await createTestFolder();
  await using exporter = await startExecutable(["--uri", DEFAULT_URI], { folder });
  await exporter.scrape();
  const { code, errorOutput } = await exporter.stop();
  assert.deepEqual([code, errorOutput], [0, ""]);
  const { mode, isFile } = await Deno.stat(`${folder.path}/libvirt_nova.log`);
  assert.deepEqual([isFile, (mode ?? 0) & 0o777], [true, 0o666 & ~Deno.umask()]);
  const lines = (await folder.read("libvirt_nova.log")).split("\n");
  const expected = [
    /^time=\S+Z level=info message=Started version=\S+ .*uri=test:\/\/\/default .*path=\/metrics$/,
    /^time=\S+Z level=info message=Stopping reason=SIGTERM$/,
    /^time=\S+Z level=info message=Stopped$/,
    /^$/,
  ];
  assert.equal(lines.length, expected.length, lines.join("\n"));
  expected.forEach((pattern, index) => assert.match(lines[index] ?? "", pattern));
});

Deno.test("--log, --log.format and --log.level decide where lines go, how, and which", async () => {
  await using folder = await createTestFolder();
  const logOf = async (...flags: readonly string[]): Promise<readonly [string, string]> => {
    const args = ["--uri", DEFAULT_URI, ...flags];
    await using exporter = await startExecutable(args, { folder });
    const client = await openClient(exporter.ports[0] ?? 0);
    client.send("garbage\r\n\r\n");
    await client.receiveUntilClosed();
    const { code, errorOutput } = await exporter.stop();
    assert.equal(code, 0);
    const file = await folder.has("file.log") ? await folder.read("file.log") : "";
    if (file !== "") await Deno.remove(`${folder.path}/file.log`);
    return [errorOutput, file];
  };
  const messages = (log: string): readonly unknown[] =>
    log.trimEnd().split("\n").map((line) => {
      const { time, level, message } = JSON.parse(line) as Record<string, string>;
      assert.ok(!Number.isNaN(Date.parse(time ?? "")), line);
      return `${level} ${message}`;
    });

  const [onlyErrorOutput, noFile] = await logOf("--log", "-");
  assert.match(onlyErrorOutput, /message=Started/);
  assert.equal(noFile, "");
  const [noErrorOutput, json] = await logOf("--log", "file.log", "--log.format", "json");
  assert.equal(noErrorOutput, "");
  assert.deepEqual(messages(json), ["info Started", "info Stopping", "info Stopped"]);
  const [talk] = await logOf("--log", "-", "--log.format", "json", "--log.level", "debug");
  assert.ok(messages(talk).includes("debug Refused a request"), talk);
  assert.deepEqual(await logOf("--log", "-", "--log.level", "warn"), ["", ""]);
  assert.equal(await folder.has("libvirt_nova.log"), false);
});

Deno.test("a log that cannot be written is reported once, and the exporter serves on", async () => {
  await using folder = await createTestFolder();
  const cases = [
    ["/nonexistent/folder/file.log", /"its directory does not exist"/],
    [folder.path, /"it is a directory/],
    ["/dev/full", /"no space is left on the device"/],
  ] as const;
  for (const [file, reason] of cases) {
    const args = ["--uri", DEFAULT_URI, "--log", file];
    await using exporter = await startExecutable(args, { folder });
    await assertServesWithoutLog(exporter, reason);
  }
});

Deno.test("a log and a standard error that nobody reads cost lines, and no answer", async () => {
  await using folder = await createTestFolder();
  const fifo = `${folder.path}/fifo`;
  assert.ok(await succeeds("mkfifo", fifo));
  // Open for both, as opening it for one waits for the other.
  using _unread = Deno.openSync(fifo, { read: true, write: true });
  const through = ["sh", "-c", `exec "$0" "$@" 2> ${fifo}`];
  for (const log of ["-", fifo]) {
    const args = ["--uri", DEFAULT_URI, "--log", log, "--log.level", "debug"];
    await using exporter = await startExecutable(args, { folder, through });
    // Each makes a line; a pipe takes 64 KiB.
    for (let request = 0; request < 1_000; request++) {
      const client = await openClient(exporter.ports[0] ?? 0);
      client.send("garbage\r\n\r\n");
      assert.equal((await client.receiveUntilClosed()).answers[0]?.status, 400);
    }
    assert.equal(valueOf(await exporter.scrape(), "libvirt_nova_up"), 1);
    assert.equal((await exporter.stop()).code, 0);
  }
});

Deno.test("SIGHUP opens the log anew after it was moved away", async () => {
  await using folder = await createTestFolder();
  await using exporter = await startExecutable(["--uri", DEFAULT_URI], { folder });
  await waitUntil(
    "the log has begun",
    async () => (await folder.read("libvirt_nova.log")).includes("message=Started"),
  );
  await Deno.rename(`${folder.path}/libvirt_nova.log`, `${folder.path}/old.log`);
  exporter.signal("SIGHUP");
  await waitUntil(
    "there is a new log",
    () => folder.has("libvirt_nova.log"),
  );
  await exporter.scrape();
  assert.equal((await exporter.stop()).code, 0);
  assert.equal(countLines(await folder.read("old.log"), "message="), 1);
  assert.match(await folder.read("old.log"), /message=Started/);
  const log = await folder.read("libvirt_nova.log");
  assert.match(log, /"Reopened the log"\n.*message=Stopping.*\n.*message=Stopped\n$/);
});

Deno.test("all these tests leave no process behind", () => assertNothingRuns());
