import assert from "node:assert/strict";
import { ALL_DOMAINS, type DomainFilterOptions } from "../src/domain_filter.ts";
import {
  type CallFailure,
  type Description,
  type Question,
  type Survey,
  Verdict,
} from "../src/libvirt/hypervisor.ts";
import { info } from "../src/metrics/collectors/info.ts";
import { scrape } from "../src/metrics/collectors/scrape.ts";
import { seed } from "../src/metrics/collectors/seed.ts";
import type { Collector } from "../src/metrics/family.ts";
import { COLLECTORS, isSwitched } from "../src/metrics/mod.ts";
import { Scraper } from "../src/scrape.ts";
import { type FakeDomain, FakeHypervisor } from "./support/fake_hypervisor.ts";
import { novaDomainXml, numberedUuid } from "./support/nova_domain.ts";
import { type ParsedFamily, parsePage } from "./support/parse_page.ts";
import { decodePage, scraperOptions, SILENT } from "./support/scraper_options.ts";

function fakeDomain(number: number, changes: Partial<FakeDomain> = {}): FakeDomain {
  const uuid = numberedUuid(number);
  const name = `instance-${number}`;
  return {
    uuid,
    id: number,
    name,
    xml: novaDomainXml({
      name,
      uuid,
      novaName: `web-${number}`,
      maximumVirtualCpus: 4,
      disks: [{ target: "vda", serial: "volume-1", type: "block" }],
      interfaces: [{ target: `tap${number}`, macAddress: `fa:16:3e:00:00:0${number}` }],
    }),
    numbers: {
      "cpu.time": 1_000 + number,
      "balloon.available": 900,
      "balloon.unused": 300,
      "balloon.usable": 500,
      "block.0.rd.bytes": 1,
      "block.0.wr.bytes": 2,
      "block.0.rd.reqs": 3,
      "block.0.wr.reqs": 4,
      "net.0.rx.bytes": 5,
      "net.0.tx.bytes": 6,
    },
    texts: { "block.0.name": "vda", "net.0.name": `tap${number}` },
    ...changes,
  };
}

function newScraper(
  hypervisor: FakeHypervisor,
  changes: Parameters<typeof scraperOptions>[2] = {},
): Scraper {
  return new Scraper(scraperOptions(hypervisor, [seed, scrape], changes));
}

async function scrapeFamilies(scraper: Scraper): Promise<ReadonlyMap<string, ParsedFamily>> {
  return parsePage(decodePage((await scraper.scrape()).page("text")));
}

function valueOf(
  families: ReadonlyMap<string, ParsedFamily>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const wanted = Object.entries(labels);
  return families.get(name)?.samples.find((sample) =>
    wanted.every(([label, value]) => sample.labels[label] === value)
  )?.value;
}

const REFUSED: CallFailure = {
  call: "virConnectOpenReadOnly",
  code: 38,
  origin: 7,
  message: "Failed to connect socket to '/run/libvirt/libvirt-sock-ro': Connection refused",
  count: 1,
};

Deno.test("a scrape gives every family of an instance, with its labels and units", async () => {
  const families = await scrapeFamilies(newScraper(new FakeHypervisor([fakeDomain(1)])));
  const identity = { libvirtname: "instance-1", novaname: "web-1", novaproject: "demo" };
  const network = { ...identity, iface: "tap1", macaddr: "fa:16:3e:00:00:01" };
  const disk = { ...identity, targetdev: "vda", cindervolume: "volume-1", disktype: "block" };
  const expected: readonly (readonly [string, string, Record<string, string>, number])[] = [
    ["libvirt_nova_instance_cpu_time_total", "counter", identity, 1_001],
    ["libvirt_nova_instance_memory_alloc_kb", "gauge", identity, 900],
    ["libvirt_nova_instance_memory_cache_used_kb", "gauge", identity, 600],
    ["libvirt_nova_instance_memory_used_kb", "gauge", identity, 400],
    ["libvirt_nova_instance_vcpu_count", "gauge", identity, 4],
    ["libvirt_nova_instance_total_vcpu", "gauge", identity, 4],
    ["libvirt_nova_instance_rxbytes", "counter", network, 5],
    ["libvirt_nova_instance_txbytes", "counter", network, 6],
    ["libvirt_nova_instance_rdbytes", "counter", disk, 1],
    ["libvirt_nova_instance_wrbytes", "counter", disk, 2],
    ["libvirt_nova_instance_rdreq", "counter", disk, 3],
    ["libvirt_nova_instance_wrreq", "counter", disk, 4],
    ["libvirt_nova_instance_scrape_success", "gauge", identity, 1],
  ];
  for (const [name, type, labels, value] of expected) {
    assert.equal(families.get(name)?.type, type);
    assert.deepEqual(families.get(name)?.samples, [{ name, labels, value }]);
  }
  const instanceFamilies = [...families.keys()].filter((name) => name.includes("_instance_"));
  assert.deepEqual(instanceFamilies, expected.map(([name]) => name));
  assert.equal(valueOf(families, "libvirt_nova_up"), 1);
  assert.equal(valueOf(families, "libvirt_nova_exporter_instances"), 1);
});

