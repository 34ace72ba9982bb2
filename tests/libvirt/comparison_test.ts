import assert from "node:assert/strict";
import { compareWithDefinitions } from "../../src/libvirt/comparison.ts";
import type { Collection } from "../../src/scrape/collection.ts";
import { COLLECTORS } from "../../src/metrics/mod.ts";
import { Scraper } from "../../src/scrape/scraper.ts";
import { FakeHypervisor } from "../../testing/fake_hypervisor.ts";
import { scraperOptions } from "../../testing/scraper_options.ts";

const DISKS = `<disk type="file" device="disk"><source file="/a"/><target dev="vda"/></disk>` +
  `<disk type="file" device="cdrom"><target dev="sda"/></disk>` +
  `<disk type="network" device="disk"><source protocol="rbd" name="p/v"/><target dev="vdb"/></disk>` +
  `<disk type="volume" device="disk"><source pool="p" volume="v"/><target dev="vdc"/></disk>` +
  `<disk type="vhostuser" device="disk"><source path="/s"/><target dev="vdd"/></disk>`;
const INTERFACES = `<interface type="ethernet"><target dev="tap1"/></interface>` +
  `<interface type="user"/>` +
  `<interface type="vhostuser"><target dev="vhu1"/></interface>`;
const XML = `<domain type="kvm"><name>a</name><vcpu current="2">4</vcpu>` +
  `<devices>${DISKS}${INTERFACES}</devices></domain>`;

const NUMBERS = { "vcpu.current": 2, "net.count": 3, "block.count": 4, "block.0.rd.bytes": 1 };
const TEXTS = {
  "block.0.name": "vda",
  "block.0.path": "/a",
  "block.1.name": "sda",
  "block.2.name": "vdb",
  "block.3.name": "vdc",
  "block.3.path": "/pool/v",
  "net.0.name": "tap1",
};

/** The aspects in which these statistics differ from the definition, and those in which they agree. */
async function compare(
  changes: Readonly<Record<string, number | string | undefined>>,
): Promise<readonly [differing: readonly string[], agreeing: readonly string[]]> {
  const all = Object.entries({ ...NUMBERS, ...TEXTS, ...changes });
  const numbers = all.filter((entry): entry is [string, number] => typeof entry[1] === "number");
  const texts = all.filter((entry): entry is [string, string] => typeof entry[1] === "string");
  const hypervisor = new FakeHypervisor([{
    uuid: "u",
    id: 1,
    name: "a",
    xml: XML,
    numbers: Object.fromEntries(numbers),
    texts: Object.fromEntries(texts),
  }]);
  const { findings }: Collection = await new Scraper(scraperOptions(hypervisor, COLLECTORS))
    .scrape();
  assert.ok(findings.snapshot !== undefined);
  const comparisons = compareWithDefinitions(findings.snapshot).flatMap(({ comparisons }) =>
    comparisons
  );
  const aspects = (differ: boolean): string[] =>
    comparisons.filter(({ difference }) => (difference !== undefined) === differ)
      .map(({ aspect }) => aspect);
  return [aspects(true), aspects(false)];
}

Deno.test("compareWithDefinitions() finds whatever of a definition the statistics say otherwise", async () => {
  const cases: readonly (readonly [
    what: string,
    changes: Readonly<Record<string, number | string | undefined>>,
    differing: readonly string[],
  ])[] = [
    ["nothing", {}, []],
    ["vCPUs that were added", { "vcpu.current": 3 }, ["vcpu.current"]],
    ["an interface without a device on the host", { "net.count": 4 }, ["net.count"]],
    ["a disk of another snapshot", { "block.0.path": "/b" }, ["block.N.path vda"]],
    ["a disk that moved to the network", { "block.0.path": undefined }, ["block.N.path vda"]],
    ["a disk that moved from the network", { "block.2.path": "/b" }, ["block.N.path vdb"]],
    ["a CD that was inserted", { "block.1.path": "/cd" }, ["block.N.path sda"]],
    ["a disk that was added", { "block.4.name": "vde" }, ["block.N.name"]],
    ["a disk that has gone", { "block.2.name": undefined }, ["block.N.name"]],
    ["an interface with another device", { "net.0.name": "tap2" }, ["net.N.name"]],
    ["an interface that has gone", { "net.0.name": undefined }, ["net.N.name"]],
    // A disk of type "volume" has the path that the pool gives it.
    ["another path of a volume", { "block.3.path": "/pool/w" }, []],
    ["a device of a virtual switch", { "net.1.name": "vhu1" }, []],
  ];
  for (const [what, changes, differing] of cases) {
    assert.deepEqual((await compare(changes))[0], differing, what);
  }
});

Deno.test("compareWithDefinitions() says nothing of what was not asked", async () => {
  const nothing = { "vcpu.current": undefined, "net.count": undefined, "net.0.name": undefined };
  // A call about one disk has no count and no paths.
  const lone = { "block.count": undefined, "block.0.path": undefined, "block.3.path": undefined };
  assert.deepEqual(await compare({ ...nothing, ...lone }), [[], []]);
  assert.deepEqual(await compare({ ...nothing, ...lone, "block.4.name": "vde" }), [
    ["block.N.name"],
    [],
  ]);
  const [, agreeing] = await compare({});
  assert.deepEqual(agreeing, [
    "vcpu.current",
    "net.count",
    "block.N.name",
    "block.N.path vda",
    "block.N.path sda",
    "block.N.path vdb",
    "net.N.name",
  ]);
});
