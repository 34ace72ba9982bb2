import assert from "node:assert/strict";
import {
  createServiceNotifier,
  type ServiceNotifierOptions,
  watchdogIntervalMilliseconds,
} from "../../src/service/systemd.ts";
import {
  createTestFolder,
  requireExecutable,
  type ServingExecutable,
  startExecutable,
  type TestFolder,
} from "../../testing/executable.ts";
import { startNotifyReceiver } from "../../testing/notify_receiver.ts";
import { waitUntil } from "../../testing/wait_until.ts";

requireExecutable();

const PROCESS_ID = 4242;

/** What was sent where, and what went wrong; `refuse` says why nothing is taken from now on. */
interface Recorder extends ServiceNotifierOptions {
  readonly sent: string[];
  readonly failures: string[];
  refusal: string | undefined;
}

function record(environment: Readonly<Record<string, string>>): Recorder {
  const sent: string[] = [];
  const failures: string[] = [];
  const recorder: Recorder = {
    environment,
    processId: PROCESS_ID,
    sent,
    failures,
    refusal: undefined,
    send(address, text): void {
      if (recorder.refusal !== undefined) throw new Error(recorder.refusal);
      sent.push(`${address} ${text}`);
    },
    onFailure: (reason) => failures.push(reason),
  };
  return recorder;
}

Deno.test("createServiceNotifier() sends each state to the socket that systemd names", () => {
  const recorder = record({ NOTIFY_SOCKET: "/run/notify" });
  const notifier = createServiceNotifier(recorder);
  notifier.ready();
  notifier.status("42 instances");
  notifier.reloading();
  notifier.ready();
  notifier.stopping();
  notifier.close();
  assert.deepEqual(recorder.sent, [
    "/run/notify READY=1",
    "/run/notify STATUS=42 instances",
    "/run/notify RELOADING=1",
    "/run/notify READY=1",
    "/run/notify STOPPING=1",
  ]);
});

Deno.test("createServiceNotifier() tells nobody when no socket is named", () => {
  for (const environment of [{}, { NOTIFY_SOCKET: "" }, { WATCHDOG_USEC: "1000" }]) {
    const recorder = record(environment);
    const notifier = createServiceNotifier(recorder);
    notifier.ready();
    notifier.reloading();
    notifier.status("42 instances");
    notifier.stopping();
    notifier.close();
    assert.deepEqual([recorder.sent, recorder.failures], [[], []]);
  }
});

Deno.test("status() sends a line that has changed, and nothing in it becomes a variable of its own", () => {
  const recorder = record({ NOTIFY_SOCKET: "@notify" });
  const notifier = createServiceNotifier(recorder);
  for (const text of ["a", "a", "b", "x\nMAINPID=1", "x\r\n\0y\u2028z", "é".repeat(500)]) {
    notifier.status(text);
  }
  notifier.close();
  assert.deepEqual(recorder.sent, [
    "@notify STATUS=a",
    "@notify STATUS=b",
    "@notify STATUS=x MAINPID=1",
    "@notify STATUS=x y z",
    `@notify STATUS=${"é".repeat(200)}…`,
  ]);
});

Deno.test("a message that was not taken is told once and sent with the next one, the last value of each", () => {
  const recorder = record({ NOTIFY_SOCKET: "/run/notify" });
  const notifier = createServiceNotifier(recorder);
  recorder.refusal = "Resource temporarily unavailable";
  notifier.ready();
  notifier.status("a");
  notifier.status("b");
  recorder.refusal = undefined;
  notifier.stopping();
  recorder.refusal = "Connection refused";
  notifier.status("c");
  notifier.close();
  assert.deepEqual(recorder.sent, ["/run/notify READY=1\nSTATUS=b\nSTOPPING=1"]);
  assert.deepEqual(recorder.failures, ["Resource temporarily unavailable", "Connection refused"]);
});

Deno.test("a message that was not taken is tried again though no other follows", async () => {
  const recorder = record({ NOTIFY_SOCKET: "/run/notify" });
  const notifier = createServiceNotifier(recorder);
  recorder.refusal = "Resource temporarily unavailable";
  notifier.ready();
  recorder.refusal = undefined;
  await waitUntil("it is sent", () => recorder.sent.length > 0);
  notifier.close();
  assert.deepEqual(recorder.sent, ["/run/notify READY=1"]);
});

Deno.test("watchdogIntervalMilliseconds() is half of what systemd allows this process", () => {
  const cases: readonly (readonly [Record<string, string>, number | undefined])[] = [
    [{ WATCHDOG_USEC: "30000000" }, 15_000],
    [{ WATCHDOG_USEC: "30000000", WATCHDOG_PID: `${PROCESS_ID}` }, 15_000],
    [{ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "" }, 15_000],
    [{ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "1" }, undefined],
    [{ WATCHDOG_USEC: "1" }, 1],
    [{ WATCHDOG_USEC: "18446744073709551615" }, 2 ** 31 - 1],
    [{ WATCHDOG_USEC: "0" }, undefined],
    [{ WATCHDOG_USEC: "-1" }, undefined],
    [{ WATCHDOG_USEC: "soon" }, undefined],
    [{ WATCHDOG_USEC: "" }, undefined],
    [{}, undefined],
  ];
  for (const [environment, expected] of cases) {
    assert.equal(
      watchdogIntervalMilliseconds(environment, PROCESS_ID),
      expected,
      JSON.stringify(environment),
    );
  }
});