Deno.test("an empty hypervisor is a valid page that says that libvirt is up", async () => {
  const families = await scrapeFamilies(newScraper(new FakeHypervisor([])));
  assert.equal(valueOf(families, "libvirt_nova_up"), 1);
  assert.equal(valueOf(families, "libvirt_nova_exporter_instances"), 0);
  assert.deepEqual([...families.keys()].filter((name) => name.includes("_instance_")), []);
});

Deno.test("what libvirt does not give is no sample, and costs nothing else", async () => {
  const { "balloon.unused": _unused, "block.0.rd.bytes": _read, ...numbers } =
    fakeDomain(1).numbers;
  const families = await scrapeFamilies(
    newScraper(new FakeHypervisor([fakeDomain(1, { numbers }), fakeDomain(2)])),
  );
  const names = (family: string): (string | undefined)[] =>
    families.get(family)?.samples.map(({ labels }) => labels["libvirtname"]) ?? [];
  assert.deepEqual(names("libvirt_nova_instance_memory_cache_used_kb"), ["instance-2"]);
  assert.deepEqual(names("libvirt_nova_instance_rdbytes"), ["instance-2"]);
  assert.deepEqual(names("libvirt_nova_instance_memory_used_kb"), ["instance-1", "instance-2"]);
});

Deno.test("an instance whose definition is unusable keeps its libvirt name and costs no other instance", async () => {
  const broken = [
    "",
    "<domain",
    "<domain/>".padEnd(5 << 20),
    `<a>${"<b>".repeat(10_000)}`,
    "<!DOCTYPE x []><domain/>",
  ];
  for (const xml of broken) {
    const hypervisor = new FakeHypervisor([fakeDomain(1, { xml }), fakeDomain(2)]);
    const lines: string[] = [];
    const warn = (message: string): void => void lines.push(message);
    const scraper = newScraper(hypervisor, {
      log: { ...SILENT, warn, error: warn },
    });
    const families = await scrapeFamilies(scraper);
    const cpu = families.get("libvirt_nova_instance_cpu_time_total")?.samples ?? [];
    assert.deepEqual(cpu.map(({ labels }) => Object.values(labels)), [
      ["instance-1", "", ""],
      ["instance-2", "web-2", "demo"],
    ]);
    assert.equal(
      valueOf(families, "libvirt_nova_exporter_errors_total", { kind: "definition_content" }),
      1,
    );
    await scraper.scrape();
    assert.deepEqual(lines, ["Cannot understand the definition of an instance"]);
  }
});

Deno.test("hostile names reach the page escaped and cannot forge a series", async () => {
  const names = [
    'a"} 1\nlibvirt_nova_up 0',
    "back\\slash",
    "two\nlines",
    "emoji 😀",
    "\u202Eright to left",
    "x".repeat(10_000),
  ];
  const hypervisor = new FakeHypervisor(names.map((novaName, position) => {
    const uuid = numberedUuid(position);
    const name = `instance-${position}`;
    return fakeDomain(position, {
      xml: novaDomainXml({ name, uuid, novaName, novaProject: novaName }),
    });
  }));
  const families = await scrapeFamilies(newScraper(hypervisor));
  const samples = families.get("libvirt_nova_instance_cpu_time_total")?.samples ?? [];
  assert.deepEqual(samples.map(({ labels }) => labels["novaname"]), names);
  assert.deepEqual(samples.map(({ labels }) => labels["novaproject"]), names);
  assert.deepEqual(families.get("libvirt_nova_up")?.samples.map(({ value }) => value), [1]);
});

