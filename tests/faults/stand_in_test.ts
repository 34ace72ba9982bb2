import assert from "node:assert/strict";
import { type ParsedSample } from "../../testing/parse_page.ts";
import { requireExecutable } from "../../testing/executable.ts";
import { waitUntil } from "../../testing/wait_until.ts";
import { SUCCESS } from "./page.ts";
import { buildStandIn, type Fault, type PresentFault } from "./stand_in.ts";
import { DOMAINS, startSubject, type Subject, TIMEOUT_MILLISECONDS, VICTIM } from "./subject.ts";

requireExecutable();

const folder = await Deno.makeTempDir({ prefix: "faults_" });
globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
const library = await buildStandIn(folder);

const BOUND_MILLISECONDS = 10_000;
const ERRORS = "libvirt_nova_exporter_libvirt_errors_total";

async function samples({ executable }: Subject, family: string): Promise<readonly ParsedSample[]> {
  return (await executable.scrape()).get(family)?.samples ?? [];
}

/** The domains about which not everything was answered. */
async function unsuccessful(subject: Subject): Promise<readonly (string | undefined)[]> {
  return (await samples(subject, SUCCESS)).filter(({ value }) => value === 0)
    .map(({ labels }) => labels["libvirtname"]);
}

/** Has an exporter that is well feel a fault, and sees that it is well afterwards. */
async function withFault(
  fault: Fault,
  body: (subject: Subject, present: PresentFault) => Promise<void>,
): Promise<void> {
  await using subject = await startSubject(library, "single");
  assert.deepEqual(await unsuccessful(subject), []);
  const present = subject.standIn.bring(fault);
  await body(subject, present);
  assert.ok(present.felt() > 0, "the fault was not felt");
  present.takeAway();
  await subject.standIn.allReleased();
  await subject.executable.scrape();
  assert.deepEqual(await unsuccessful(subject), []);
}

Deno.test("a call about one domain that hangs is held up until the fault is taken away", () =>
  withFault({ kind: "hang", call: "virDomainMemoryStats", domain: VICTIM }, async (subject) => {
    assert.deepEqual(await unsuccessful(subject), [VICTIM]);
    assert.equal(subject.standIn.held(), 1);
  }));

Deno.test("a call that is late returns though the fault has been taken away before", () =>
  withFault(
    {
      kind: "delay",
      call: "virDomainMemoryStats",
      domain: VICTIM,
      milliseconds: 2 * TIMEOUT_MILLISECONDS,
    },
    async (subject, present) => {
      assert.deepEqual(await unsuccessful(subject), [VICTIM]);
      present.takeAway();
      assert.equal(subject.standIn.held(), 1);
      await subject.standIn.allReleased();
    },
  ));

Deno.test("a call that fails does so with the error that is wished for, for every domain", () =>
  withFault({ kind: "fail", call: "virDomainGetInfo", error: [10, 38] }, async (subject) => {
    assert.deepEqual((await unsuccessful(subject)).toSorted(), DOMAINS);
    const errors = await samples(subject, ERRORS);
    assert.deepEqual(errors.map(({ labels }) => labels), [{
      call: "virDomainGetInfo",
      code: "38",
    }]);
  }));

Deno.test("a call that fails once does not fail again", () =>
  withFault({ kind: "fail-once", call: "virDomainGetInfo" }, async (subject, present) => {
    assert.equal((await unsuccessful(subject)).length, 1);
    assert.equal((await unsuccessful(subject)).length, 0);
    assert.equal(present.felt(), 1);
  }));

Deno.test("a connection that is found dead stays so though it seems alive, and the next one is well", () =>
  withFault({ kind: "dead", call: "virDomainSnapshotNum" }, async (subject, present) => {
    // Only one call made it dead; the others that come after it find it so.
    await subject.executable.scrape();
    await subject.executable.scrape();
    assert.ok(present.felt() > 1, "no further call has found the connection dead");
    subject.standIn.bring({ kind: "fail-once", call: "virConnectIsAlive" });
    await subject.executable.scrape();
  }));

Deno.test("references are counted: one connection, and a handle for each domain", async () => {
  await using subject = await startSubject(library, "bulk");
  await subject.executable.scrape();
  const { subscriptions, ...references } = subject.standIn.references();
  assert.deepEqual(references, { connections: 1, handles: DOMAINS.length });
  assert.ok(subscriptions > 0, "it is told of no events");
  assert.equal((await subject.executable.stop()).code, 0);
  assert.deepEqual(subject.standIn.references(), {
    connections: 0,
    handles: 0,
    subscriptions: 0,
  });
});

Deno.test("made-up bulk statistics stand in for those that the test driver does not have", async () => {
  await using subject = await startSubject(library, "bulk");
  // The exporter may find out about the driver beside its first scrapes.
  await waitUntil("bulk statistics", async () => {
    const calls = await samples(subject, "libvirt_nova_exporter_libvirt_calls_total");
    return calls.some(({ labels }) => labels["call"] === "virDomainListGetStats") || undefined;
  }, BOUND_MILLISECONDS);
  const memory = await samples(subject, "libvirt_nova_instance_memory_used_kb");
  assert.deepEqual(memory.map(({ labels }) => labels["libvirtname"]).toSorted(), DOMAINS);
});
