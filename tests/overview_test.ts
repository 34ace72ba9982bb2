import assert from "node:assert/strict";
import { Collection } from "../src/collection.ts";
import { DomainCall, StatisticsGroup } from "../src/libvirt/hypervisor.ts";
import { COLLECTORS } from "../src/metrics/mod.ts";
import { type InstanceFacts, type Overview, overviewOf } from "../src/once/overview.ts";
import type { Scraper } from "../src/scrape.ts";
import { type FakeDomain, FakeHypervisor } from "./support/fake_hypervisor.ts";
import { novaDomainXml, numberedUuid } from "./support/nova_domain.ts";
import { onceScraper, UNIX_MILLISECONDS } from "./support/once.ts";

const NOW = UNIX_MILLISECONDS / 1_000;
const RUNNING = { "state.state": 1, "state.reason": 1 };

interface Changes extends Partial<Omit<FakeDomain, "numbers">> {
  readonly numbers?: Readonly<Record<string, number>>;
  readonly novaName?: string;
}

/** A domain with a disk and an interface, whose guest has just told of its memory. */
function fakeDomain(number: number, { numbers, novaName, ...changes }: Changes = {}): FakeDomain {
  const uuid = numberedUuid(number);
  const name = `instance-${number}`;
  return {
    uuid,
    id: number,
    name,
    xml: novaDomainXml({
      name,
      uuid,
      novaName: novaName ?? `web-${number}`,
      maximumVirtualCpus: 4,
      disks: [{ target: "vda" }, { target: "vdb" }],
      interfaces: [{ target: "tap1", macAddress: "fa:16:3e:00:00:01" }],
    }),
    numbers: {
      ...RUNNING,
      "cpu.time": 0,
      "balloon.current": 1_000,
      "balloon.available": 900,
      "balloon.unused": 300,
      "balloon.usable": 500,
      "balloon.last-update": NOW,
      "block.0.rd.bytes": 0,
      "block.0.wr.bytes": 0,
      "block.1.rd.bytes": 0,
      "block.1.wr.bytes": 0,
      "net.0.rx.bytes": 0,
      "net.0.tx.bytes": 0,
      ...numbers,
    },
    texts: { "block.0.name": "vda", "block.1.name": "vdb", "net.0.name": "tap1" },
    ...changes,
  };
}

/** What is seen of domains now, and a while after they were as they are in `before`. */
async function lookAt(
  domains: readonly FakeDomain[],
  { before = domains, seconds = 2, scraper = onceScraper }: {
    readonly before?: readonly FakeDomain[];
    readonly seconds?: number;
    readonly scraper?: (hypervisor: FakeHypervisor, collectors: typeof COLLECTORS) => Scraper;
  } = {},
): Promise<Overview> {
  const hypervisor = new FakeHypervisor(before);
  hypervisor.entities = [{
    kind: "node",
    texts: {},
    // One call tells less than the other, as where memory was plugged in.
    numbers: { cpus: 64, memory: 128 * 2 ** 30, "memory.total": 256 * 2 ** 20 },
  }];
  const scrapes = scraper(hypervisor, COLLECTORS);
  const first = await scrapes.scrape();
  hypervisor.domains = [...domains];
  const second = await scrapes.scrape();
  return overviewOf(
    { collection: first, steadySeconds: 100, unixSeconds: NOW - seconds },
    { collection: second, steadySeconds: 100 + seconds, unixSeconds: NOW },
  );
}

async function lookAtOne(
  domain: FakeDomain,
  options?: Parameters<typeof lookAt>[1],
): Promise<InstanceFacts> {
  const { instances: [instance] } = await lookAt([domain], options);
  assert.ok(instance !== undefined);
  return instance;
}

Deno.test("overviewOf() says what an instance is and does", async () => {
  const before = fakeDomain(1, { numbers: { "cpu.time": 5e9, "block.0.rd.bytes": 100 } });
  const now = fakeDomain(1, {
    numbers: {
      "cpu.time": 8e9,
      "block.0.rd.bytes": 1_100,
      "block.1.rd.bytes": 1_000,
      "block.0.wr.bytes": 50,
      "net.0.rx.bytes": 4_000,
      "net.0.tx.bytes": 6_000,
    },
  });
  assert.deepEqual(await lookAtOne(now, { before: [before] }), {
    name: "web-1",
    project: "demo",
    isActive: true,
    state: "running",
    reason: undefined,
    virtualCpus: 4,
    cores: 1.5,
    usedBytes: 400 * 1024,
    memoryBytes: 1_000 * 1024,
    readBytesPerSecond: 1_000,
    writtenBytesPerSecond: 25,
    receivedBytesPerSecond: 2_000,
    transmittedBytesPerSecond: 3_000,
  });
});