Deno.test("without libvirt the page says so, each line is logged once, and it recovers by itself", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const lines: string[] = [];
  const at = (message: string): void => void lines.push(message);
  const scraper = newScraper(hypervisor, { log: { ...SILENT, info: at, warn: at, error: at } });
  hypervisor.refusal = REFUSED;
  for (let scrape = 0; scrape < 3; scrape++) {
    const result = await scraper.scrape();
    assert.equal(result.parts.isUp, false);
    assert.match(result.parts.reason ?? "", /Connection refused: start libvirtd/);
    const families = parsePage(decodePage(result.page("text")));
    assert.equal(valueOf(families, "libvirt_nova_up"), 0);
    assert.equal(families.has("libvirt_nova_instance_cpu_time_total"), false);
  }
  hypervisor.refusal = undefined;
  const families = await scrapeFamilies(scraper);
  assert.equal(valueOf(families, "libvirt_nova_up"), 1);
  assert.equal(valueOf(families, "libvirt_nova_instance_cpu_time_total"), 1_001);
  assert.equal(valueOf(families, "libvirt_nova_exporter_errors_total", { kind: "connection" }), 3);
  assert.deepEqual(lines, ["libvirt is not available", "Over: libvirt is not available"]);
});

Deno.test("definitions are read once, and again when libvirt says that they changed", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1), fakeDomain(2)]);
  const scraper = newScraper(hypervisor);
  await scraper.scrape();
  await scraper.scrape();
  hypervisor.domains[0] = fakeDomain(1, {
    xml: novaDomainXml({ name: "instance-1", uuid: numberedUuid(1), novaName: "renamed" }),
  });
  hypervisor.changed.add(numberedUuid(1));
  const families = await scrapeFamilies(scraper);
  assert.deepEqual(hypervisor.calls.filter((call) => call.startsWith("describe")), [
    "describe 2",
    "describe 1",
  ]);
  const names = families.get("libvirt_nova_instance_cpu_time_total")?.samples ?? [];
  assert.deepEqual(names.map(({ labels }) => labels["novaname"]), ["renamed", "web-2"]);
  assert.equal(valueOf(families, "libvirt_nova_exporter_definition_cache_misses_total"), 3);
  assert.equal(valueOf(families, "libvirt_nova_exporter_definition_cache_hits_total"), 3);
});

Deno.test("a device that the definition lacks has no series until the definition is read again", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const scraper = newScraper(hypervisor);
  await scraper.scrape();
  const { numbers, texts } = fakeDomain(1);
  hypervisor.domains[0] = fakeDomain(1, {
    numbers: { ...numbers, "block.1.rd.bytes": 9 },
    texts: { ...texts, "block.1.name": "vdb" },
    xml: novaDomainXml({
      name: "instance-1",
      uuid: numberedUuid(1),
      novaName: "web-1",
      disks: [{ target: "vda" }, { target: "vdb", serial: "volume-2" }],
    }),
  });
  const disks = async (): Promise<(string | undefined)[]> =>
    (await scrapeFamilies(scraper)).get("libvirt_nova_instance_rdbytes")?.samples
      .map(({ labels }) => `${labels["targetdev"]} ${labels["cindervolume"]}`) ?? [];
  assert.deepEqual(await disks(), ["vda volume-1"]);
  assert.deepEqual(await disks(), ["vda ", "vdb volume-2"]);
});

Deno.test("instances that went away are gone at the next scrape, and one that is restarted is itself again", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1), fakeDomain(2)]);
  const scraper = newScraper(hypervisor);
  await scraper.scrape();
  hypervisor.domains = [fakeDomain(2, { id: 7 })];
  const families = await scrapeFamilies(scraper);
  const samples = families.get("libvirt_nova_instance_cpu_time_total")?.samples ?? [];
  assert.deepEqual(samples.map(({ labels }) => labels["libvirtname"]), ["instance-2"]);
  assert.equal(hypervisor.calls.at(-2), "describe 1");
});

Deno.test("an incomplete instance says so, by reason, and keeps what there is", async () => {
  const verdicts = [
    Verdict.failed,
    Verdict.busy,
    Verdict.withheld,
    Verdict.quarantined,
    Verdict.late,
  ];
  const numbers = { "cpu.time": 5 };
  const hypervisor = new FakeHypervisor([
    fakeDomain(9),
    ...verdicts.map((verdict, position) => fakeDomain(position, { verdict, numbers })),
    fakeDomain(8, { verdict: Verdict.gone }),
  ]);
  const families = await scrapeFamilies(newScraper(hypervisor));
  const success = families.get("libvirt_nova_instance_scrape_success")?.samples ?? [];
  assert.deepEqual(success.map(({ value }) => value), [1, 0, 0, 0, 0, 0]);
  assert.equal(families.get("libvirt_nova_instance_cpu_time_total")?.samples.length, 6);
  assert.equal(families.get("libvirt_nova_instance_memory_alloc_kb")?.samples.length, 1);
  const reasons = families.get("libvirt_nova_exporter_instances_incomplete")?.samples ?? [];
  assert.deepEqual(
    reasons.map(({ labels, value }) => [labels["reason"], value]),
    [["failed", 1], ["busy", 1], ["withheld", 1], ["quarantined", 1], ["late", 1], ["unread", 0]],
  );
});

