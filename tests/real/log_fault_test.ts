import assert from "node:assert/strict";
import {
  createTestFolder,
  type ServingExecutable,
  startExecutable,
  type TestFolder,
} from "../../testing/executable.ts";
import { openClient } from "../../testing/web_client.ts";
import { ensureFreezableDisk, type FreezableDisk, mountFreezableDisk } from "./frozen_disk.ts";
import { waitUntil } from "../../testing/wait_until.ts";
import { isAlive } from "../../testing/processes.ts";

const available = await ensureFreezableDisk();

/** The exporter's default for a whole scrape, and what a busy machine may add. */
const SCRAPE_BOUND_MILLISECONDS = 2_250;

const REFUSED = 'message="Refused a request"';
const STALL = 'message="The log file does not take lines';
const END_OF_STALL = 'message="The log file takes lines again';

function start(disk: FreezableDisk, folder: TestFolder): Promise<ServingExecutable> {
  const file = `${disk.path}/file.log`;
  const args = ["--uri", "test:///default", "--log", file, "--log.level", "debug"];
  return startExecutable(args, { folder, through: disk.through });
}

/** The same with its log on standard error, which is a file of the disk. */
function startAppending(disk: FreezableDisk, folder: TestFolder): Promise<ServingExecutable> {
  const through = [...disk.through, "sh", "-c", `exec "$0" "$@" 2>> ${disk.path}/errors`];
  const args = ["--uri", "test:///default", "--log", "-", "--log.level", "debug"];
  return startExecutable(args, { folder, through });
}

/** Has the exporter log a line. */
async function logLine({ ports: [port = 0] }: ServingExecutable): Promise<void> {
  const client = await openClient(port);
  client.send("garbage\r\n\r\n");
  assert.equal((await client.receiveUntilClosed()).answers[0]?.status, 400);
}

/** Has the disk frozen with a line on its way, and the exporter ended. */
async function endWhileFrozen(exporter: ServingExecutable, disk: FreezableDisk): Promise<void> {
  await disk.freeze();
  await logLine(exporter);
  exporter.signal("SIGTERM");
  // The kernel keeps the thread that waits for the disk, and with it what is left of the process, until the thaw.
  await waitUntil("it has ended", () => !isAlive(exporter.processId));
}

async function assertScrapeInTime(exporter: ServingExecutable): Promise<void> {
  const signal = AbortSignal.timeout(SCRAPE_BOUND_MILLISECONDS);
  const { status, body } = await exporter.get("/metrics", { signal });
  assert.equal(status, 200);
  assert.match(body, /^libvirt_nova_up 1$/m);
}

function count(text: string, part: string): number {
  return text.split(part).length - 1;
}