Deno.test("overviewOf() says what the host has and gives", async () => {
  const shutOff = fakeDomain(3, { id: -1, numbers: { "state.state": 5, "state.reason": 2 } });
  const scraper = (hypervisor: FakeHypervisor): Scraper =>
    onceScraper(hypervisor, COLLECTORS, { inactive: true });
  const { host } = await lookAt([fakeDomain(1), fakeDomain(2), shutOff], { scraper });
  assert.deepEqual(host, {
    instances: 2,
    inactive: 1,
    virtualCpus: 8,
    cpus: 64,
    allocatedBytes: 4 * 2 ** 30,
    memoryBytes: 256 * 2 ** 30,
  });
});

Deno.test("a domain without Nova's names goes by libvirt's", async () => {
  const xml = novaDomainXml({ name: "instance-1", uuid: numberedUuid(1) });
  const { name, project } = await lookAtOne(fakeDomain(1, { xml }));
  assert.deepEqual([name, project], ["instance-1", undefined]);
  assert.equal((await lookAtOne(fakeDomain(1, { novaName: "" }))).name, "instance-1");
});

Deno.test("the reason for a state is told unless the instance runs", async () => {
  const cases: readonly (readonly [number, number, string, string | undefined])[] = [
    [1, 5, "running", undefined],
    [3, 5, "paused", "io error"],
    [3, 0, "paused", undefined],
    [5, 2, "shutoff", "destroyed"],
    [6, 1, "crashed", "panicked"],
    [77, 3, "77", "3"],
  ];
  for (const [code, reasonCode, state, reason] of cases) {
    const numbers = { "state.state": code, "state.reason": reasonCode };
    const found = await lookAtOne(fakeDomain(1, { numbers }));
    assert.deepEqual([found.state, found.reason], [state, reason]);
  }
});

Deno.test("the guest's figure of its memory counts while it is fresh", async () => {
  const without = (...fields: readonly string[]): FakeDomain => {
    const { numbers, ...domain } = fakeDomain(1);
    const kept = Object.entries(numbers).filter(([field]) => !fields.includes(field));
    return { ...domain, numbers: Object.fromEntries(kept) };
  };
  const told = (seconds: number): FakeDomain =>
    fakeDomain(1, { numbers: { "balloon.last-update": seconds } });
  const cases: readonly (readonly [string, FakeDomain, used: number | undefined])[] = [
    ["told now", told(NOW), 400],
    ["told two minutes ago", told(NOW - 120), 400],
    ["told long ago", told(NOW - 121), undefined],
    ["never told", told(0), undefined],
    ["libvirt does not say when", without("balloon.last-update"), 400],
    ["a guest that tells only what is unused", without("balloon.usable"), 600],
    ["a guest without the driver", without("balloon.usable", "balloon.unused"), undefined],
    ["nothing of use", fakeDomain(1, { numbers: { "balloon.usable": 901 } }), undefined],
  ];
  for (const [name, domain, used] of cases) {
    const { usedBytes, memoryBytes } = await lookAtOne(domain);
    assert.equal(usedBytes, used === undefined ? undefined : used * 1024, name);
    assert.equal(memoryBytes, 1_000 * 1024, name);
  }
});

Deno.test("the definition tells the memory where the balloon does not", async () => {
  const { numbers: { "balloon.current": _, ...numbers }, ...domain } = fakeDomain(1);
  assert.equal((await lookAtOne({ ...domain, numbers })).memoryBytes, 2 * 2 ** 30);
});

Deno.test("rates are of what both collections have counted of the same run", async () => {
  const now = fakeDomain(1, {
    numbers: { "cpu.time": 4e9, "block.0.rd.bytes": 1_000, "block.1.rd.bytes": 400 },
  });
  const oneDisk = fakeDomain(1, { texts: { "block.0.name": "vda" } });
  const swapped = fakeDomain(1, {
    numbers: { "block.0.rd.bytes": 300, "block.1.rd.bytes": 200 },
    texts: { "block.0.name": "vdb", "block.1.name": "vda" },
  });
  const counted = fakeDomain(1, { numbers: { "block.1.rd.bytes": 500 } });
  const cases: readonly (readonly [string, FakeDomain[], cores?: number, read?: number])[] = [
    ["the same devices", [fakeDomain(1)], 2, 700],
    ["a disk that was attached in between", [oneDisk], 2, 500],
    ["disks whose numbers have changed", [swapped], 2, 450],
    ["a disk that was attached anew", [counted], 2, 500],
    ["another run of the domain", [fakeDomain(1, { id: 7 })]],
    ["a domain that was not there", []],
  ];
  for (const [name, before, cores, read] of cases) {
    const found = await lookAtOne(now, { before });
    assert.deepEqual([found.cores, found.readBytesPerSecond], [cores, read], name);
  }
});