Deno.test("scrapes at the same time share one collection", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const gate = Promise.withResolvers<void>();
  hypervisor.gate = gate.promise;
  const scraper = newScraper(hypervisor);
  const scrapes = Array.from({ length: 100 }, () => scraper.scrape());
  gate.resolve();
  const results = await Promise.all(scrapes);
  assert.ok(results.every(({ parts }) => parts.isUp));
  assert.deepEqual(hypervisor.calls, ["survey", "describe 1", "measure 1"]);
});

Deno.test("scrapes within the minimum interval share a collection and say how old it is", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const scraper = newScraper(hypervisor, { minimumIntervalMilliseconds: 60_000 });
  await scraper.scrape();
  const families = await scrapeFamilies(scraper);
  assert.equal(hypervisor.calls.filter((call) => call === "survey").length, 1);
  const age = valueOf(families, "libvirt_nova_exporter_collection_age_seconds");
  assert.ok(age !== undefined && age > 0);
});

Deno.test("a collection that hangs is answered in time, and the next scrape does not start a second", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const gate = Promise.withResolvers<void>();
  hypervisor.gate = gate.promise;
  const scraper = newScraper(hypervisor, { timeoutMilliseconds: 30 });
  for (let scrape = 0; scrape < 2; scrape++) {
    const result = await scraper.scrape();
    assert.equal(result.parts.isUp, false);
    assert.match(result.parts.reason ?? "", /did not end within 30 ms/);
  }
  assert.deepEqual(hypervisor.calls, ["survey"]);
  hypervisor.gate = undefined;
  gate.resolve();
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal((await scraper.scrape()).parts.isUp, true);
});

Deno.test("a page that is answered in time does not wait for the state of the connection either", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const scraper = newScraper(hypervisor, { timeoutMilliseconds: 30 });
  await scraper.scrape();
  const { promise, resolve } = Promise.withResolvers<void>();
  hypervisor.gate = promise;
  const { status } = hypervisor;
  hypervisor.status = async () => {
    await promise;
    return await status.call(hypervisor);
  };
  const families = await scrapeFamilies(scraper);
  assert.equal(valueOf(families, "libvirt_nova_up"), 0);
  assert.equal(valueOf(families, "libvirt_nova_exporter_connections_opened_total"), 1);
  resolve();
});

Deno.test("a defect inside a scrape costs one page and is counted", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const scraper = newScraper(hypervisor);
  const { measure } = hypervisor;
  hypervisor.measure = () => Promise.reject(new Error("on purpose"));
  const result = await scraper.scrape();
  assert.equal(result.parts.isUp, false);
  assert.equal(result.parts.reason, "Internal error: on purpose");
  const { isUp, reason } = scraper.summary;
  assert.deepEqual([isUp, reason], [false, "Internal error: on purpose"]);
  hypervisor.measure = measure;
  const families = await scrapeFamilies(scraper);
  assert.equal(valueOf(families, "libvirt_nova_up"), 1);
  assert.equal(valueOf(families, "libvirt_nova_exporter_errors_total", { kind: "internal" }), 1);
});

Deno.test("failed calls are counted by function and code and logged when they begin", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const lines: unknown[] = [];
  const warn = (_: string, fields?: Readonly<Record<string, unknown>>): void =>
    void lines.push(fields);
  const scraper = newScraper(hypervisor, { log: { ...SILENT, warn } });
  const message = "Requested operation is not valid: cgroup CPUACCT controller is not mounted";
  hypervisor.failures = [
    { call: "virDomainGetCPUStats", code: 55, origin: 10, message, count: 3, handle: 0 },
  ];
  await scraper.scrape();
  const families = await scrapeFamilies(scraper);
  const labels = { call: "virDomainGetCPUStats", code: "55" };
  assert.equal(valueOf(families, "libvirt_nova_exporter_libvirt_errors_total", labels), 6);
  assert.equal(valueOf(families, "libvirt_nova_exporter_errors_total", { kind: "call" }), 6);
  assert.deepEqual(lines, [
    { call: "virDomainGetCPUStats", code: 55, count: 3, instance: "instance-1", reason: message },
  ]);
});

