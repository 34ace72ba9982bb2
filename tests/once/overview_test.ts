import assert from "node:assert/strict";
import { onceScraper, UNIX_MILLISECONDS } from "../../testing/once.ts";
import { type FakeDomain, FakeHypervisor } from "../../testing/fake_hypervisor.ts";
import { COLLECTORS } from "../../src/metrics/mod.ts";
import { type InstanceFacts, type Overview, overviewOf } from "../../src/once/overview.ts";
import { type Scraper } from "../../src/scrape/scraper.ts";
import { DomainCall, StatisticsGroup, Verdict } from "../../src/libvirt/hypervisor.ts";
import { novaDomainXml, numberedUuid } from "../../testing/nova_domain.ts";
import { fakeDomain } from "../../testing/fake_domain.ts";

const NOW = UNIX_MILLISECONDS / 1_000;
const RUNNING = { "state.state": 1, "state.reason": 1 };

interface Changes extends Partial<Omit<FakeDomain, "numbers">> {
  readonly numbers?: Readonly<Record<string, number>>;
  readonly novaName?: string;
}

/** A domain whose guest has just told of its memory. */
function reportingDomain(
  number: number,
  { numbers, novaName = `web-${number}`, ...changes }: Changes = {},
): FakeDomain {
  const definition = { novaName, disks: [{ target: "vda" }, { target: "vdb" }] };
  return fakeDomain(number, {
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
    texts: { "block.0.name": "vda", "block.1.name": "vdb", "net.0.name": `tap${number}` },
    ...changes,
  }, definition);
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
    { findings: first.findings, steadySeconds: 100, unixSeconds: NOW - seconds },
    { findings: second.findings, steadySeconds: 100 + seconds, unixSeconds: NOW },
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
  const before = reportingDomain(1, { numbers: { "cpu.time": 5e9, "block.0.rd.bytes": 100 } });
  const now = reportingDomain(1, {
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
    libvirtName: "instance-1",
    project: "demo",
    isActive: true,
    state: "running",
    reason: undefined,
    incomplete: undefined,
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
  const shutOff = reportingDomain(3, { id: -1, numbers: { "state.state": 5, "state.reason": 2 } });
  const scraper = (hypervisor: FakeHypervisor): Scraper =>
    onceScraper(hypervisor, COLLECTORS, { inactive: true });
  const { host } = await lookAt([reportingDomain(1), reportingDomain(2), shutOff], { scraper });
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
  const { name, project } = await lookAtOne(reportingDomain(1, { xml }));
  assert.deepEqual([name, project], ["instance-1", undefined]);
  assert.equal((await lookAtOne(reportingDomain(1, { novaName: "" }))).name, "instance-1");
});

Deno.test("the reason for a state is shown unless the instance runs", async () => {
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
    const found = await lookAtOne(reportingDomain(1, { numbers }));
    assert.deepEqual([found.state, found.reason], [state, reason]);
  }
});

Deno.test("the guest's figure of its memory counts while it is fresh", async () => {
  const without = (...fields: readonly string[]): FakeDomain => {
    const { numbers, ...domain } = reportingDomain(1);
    const kept = Object.entries(numbers).filter(([field]) => !fields.includes(field));
    return { ...domain, numbers: Object.fromEntries(kept) };
  };
  const told = (seconds: number): FakeDomain =>
    reportingDomain(1, { numbers: { "balloon.last-update": seconds } });
  const cases: readonly (readonly [string, FakeDomain, used: number | undefined])[] = [
    ["told now", told(NOW), 400],
    ["told two minutes ago", told(NOW - 120), 400],
    ["told long ago", told(NOW - 121), undefined],
    ["never told", told(0), undefined],
    ["libvirt does not say when", without("balloon.last-update"), 400],
    ["a guest that does not tell what it could free", without("balloon.usable"), undefined],
    ["a guest without the driver", without("balloon.usable", "balloon.unused"), undefined],
    ["nothing used", reportingDomain(1, { numbers: { "balloon.usable": 900 } }), 0],
    ["more than there is", reportingDomain(1, { numbers: { "balloon.usable": 901 } }), undefined],
  ];
  for (const [name, domain, used] of cases) {
    const { usedBytes, memoryBytes } = await lookAtOne(domain);
    assert.equal(usedBytes, used === undefined ? undefined : used * 1024, name);
    assert.equal(memoryBytes, 1_000 * 1024, name);
  }
});

Deno.test("the definition tells the memory where the balloon does not", async () => {
  const { numbers: { "balloon.current": _, ...numbers }, ...domain } = reportingDomain(1);
  assert.equal((await lookAtOne({ ...domain, numbers })).memoryBytes, 2 * 2 ** 30);
});

Deno.test("rates are of what both collections have counted of the same run", async () => {
  const now = reportingDomain(1, {
    numbers: { "cpu.time": 4e9, "block.0.rd.bytes": 1_000, "block.1.rd.bytes": 400 },
  });
  const oneDisk = reportingDomain(1, { texts: { "block.0.name": "vda" } });
  const swapped = reportingDomain(1, {
    numbers: { "block.0.rd.bytes": 300, "block.1.rd.bytes": 200 },
    texts: { "block.0.name": "vdb", "block.1.name": "vda" },
  });
  const counted = reportingDomain(1, { numbers: { "block.1.rd.bytes": 500 } });
  const cases: readonly (readonly [string, FakeDomain[], cores?: number, read?: number])[] = [
    ["the same devices", [reportingDomain(1)], 2, 700],
    ["a disk that was attached in between", [oneDisk], 2, 500],
    ["disks whose numbers have changed", [swapped], 2, 450],
    ["a disk that was attached anew", [counted], 2, 500],
    ["another run of the domain", [reportingDomain(1, { id: 7 })]],
    ["a domain that was not there", []],
  ];
  for (const [name, before, cores, read] of cases) {
    const found = await lookAtOne(now, { before });
    assert.deepEqual([found.cores, found.readBytesPerSecond], [cores, read], name);
  }
});