if (available.available) {
  Deno.test("a frozen disk of the log costs no answer and no line", async () => {
    await using folder = await createTestFolder();
    await using disk = await mountFreezableDisk();
    await using exporter = await start(disk, folder);
    const log = (): Promise<string> => Deno.readTextFile(disk.seen("file.log"));
    await waitUntil(
      "the log has begun",
      async () => (await log()).includes("message=Started"),
    );
    await disk.freeze();
    const before = count(await log(), REFUSED);
    for (let line = 0; line < 20; line += 1) await logLine(exporter);
    await assertScrapeInTime(exporter);
    exporter.signal("SIGHUP");
    await assertScrapeInTime(exporter);
    await waitUntil(
      "the stall is told",
      () => exporter.errorOutput().includes(STALL),
    );
    await logLine(exporter);
    await assertScrapeInTime(exporter);
    assert.equal(count(exporter.errorOutput(), REFUSED), 21, exporter.errorOutput());
    assert.equal(count(await log(), REFUSED), before, "the disk was not frozen");
    await disk.thaw();
    await waitUntil(
      "the log was opened anew",
      async () => (await log()).includes("Reopened"),
    );
    const { code, errorOutput } = await exporter.stop();
    assert.equal(code, 0);
    assert.equal(count(errorOutput, STALL), 1, errorOutput);
    assert.equal(count(errorOutput, END_OF_STALL), 1, errorOutput);
    const text = await log();
    assert.equal(count(text, REFUSED), before + 21, text);
    assert.equal(count(text, END_OF_STALL), 1, text);
    assert.match(text, /missingLines=0\n/);
    assert.match(text, /message=Stopping.*\n.*message=Stopped\n$/);
    const times = text.split("\n").slice(0, -1).filter((line) => line.includes(REFUSED))
      .map((line) => line.split(" ")[0]);
    assert.deepEqual(times, times.toSorted());
  });

  Deno.test("a frozen disk that standard error is a file of costs no answer and no line", async () => {
    await using folder = await createTestFolder();
    await using disk = await mountFreezableDisk();
    await using exporter = await startAppending(disk, folder);
    const errors = (): Promise<string> => Deno.readTextFile(disk.seen("errors"));
    await waitUntil("the log has begun", async () => (await errors()).includes("message=Started"));
    await disk.freeze();
    const before = count(await errors(), REFUSED);
    for (let line = 0; line < 20; line += 1) await logLine(exporter);
    await assertScrapeInTime(exporter);
    assert.equal(count(await errors(), REFUSED), before, "the disk was not frozen");
    await disk.thaw();
    assert.equal((await exporter.stop()).code, 0);
    const text = await errors();
    assert.equal(count(text, REFUSED), before + 20, text);
    assert.match(text, /message=Stopping.*\n.*message=Stopped\n$/);
  });

  Deno.test("a frozen disk that standard error is a file of does not hold up the end", async () => {
    await using folder = await createTestFolder();
    await using disk = await mountFreezableDisk();
    await using exporter = await startAppending(disk, folder);
    await endWhileFrozen(exporter, disk);
    await disk.thaw();
    assert.equal((await exporter.ended()).code, 0);
  });

  Deno.test("a frozen disk of the log holds up neither the end nor the last lines", async () => {
    await using folder = await createTestFolder();
    await using disk = await mountFreezableDisk();
    await using exporter = await start(disk, folder);
    await endWhileFrozen(exporter, disk);
    const [port = 0] = exporter.ports;
    await assert.rejects(
      Deno.connect({ hostname: "127.0.0.1", port }),
      Deno.errors.ConnectionRefused,
    );
    await disk.thaw();
    const { code, errorOutput } = await exporter.ended();
    assert.equal(code, 0);
    assert.match(
      errorOutput,
      /message="The log file does not take lines.*not taken the last lines/,
    );
    assert.match(
      errorOutput,
      /message="Refused a request".*\n(.*\n)*.*message=Stopping.*\n.*message=Stopped\n$/,
    );
  });

  Deno.test("it starts and serves while the disk of its log is frozen", async () => {
    await using folder = await createTestFolder();
    await using disk = await mountFreezableDisk();
    await disk.freeze();
    await using exporter = await start(disk, folder);
    await assertScrapeInTime(exporter);
    await disk.thaw();
    await waitUntil("the log has begun", async () => {
      const log = await Deno.readTextFile(disk.seen("file.log")).catch(() => "");
      return log.includes("message=Started");
    });
    assert.equal((await exporter.stop()).code, 0);
  });

  Deno.test("a log that is cut while its disk is full holds whole lines and no zeros", async () => {
    await using folder = await createTestFolder();
    await using disk = await mountFreezableDisk();
    await using exporter = await start(disk, folder);
    const path = disk.seen("file.log");
    const log = (): Promise<string> => Deno.readTextFile(path);
    const assertWholeLines = async (): Promise<void> => {
      assert.match(await log(), /^(time=[^\0\n]*\n)*$/);
    };
    await waitUntil(
      "the log has begun",
      async () => (await log()).includes("message=Started"),
    );
    // More than a block, so that what is cut leaves room behind.
    for (let line = 0; line < 60; line += 1) await logLine(exporter);
    await waitUntil(
      "the lines are there",
      async () => count(await log(), REFUSED) === 60,
    );
    await fill(disk.seen("filler"));
    const failed = (): Promise<boolean> =>
      Promise.resolve(exporter.errorOutput().includes("Cannot write the log file"));
    // What of the last block is free still takes some lines.
    await waitUntil("a line does not fit any more", async () => {
      await logLine(exporter);
      return await failed();
    });
    await assertWholeLines();

    await Deno.remove(disk.seen("filler"));
    exporter.signal("SIGHUP");
    await waitUntil(
      "the log goes on",
      async () => (await log()).includes("Reopened"),
    );
    // As logrotate does with "copytruncate": the exporter keeps its file open.
    await Deno.truncate(path, 0);
    await fill(disk.seen("filler"));
    for (let line = 0; line < 60; line += 1) await logLine(exporter);
    await waitUntil(
      "the lines are told on standard error",
      () => count(exporter.errorOutput(), REFUSED) >= 60,
    );
    await assertWholeLines();

    await Deno.remove(disk.seen("filler"));
    exporter.signal("SIGHUP");
    await waitUntil(
      "the log goes on again",
      async () => (await log()).includes("Reopened"),
    );
    await Deno.truncate(path, 0);
    await logLine(exporter);
    await waitUntil(
      "a line comes first in a file that was cut",
      async () => {
        return (await log()).includes(REFUSED);
      },
    );
    await assertWholeLines();
    assert.equal((await exporter.stop()).code, 0);
    await assertWholeLines();
  });
}

/** Fills the disk of a file to its last byte. */
async function fill(path: string): Promise<void> {
  for (const bytes of [1 << 20, 1 << 12, 1]) {
    using file = await Deno.open(path, { append: true, create: true });
    try {
      for (;;) await file.write(new Uint8Array(bytes));
    } catch (error) {
      assert.match(String(error), /No space left/);
    }
    await file.sync().catch(() => {});
  }
}