Deno.test("an instance whose definition there was no time to read is left out and counted, and comes next", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const scraper = newScraper(hypervisor, { timeoutMilliseconds: 100 });
  // The survey takes so long that nothing is left for definitions.
  hypervisor.gate = new Promise((resolve) => setTimeout(resolve, 92));
  const first = await scraper.scrape();
  const page = parsePage(decodePage(first.page("text")));
  assert.deepEqual([first.parts.isUp, first.parts.unread], [true, 1]);
  assert.equal(page.has("libvirt_nova_instance_cpu_time_total"), false);
  assert.equal(valueOf(page, "libvirt_nova_exporter_instances"), 1);
  assert.equal(
    valueOf(page, "libvirt_nova_exporter_instances_incomplete", { reason: "unread" }),
    1,
  );
  hypervisor.gate = undefined;
  const next = await scraper.scrape();
  assert.deepEqual([next.parts.isUp, next.parts.unread], [true, 0]);
});

Deno.test("an instance whose definition libvirt refuses is on the page by its libvirt name, as incomplete", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const scraper = newScraper(hypervisor, { collectors: [seed, info, scrape] });
  const { describe } = hypervisor;
  const failure = { call: "virDomainGetXMLDesc", code: 38, origin: 10, message: "no", count: 1 };
  hypervisor.describe = (_, handles) =>
    Promise.resolve([...handles].map((handle) => ({ handle, failure: { ...failure, handle } })));
  const refused = await scrapeFamilies(scraper);
  const labels = { libvirtname: "instance-1", novaname: "" };
  assert.equal(valueOf(refused, "libvirt_nova_instance_cpu_time_total", labels), 1_001);
  assert.equal(valueOf(refused, "libvirt_nova_instance_scrape_success", labels), 0);
  const success = (families: typeof refused, collector: string): number | undefined =>
    valueOf(families, "libvirt_nova_exporter_collector_success", { collector });
  assert.deepEqual([success(refused, "seed"), success(refused, "info")], [1, 0]);
  hypervisor.describe = describe;
  const given = await scrapeFamilies(scraper);
  assert.equal(
    valueOf(given, "libvirt_nova_instance_scrape_success", { novaname: "web-1" }),
    1,
  );
  assert.equal(success(given, "info"), 1);
});

Deno.test("an instance that ends while it is asked about is not on the page, and nothing is the matter", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1), fakeDomain(2)]);
  const failure = { call: "virDomainGetXMLDesc", code: 42, origin: 10, message: "no", count: 1 };
  const describe = hypervisor.describe.bind(hypervisor);
  hypervisor.describe = async (question, handles): Promise<readonly Description[]> =>
    (await describe(question, handles)).map((one) =>
      one.handle === 1 ? { handle: one.handle, failure: { ...failure, handle: one.handle } } : one
    );
  // An active one on libvirt's list, which is shut off by the time its turn comes.
  const survey = hypervisor.survey.bind(hypervisor);
  hypervisor.survey = (question): Promise<Survey> => survey({ ...question, inactive: true });
  hypervisor.domains.push(fakeDomain(3, { id: -1 }));
  const families = await scrapeFamilies(newScraper(hypervisor));
  const success = families.get("libvirt_nova_instance_scrape_success")?.samples ?? [];
  assert.deepEqual(success.map(({ labels, value }) => [labels["libvirtname"], value]), [
    ["instance-1", 1],
  ]);
  assert.equal(valueOf(families, "libvirt_nova_exporter_instances"), 1);
  assert.equal(valueOf(families, "libvirt_nova_exporter_instances_filtered"), 0);
  assert.equal(valueOf(families, "libvirt_nova_exporter_errors_total", { kind: "definition" }), 0);
});

Deno.test("filtered instances are not on the page, and cost no question to libvirt", async () => {
  const nameless = fakeDomain(4, {
    xml: novaDomainXml({ name: "instance-4", uuid: numberedUuid(4) }),
  });
  const domains = [fakeDomain(1), fakeDomain(2), fakeDomain(3, { name: "backup" }), nameless];
  const cases: readonly (readonly [
    filter: Partial<DomainFilterOptions>,
    described: number,
    measured: readonly string[],
  ])[] = [
    [{ exclude: /^backup$/u }, 3, ["instance-1", "instance-2", "instance-4"]],
    [{ include: /-2$/u }, 1, ["instance-2"]],
    [{ projectInclude: /^demo$/u }, 4, ["instance-1", "instance-2", "backup"]],
    [{ projectExclude: /demo/u }, 4, ["instance-4"]],
    [{ novaOnly: true, exclude: /1/u }, 3, ["instance-2", "backup"]],
    [{ include: /none/u }, 0, []],
  ];
  for (const [changes, described, measured] of cases) {
    const hypervisor = new FakeHypervisor(domains);
    const filter = { ...ALL_DOMAINS, ...changes };
    const families = await scrapeFamilies(newScraper(hypervisor, { filter }));
    const samples = families.get("libvirt_nova_instance_cpu_time_total")?.samples ?? [];
    assert.deepEqual(samples.map(({ labels }) => labels["libvirtname"]), measured);
    assert.deepEqual(hypervisor.calls, [
      "survey",
      ...(described === 0 ? [] : [`describe ${described}`]),
      `measure ${measured.length}`,
    ]);
    assert.equal(valueOf(families, "libvirt_nova_exporter_instances"), measured.length);
    assert.equal(
      valueOf(families, "libvirt_nova_exporter_instances_filtered"),
      domains.length - measured.length,
    );
  }
});