Deno.test("there are no rates without time between two collections, or without the first", async () => {
  assert.equal((await lookAtOne(reportingDomain(1), { seconds: 0 })).cores, undefined);
  const collection = await onceScraper(new FakeHypervisor([reportingDomain(1)]), COLLECTORS)
    .scrape();
  const now = { findings: collection.findings, steadySeconds: 1, unixSeconds: NOW };
  assert.equal(overviewOf(undefined, now).instances[0]?.cores, undefined);
});

Deno.test("the busiest instances are on top, equal ones in the order of names, those that are shut off below", async () => {
  const busy = (milliseconds: number): Readonly<Record<string, number>> => ({
    "cpu.time": milliseconds * 1e6,
  });
  const domains = [
    reportingDomain(10, { novaName: "web-10" }),
    reportingDomain(2, { novaName: "web-2" }),
    reportingDomain(3, { novaName: "zero-point-one-per-mille", numbers: busy(0.2) }),
    reportingDomain(4, { novaName: "busy", numbers: busy(900) }),
    reportingDomain(5, { novaName: "busiest", numbers: busy(1_900) }),
    reportingDomain(6, { novaName: "new" }),
    reportingDomain(7, { id: -1, novaName: "a-shut-off-one" }),
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

Deno.test("instances of one name are in the order of libvirt's names", async () => {
  const domains = [10, 2, 1].map((id) => reportingDomain(id, { novaName: "worker" }));
  const { instances } = await lookAt(domains);
  const names = instances.map(({ libvirtName }) => libvirtName);
  assert.deepEqual(names, domains.map(({ name }) => name).toReversed());
});

Deno.test("a note names some of the instances whose values are incomplete", async () => {
  const failed = [9, 2, 1, 10, 3].map((number) =>
    reportingDomain(number, { verdict: Verdict.failed })
  );
  const cases: readonly (readonly [readonly FakeDomain[], readonly string[]])[] = [
    [[reportingDomain(4)], []],
    [failed.slice(0, 1), [
      "libvirt did not answer all that was asked about 1 instance: web-9",
    ]],
    [[...failed, reportingDomain(4)], [
      "libvirt did not answer all that was asked about 5 instances: web-1, web-2, web-3 and 2 more",
    ]],
  ];
  for (const [domains, notes] of cases) assert.deepEqual((await lookAt(domains)).notes, notes);
});

Deno.test("an instance that is incomplete says why", async () => {
  const cases: readonly (readonly [verdict: number, why: RegExp | undefined])[] = [
    [Verdict.complete, undefined],
    [Verdict.failed, /refused a call/],
    [Verdict.busy, /somebody else/],
    [Verdict.withheld, /too many calls were unanswered/],
    [Verdict.quarantined, /an earlier call about it is unanswered/],
    [Verdict.late, /did not answer in time/],
    [Verdict.locked, /holds its lock/],
    [Verdict.suspended, /vhost-user/],
  ];
  for (const [verdict, why] of cases) {
    const { incomplete } = await lookAtOne(reportingDomain(1, { verdict }));
    if (why === undefined) assert.equal(incomplete, undefined);
    else assert.match(incomplete ?? "", why);
  }
});

Deno.test("an instance whose definition libvirt refuses says so", async () => {
  const failure = { call: "virDomainGetXMLDesc", code: 1, origin: 10, message: "no", count: 1 };
  const scraper = (hypervisor: FakeHypervisor): Scraper => {
    hypervisor.describe = (_question, handles) =>
      Promise.resolve(Array.from(handles, (handle) => ({ handle, failure })));
    return onceScraper(hypervisor, COLLECTORS);
  };
  const { incomplete } = await lookAtOne(reportingDomain(1), { scraper });
  assert.equal(incomplete, "libvirt refused its definition");
});

Deno.test("rates are of the time between two collections", async () => {
  assert.equal((await lookAt([reportingDomain(1)], { seconds: 15 })).rateSeconds, 15);
  assert.equal((await lookAt([reportingDomain(1)], { seconds: 0 })).rateSeconds, undefined);
});

Deno.test("instances whose definition was not read are counted and noted", async () => {
  const collection = await onceScraper(new FakeHypervisor([reportingDomain(1)]), COLLECTORS)
    .scrape();
  const now = {
    findings: { ...collection.findings, instances: 3, unread: 2 },
    steadySeconds: 1,
    unixSeconds: NOW,
  };
  const { host, notes } = overviewOf(undefined, now);
  assert.equal(host.instances, 3);
  assert.deepEqual(notes, [
    "The definition of 2 instances not shown here could not be read yet",
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
    return (await lookAt([reportingDomain(1)], { scraper })).asked;
  };
  const nothing = { cpu: false, memory: false, disk: false, network: false };
  assert.deepEqual(await askedWith(0, 0), nothing);
  assert.deepEqual(await askedWith(StatisticsGroup.balloon, 0), { ...nothing, memory: true });
  assert.deepEqual(await askedWith(StatisticsGroup.interface, 0), { ...nothing, network: true });
  assert.deepEqual(await askedWith(StatisticsGroup.block, 0), { ...nothing, disk: true });
  assert.deepEqual(await askedWith(0, DomainCall.blockCounters), { ...nothing, disk: true });
  assert.deepEqual(await askedWith(0, DomainCall.cpuTime), { ...nothing, cpu: true });
});