Deno.test("signs of life go on until close()", async () => {
  const recorder = record({ NOTIFY_SOCKET: "/run/notify", WATCHDOG_USEC: "2000" });
  const notifier = createServiceNotifier(recorder);
  await waitUntil("two signs of life", () => recorder.sent.length >= 2);
  notifier.close();
  assert.ok(recorder.sent.every((text) => text === "/run/notify WATCHDOG=1"));
});

/** Starts the executable as systemd would. */
function startService(
  folder: TestFolder,
  address: string,
  more: Readonly<Record<string, string>> = {},
): Promise<ServingExecutable> {
  return startExecutable(["--uri", "test:///default", "--log", "-"], {
    folder,
    environment: { NOTIFY_SOCKET: address, ...more },
  });
}

Deno.test("the executable tells systemd that it is ready and alive, by path and by abstract name", async () => {
  await using folder = await createTestFolder();
  for (const address of [`${folder.path}/notify`, `@${folder.path}/notify`]) {
    await using receiver = await startNotifyReceiver(address);
    await using exporter = await startService(folder, address, { WATCHDOG_USEC: "100000" });
    await receiver.waitFor(/^READY=1$/);
    await receiver.waitFor(/^STATUS=libvirt connected, 1 instance$/);
    await receiver.waitFor(/^WATCHDOG=1$/);
    const beforeReload = receiver.messages.length;
    exporter.signal("SIGHUP");
    await receiver.waitFor(/^RELOADING=1$/, beforeReload);
    await receiver.waitFor(/^READY=1$/, beforeReload);
    assert.equal((await exporter.stop()).code, 0);
    await receiver.waitFor(/^STOPPING=1$/, beforeReload);
    const lines = receiver.messages.flat();
    assert.ok(lines.indexOf("READY=1") < lines.indexOf("STOPPING=1"));
  }
});

Deno.test("the executable tells systemd that libvirt is not available", async () => {
  await using folder = await createTestFolder();
  const address = `@${folder.path}/notify`;
  await using receiver = await startNotifyReceiver(address);
  await using _exporter = await startExecutable(
    ["--uri", "qemu+unix:///system?socket=/nonexistent/sock", "--log", "-"],
    { folder, environment: { NOTIFY_SOCKET: address } },
  );
  await receiver.waitFor(/^READY=1$/);
  await receiver.waitFor(/^STATUS=libvirt not available: .*\/nonexistent\/sock/);
});

Deno.test("a stopped process gives no sign of life, and gives one again when it goes on", async () => {
  await using folder = await createTestFolder();
  const addresses = ["stopped", "control"].map((name) => `@${folder.path}/${name}`);
  const [stoppedAddress = "", controlAddress = ""] = addresses;
  const watchdog = { WATCHDOG_USEC: "100000" };
  await using receiver = await startNotifyReceiver(stoppedAddress);
  await using controlReceiver = await startNotifyReceiver(controlAddress);
  await using exporter = await startService(folder, stoppedAddress, watchdog);
  await using _control = await startService(folder, controlAddress, watchdog);
  // Another process that goes on tells how much time has passed.
  const controlSigns = async (count: number): Promise<void> => {
    for (let sign = 0; sign < count; sign++) {
      await controlReceiver.waitFor(/^WATCHDOG=1$/, controlReceiver.messages.length);
    }
  };
  await receiver.waitFor(/^WATCHDOG=1$/);
  exporter.signal("SIGSTOP");
  await waitUntil("the process is stopped", async () => {
    const status = await Deno.readTextFile(`/proc/${exporter.processId}/status`);
    return /^State:\tT/m.test(status);
  });
  await controlSigns(2);
  const messages = receiver.messages.length;
  await controlSigns(5);
  assert.equal(receiver.messages.length, messages);
  exporter.signal("SIGCONT");
  await receiver.waitFor(/^WATCHDOG=1$/, messages);
});

Deno.test("the executable serves though nobody listens at the socket that systemd named", async () => {
  await using folder = await createTestFolder();
  await using exporter = await startService(folder, `${folder.path}/nobody`);
  assert.equal((await exporter.scrape()).get("libvirt_nova_up")?.samples[0]?.value, 1);
  const { code, errorOutput } = await exporter.stop();
  assert.equal(code, 0);
  assert.equal(errorOutput.match(/Cannot tell systemd about this service/g)?.length, 1);
});