Deno.test("instances that are shut off have their state and what describes them, when they are asked for", async () => {
  const off = fakeDomain(2, {
    id: -1,
    numbers: { "state.state": 5, "state.reason": 2 },
    texts: {},
  });
  const on = fakeDomain(1);
  const running = { ...on, numbers: { ...on.numbers, "state.state": 1, "state.reason": 1 } };
  const namesIn = (families: ReadonlyMap<string, ParsedFamily>, name: string): unknown[] =>
    families.get(`libvirt_nova_instance_${name}`)?.samples
      .map(({ labels }) => labels["libvirtname"]) ?? [];
  const scrapeWith = async (
    inactive: boolean,
  ): Promise<ReadonlyMap<string, ParsedFamily>> => {
    const hypervisor = new FakeHypervisor([running, off]);
    const options = scraperOptions(hypervisor, COLLECTORS, { inactive });
    return parsePage(decodePage((await new Scraper(options).scrape()).page("text")));
  };
  const both = await scrapeWith(true);
  for (const name of ["state_code", "state_info", "info"]) {
    assert.deepEqual(namesIn(both, name), ["instance-1", "instance-2"], name);
  }
  for (const [name, { samples }] of both) {
    if (/_(state_code|state_info|instance_info|flavor_\w+|timestamp_seconds)$/.test(name)) continue;
    const shown = samples.some(({ labels }) => labels["libvirtname"] === "instance-2");
    assert.equal(shown, false, name);
  }
  const labels = { libvirtname: "instance-2", state: "shutoff", reason: "destroyed" };
  assert.equal(valueOf(both, "libvirt_nova_instance_state_info", labels), 1);
  assert.equal(valueOf(both, "libvirt_nova_node_instances", { state: "shutoff" }), 1);
  assert.equal(valueOf(both, "libvirt_nova_exporter_instances"), 1);
  assert.deepEqual(namesIn(await scrapeWith(false), "state_code"), ["instance-1"]);
});

Deno.test("further identity labels are on every series of an instance, and once where a family has them itself", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const identity = { projectId: true, uuid: true, user: true };
  const options = scraperOptions(hypervisor, COLLECTORS, { identity });
  const families = parsePage(decodePage((await new Scraper(options).scrape()).page("text")));
  for (const [name, { samples }] of families) {
    if (!name.startsWith("libvirt_nova_instance_")) continue;
    for (const { labels } of samples) {
      assert.deepEqual(Object.keys(labels).slice(0, 6), [
        "libvirtname",
        "novaname",
        "novaproject",
        "project_id",
        "uuid",
        "user",
      ]);
      assert.equal(labels["uuid"], numberedUuid(1));
      assert.equal(labels["user"], "admin");
    }
  }
});

Deno.test("a scrape for some collectors asks for what they need, and takes its turn", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const questions: Question[] = [];
  const { measure } = hypervisor;
  hypervisor.measure = (question, handles) => {
    questions.push(question);
    return measure.call(hypervisor, question, handles);
  };
  const gate = Promise.withResolvers<void>();
  hypervisor.gate = gate.promise;
  const scraper = newScraper(hypervisor);
  const [all, one, same] = [
    scraper.scrape(),
    scraper.scrape({ collectors: [scrape] }),
    scraper.scrape({ collectors: [scrape] }),
  ];
  await Promise.resolve();
  gate.resolve();
  assert.equal(await one, await same);
  assert.notEqual(await all, await one);
  const families = parsePage(decodePage((await one).page("text")));
  assert.ok(families.has("libvirt_nova_instance_scrape_success"));
  assert.ok(!families.has("libvirt_nova_instance_cpu_time_total"));
  assert.deepEqual(questions.map(({ domainCalls }) => domainCalls !== 0), [true, false]);
  assert.deepEqual(hypervisor.calls, [
    "survey",
    "describe 1",
    "measure 1",
    "survey",
    "measure 1",
  ]);
});

Deno.test("a scrape whose turn comes too late is not made", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const gate = Promise.withResolvers<void>();
  hypervisor.gate = gate.promise;
  const scraper = newScraper(hypervisor);
  const first = scraper.scrape();
  const waiting = await scraper.scrape({ collectors: [scrape], timeoutMilliseconds: 30 });
  assert.equal(waiting.parts.isUp, false);
  gate.resolve();
  assert.equal((await first).parts.isUp, true);
  await scraper.scrape();
  assert.equal(hypervisor.calls.filter((call) => call === "survey").length, 2);
});

