import assert from "node:assert/strict";
import {
  createTestFolder,
  type ServingExecutable,
  startExecutable,
  type TestFolder,
} from "../support/executable.ts";
import { eventually, openClient } from "../web_client.ts";
import { ensureFreezableDisk, type FreezableDisk, mountFreezableDisk } from "./frozen_disk.ts";
import { isAlive } from "./processes.ts";

const available = await ensureFreezableDisk();
if (!available.available && Deno.env.get("CI") === "true") throw new Error(available.reason);

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

/** Has the exporter log a line. */
async function logLine({ ports: [port = 0] }: ServingExecutable): Promise<void> {
  const client = await openClient(port);
  client.send("garbage\r\n\r\n");
  assert.equal((await client.receiveUntilClosed()).answers[0]?.status, 400);
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
    await eventually("the log has begun", async () => (await log()).includes("message=Started"));
    await disk.freeze();
    const before = count(await log(), REFUSED);
    for (let line = 0; line < 20; line += 1) await logLine(exporter);
    await assertScrapeInTime(exporter);
    exporter.signal("SIGHUP");
    await assertScrapeInTime(exporter);
    await eventually(
      "the stall is told",
      () => Promise.resolve(exporter.errorOutput().includes(STALL)),
    );
    await logLine(exporter);
    await assertScrapeInTime(exporter);
    assert.equal(count(exporter.errorOutput(), REFUSED), 21, exporter.errorOutput());
    assert.equal(count(await log(), REFUSED), before, "the disk was not frozen");
    await disk.thaw();
    await eventually("the log was opened anew", async () => (await log()).includes("Reopened"));
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

  Deno.test("a frozen disk of the log holds up neither the end nor the last lines", async () => {
    await using folder = await createTestFolder();
    await using disk = await mountFreezableDisk();
    await using exporter = await start(disk, folder);
    await disk.freeze();
    await logLine(exporter);
    exporter.signal("SIGTERM");
    // The kernel keeps the thread that waits for the disk, and with it what is left of the process, until the thaw.
    await eventually("it has ended", () => Promise.resolve(!isAlive(exporter.processId)));
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
    await eventually("the log has begun", async () => {
      const log = await Deno.readTextFile(disk.seen("file.log")).catch(() => "");
      return log.includes("message=Started");
    });
    assert.equal((await exporter.stop()).code, 0);
  });
}