Deno.test("there are no rates without time between two collections, or without the first", async () => {
  assert.equal((await lookAtOne(fakeDomain(1), { seconds: 0 })).cores, undefined);
  const collection = await onceScraper(new FakeHypervisor([fakeDomain(1)]), COLLECTORS).scrape();
  const now = { collection, steadySeconds: 1, unixSeconds: NOW };
  assert.equal(overviewOf(undefined, now).instances[0]?.cores, undefined);
});

Deno.test("the busiest are on top, equals in the order of names, those that are shut off below", async () => {
  const busy = (milliseconds: number): Readonly<Record<string, number>> => ({
    "cpu.time": milliseconds * 1e6,
  });
  const domains = [
    fakeDomain(10, { novaName: "web-10" }),
    fakeDomain(2, { novaName: "web-2" }),
    fakeDomain(3, { novaName: "zero-point-one-per-mille", numbers: busy(0.2) }),
    fakeDomain(4, { novaName: "busy", numbers: busy(900) }),
    fakeDomain(5, { novaName: "busiest", numbers: busy(1_900) }),
    fakeDomain(6, { novaName: "new" }),
    fakeDomain(7, { id: -1, novaName: "a-shut-off-one" }),
  ];
  const before = domains.filter(({ id }) => id !== 6)
    .map((domain) => ({ ...domain, numbers: { ...domain.numbers, "cpu.time": 0 } }));
  const scraper = (hypervisor: FakeHypervisor): Scraper =>
    onceScraper(hypervisor, COLLECTORS, { inactive: true });
  const { instances } = await lookAt(domains, { before, scraper });
  assert.deepEqual(
    instances.map(({ name }) => name),
    ["busiest", "busy", "web-2", "web-10", "zero-point-one-per-mille", "new", "a-shut-off-one"],
  );
});

Deno.test("what is incomplete is noted with some names", async () => {
  const failed = [9, 2, 1, 10, 3].map((number) => fakeDomain(number, { verdict: 1 }));
  const cases: readonly (readonly [readonly FakeDomain[], readonly string[]])[] = [
    [[fakeDomain(4)], []],
    [failed.slice(0, 1), [
      "libvirt did not answer all that was asked about 1 instance: web-9",
    ]],
    [[...failed, fakeDomain(4)], [
      "libvirt did not answer all that was asked about 5 instances: web-1, web-2, web-3 and 2 more",
    ]],
  ];
  for (const [domains, notes] of cases) assert.deepEqual((await lookAt(domains)).notes, notes);
});

Deno.test("instances whose definition was not read are counted and noted", async () => {
  const collection = await onceScraper(new FakeHypervisor([fakeDomain(1)]), COLLECTORS).scrape();
  const now = {
    collection: new Collection({ ...collection.parts, instances: 3, unread: 2 }),
    steadySeconds: 1,
    unixSeconds: NOW,
  };
  const { host, notes } = overviewOf(undefined, now);
  assert.equal(host.instances, 3);
  assert.deepEqual(notes, [
    "There was no time to read the definition of 2 instances not shown here: give more with --libvirt.timeout",
  ]);
});

Deno.test("what no collector asks for is not asked", async () => {
  const askedWith = async (groups: number, domainCalls: number): Promise<Overview["asked"]> => {
    const collector = {
      name: "test",
      description: "",
      byDefault: true,
      families: [],
      groups,
      domainCalls,
    };
    const scraper = (hypervisor: FakeHypervisor): Scraper => onceScraper(hypervisor, [collector]);
    return (await lookAt([fakeDomain(1)], { scraper })).asked;
  };
  const nothing = { cpu: false, memory: false, disk: false, network: false };
  assert.deepEqual(await askedWith(0, 0), nothing);
  assert.deepEqual(await askedWith(StatisticsGroup.balloon, 0), { ...nothing, memory: true });
  assert.deepEqual(await askedWith(StatisticsGroup.interface, 0), { ...nothing, network: true });
  assert.deepEqual(await askedWith(StatisticsGroup.block, 0), { ...nothing, disk: true });
  assert.deepEqual(await askedWith(0, DomainCall.blockCounters), { ...nothing, disk: true });
  assert.deepEqual(await askedWith(0, DomainCall.cpuTime), { ...nothing, cpu: true });
});