Deno.test("a scrape in a hurry does not shorten the calls of a collection that others share", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const given: number[] = [];
  const { survey } = hypervisor;
  hypervisor.survey = (question) => {
    given.push(question.callTimeoutMilliseconds);
    return survey.call(hypervisor, question);
  };
  const scraper = newScraper(hypervisor);
  await scraper.scrape({ timeoutMilliseconds: 30 });
  await newScraper(hypervisor, { timeoutMilliseconds: 60 }).scrape({ timeoutMilliseconds: 30 });
  assert.deepEqual(given, [500, 60]);
});

Deno.test("a hung guest is one line in the log, also while scrapes for some collectors do not ask it", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1, { verdict: Verdict.quarantined })]);
  const { measure } = hypervisor;
  hypervisor.measure = async (question, handles) => {
    const measurement = await measure.call(hypervisor, question, handles);
    return question.groups === 0
      ? { ...measurement, verdicts: Uint8Array.of(Verdict.complete) }
      : measurement;
  };
  const lines: string[] = [];
  const at = (message: string): void => void lines.push(message);
  const scraper = newScraper(hypervisor, { log: { ...SILENT, info: at, warn: at } });
  for (let round = 0; round < 3; round++) {
    await scraper.scrape();
    await scraper.scrape({ collectors: [scrape] });
  }
  assert.equal(scraper.summary.problems.length, 1);
  hypervisor.domains[0] = fakeDomain(1);
  await scraper.scrape();
  const message = "An instance does not answer libvirt";
  assert.deepEqual(lines, [message, `Over: ${message}`]);
});

Deno.test("a crowd of scrapes for some collectors delays the one for all by one turn, and does not push its page out", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const scraper = newScraper(hypervisor, {
    collectors: COLLECTORS,
    minimumIntervalMilliseconds: 60_000,
  });
  const ended: string[] = [];
  const crowd = COLLECTORS.slice(0, 12).map((one) =>
    scraper.scrape({ collectors: [one] }).then(() => ended.push(one.name))
  );
  const all = scraper.scrape().then((collection) => {
    ended.push("all");
    return collection;
  });
  await Promise.all(crowd);
  assert.ok(ended.indexOf("all") <= 1, ended.join(" "));
  assert.equal(await scraper.scrape(), await all);
});

Deno.test("a scrape with more time does not share a collection that was given less, but one with less time shares it", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const gate = Promise.withResolvers<void>();
  hypervisor.gate = gate.promise;
  const scraper = newScraper(hypervisor);
  const short = scraper.scrape({ timeoutMilliseconds: 5_000 });
  // Its turn comes with the next turn of the event loop.
  await new Promise((resolve) => setTimeout(resolve));
  const same = scraper.scrape({ timeoutMilliseconds: 5_000 });
  const shorter = scraper.scrape({ timeoutMilliseconds: 4_000 });
  const long = scraper.scrape();
  const longToo = scraper.scrape({ timeoutMilliseconds: 9_000 });
  gate.resolve();
  assert.equal(await same, await short);
  assert.equal(await shorter, await short);
  assert.notEqual(await long, await short);
  assert.equal(await longToo, await long);
  assert.equal(hypervisor.calls.filter((call) => call === "survey").length, 2);
});

Deno.test("whoever joins a collection that waits for its turn is waited for, too", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const gate = Promise.withResolvers<void>();
  hypervisor.gate = gate.promise;
  const scraper = newScraper(hypervisor);
  const first = scraper.scrape();
  const hasty = scraper.scrape({ collectors: [scrape], timeoutMilliseconds: 20 });
  const patient = scraper.scrape({ collectors: [scrape] });
  assert.equal((await hasty).parts.isUp, false);
  gate.resolve();
  assert.equal((await first).parts.isUp, true);
  assert.equal((await patient).parts.isUp, true);
});

Deno.test("a scrape that nobody waits for any more is one error, not two", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const gate = Promise.withResolvers<void>();
  hypervisor.gate = gate.promise;
  const scraper = newScraper(hypervisor);
  const first = scraper.scrape();
  await scraper.scrape({ collectors: [scrape], timeoutMilliseconds: 20 });
  gate.resolve();
  await first;
  const families = await scrapeFamilies(scraper);
  assert.equal(valueOf(families, "libvirt_nova_exporter_errors_total", { kind: "timeout" }), 1);
  assert.equal(valueOf(families, "libvirt_nova_exporter_collections_total"), 2);
});

