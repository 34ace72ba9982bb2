import assert from "node:assert/strict";
import { requireExecutable } from "../../testing/executable.ts";
import { waitUntil } from "../../testing/wait_until.ts";
import type { ParsedFamily } from "../../testing/parse_page.ts";
import { missing, type Series, seriesOf } from "./page.ts";
import { buildStandIn, type Fault } from "./stand_in.ts";
import type { World } from "./functions.ts";
import { startSubject, type Subject, VICTIM } from "./subject.ts";

requireExecutable();

const folder = await Deno.makeTempDir({ prefix: "faults_" });
globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
const library = await buildStandIn(folder);

/** Scrapes until the page has a family. */
async function pageWith(
  family: string,
  { executable }: Subject,
): Promise<ReadonlyMap<string, ParsedFamily>> {
  return await waitUntil(family, async () => {
    const page = await executable.scrape();
    return page.has(family) ? page : undefined;
  });
}

const HANGING_CALLS: readonly {
  readonly call: string;
  readonly world: World;
  /** What was asked of the domain before, in the same go. */
  readonly before: string;
  /** The collectors that lack values. */
  readonly collectors: readonly string[];
}[] = [
  {
    call: "virDomainSnapshotNum",
    world: "bulk",
    before: "libvirt_nova_instance_cpu_seconds_total",
    collectors: ["snapshot"],
  },
  {
    call: "virDomainGetJobStats",
    world: "bulk",
    before: "libvirt_nova_instance_memory_used_bytes",
    collectors: ["job"],
  },
];

for (const { call, world, before, collectors } of HANGING_CALLS) {
  Deno.test(`${call}() that hangs leaves on the page what was answered before it`, async () => {
    await using subject = await startSubject(library, world);
    const whole = seriesOf(await pageWith(before, subject));
    const fault = subject.standIn.bring({ kind: "hang", call, domain: VICTIM });
    const page = seriesOf(await subject.executable.scrape());
    assert.ok(fault.felt() > 0, "the fault was not felt");
    const isOfTheCall = ({ domain, collector }: Series): boolean =>
      domain === VICTIM && collectors.includes(collector);
    assert.deepEqual(missing(whole, page).filter((series) => !isOfTheCall(series)), []);
    fault.takeAway();
    await subject.standIn.allReleased();
  });
}

Deno.test("a daemon that cannot reach another costs what that one knows, and no connection", async () => {
  await using subject = await startSubject(library, "single");
  await pageWith("libvirt_nova_network_active", subject);
  const fault: Fault = { kind: "fail", call: "virConnectListAllNetworks", error: [7, 38] };
  const present = subject.standIn.bring(fault);
  for (let scrape = 0; scrape < 3; scrape++) {
    const page = await subject.executable.scrape();
    assert.equal(page.get("libvirt_nova_network_active"), undefined);
    const opened = page.get("libvirt_nova_exporter_connections_opened_total")?.samples;
    assert.deepEqual(opened?.map(({ value }) => value), [1]);
  }
  assert.equal(present.felt(), 3);
});