Deno.test("a collection without libvirt is not shared for the minimum interval", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const scraper = newScraper(hypervisor, { minimumIntervalMilliseconds: 60_000 });
  hypervisor.refusal = REFUSED;
  assert.equal((await scraper.scrape()).parts.isUp, false);
  hypervisor.refusal = undefined;
  const up = await scraper.scrape();
  assert.equal(up.parts.isUp, true);
  assert.equal(await scraper.scrape(), up);
});

Deno.test("within the minimum interval a scrape with more time shares what is complete, and no more", async () => {
  const cases: readonly (readonly [verdict: number, isShared: boolean])[] = [
    [Verdict.complete, true],
    [Verdict.late, false],
  ];
  for (const [verdict, isShared] of cases) {
    const hypervisor = new FakeHypervisor([fakeDomain(1, { verdict })]);
    const scraper = newScraper(hypervisor, { minimumIntervalMilliseconds: 60_000 });
    const short = await scraper.scrape({ timeoutMilliseconds: 5_000 });
    const long = await scraper.scrape();
    assert.equal(long === short, isShared);
    assert.equal(await scraper.scrape({ timeoutMilliseconds: 5_000 }), long);
  }
});

Deno.test("a kept collection keeps its own strings when libvirt's dictionary starts anew", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const scraper = newScraper(hypervisor);
  const kept = await scraper.scrape();
  hypervisor.forgetStrings();
  const { numbers } = fakeDomain(1);
  hypervisor.domains[0] = fakeDomain(1, {
    numbers: { "balloon.rss": 1, ...numbers, "cpu.time": 7 },
  });
  const next = await scrapeFamilies(scraper);
  assert.equal(valueOf(next, "libvirt_nova_instance_cpu_time_total"), 7);
  const before = decodePage(kept.page("openmetrics"));
  assert.match(before, /^libvirt_nova_instance_cpu_time_total\{.*\} 1001$/m);
});

Deno.test("no secret that libvirt repeats in a failure leaves the scrape", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const told: unknown[] = [];
  const take = (message: string, fields?: unknown): void => void told.push(message, fields);
  const scraper = newScraper(hypervisor, {
    log: { debug: take, info: take, warn: take, error: take },
    hideSecrets: (text) => text.replaceAll("sesame", "***"),
  });
  const message = "user:sesame@host: no route";
  hypervisor.failures = [
    { call: "virDomainGetCPUStats", code: 55, origin: 10, message, count: 1, handle: 0 },
  ];
  told.push(decodePage((await scraper.scrape()).page("text")), scraper.summary);
  hypervisor.refusal = { ...REFUSED, message };
  const { parts, ...collection } = await scraper.scrape();
  told.push(parts.reason, collection, scraper.summary);
  const text = JSON.stringify(told);
  assert.ok(!text.includes("sesame"), text);
  assert.ok(text.split("user:***@host: no route").length > 4, text);
});

Deno.test("however many choices of collectors are asked for, few are made, and the usual one is the next", async () => {
  const chosen = COLLECTORS.filter(isSwitched).map((one) => [one]);
  assert.ok(chosen.length > 9);
  for (const minimumIntervalMilliseconds of [0, 60_000]) {
    const hypervisor = new FakeHypervisor([fakeDomain(1)]);
    const gate = Promise.withResolvers<void>();
    hypervisor.gate = gate.promise;
    const scraper = newScraper(hypervisor, { minimumIntervalMilliseconds });
    const order: string[] = [];
    const running: Promise<unknown>[] = [];
    const scrapeWhereRoom = (collectors: readonly Collector[]): void => {
      if (!scraper.hasRoomFor(collectors)) return;
      const name = collectors.map((one) => one.name).join();
      running.push(scraper.scrape({ collectors }).then(() => order.push(name)));
    };
    for (const collectors of chosen) scrapeWhereRoom(collectors);
    assert.equal(running.length, 8);
    scrapeWhereRoom([seed, scrape]);
    scrapeWhereRoom(chosen[0] ?? []);
    assert.equal(running.length, 10);
    gate.resolve();
    await Promise.all(running);
    assert.ok(order.indexOf("seed,scrape") <= 1, order.join(" "));
    assert.equal(hypervisor.calls.filter((call) => call === "survey").length, 9);
    // A choice keeps its place for as long as its collection would be shared.
    assert.equal(scraper.hasRoomFor(chosen.at(-1) ?? []), minimumIntervalMilliseconds === 0);
    assert.ok(scraper.hasRoomFor(chosen[3] ?? []));
    assert.ok(scraper.hasRoomFor([seed, scrape]));
  }
});
