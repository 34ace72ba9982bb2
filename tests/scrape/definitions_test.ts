import assert from "node:assert/strict";
import type { Description, Survey } from "../../src/libvirt/hypervisor.ts";
import { info } from "../../src/metrics/collectors/info.ts";
import { scrape } from "../../src/metrics/collectors/scrape.ts";
import { seed } from "../../src/metrics/collectors/seed.ts";
import { COLLECTORS } from "../../src/metrics/mod.ts";
import { Scraper } from "../../src/scrape/scraper.ts";
import { type FakeDomain, FakeHypervisor } from "../../testing/fake_hypervisor.ts";
import { novaDomainXml, numberedUuid } from "../../testing/nova_domain.ts";
import { type ParsedFamily, parsePage, valueOf } from "../../testing/parse_page.ts";
import { decodePage, scraperOptions, SILENT } from "../../testing/scraper_options.ts";
import { fakeDomain } from "../../testing/fake_domain.ts";
import { newScraper, scrapeFamilies } from "./scrape_fixture.ts";

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

Deno.test("every instance has its info, with the UUID even where the definition cannot be understood or was refused", async () => {
  const hypervisor = new FakeHypervisor([
    fakeDomain(1),
    fakeDomain(2, { xml: "<domain" }),
    fakeDomain(3),
  ]);
  const describe = hypervisor.describe.bind(hypervisor);
  const failure = { call: "virDomainGetXMLDesc", code: 38, origin: 10, message: "no", count: 1 };
  hypervisor.describe = async (question, handles): Promise<readonly Description[]> =>
    (await describe(question, handles)).map((one, position) =>
      position === 2 ? { handle: one.handle, failure: { ...failure, handle: one.handle } } : one
    );
  const families = await scrapeFamilies(new Scraper(scraperOptions(hypervisor, [info])));
  const samples = families.get("libvirt_nova_instance_info")?.samples ?? [];
  assert.deepEqual(
    samples.map(({ labels }) => [labels["libvirtname"], labels["novaname"], labels["uuid"]]),
    [
      ["instance-1", "web-1", numberedUuid(1)],
      ["instance-2", "", numberedUuid(2)],
      ["instance-3", "", numberedUuid(3)],
    ],
  );
  for (const { labels, value } of samples.slice(1)) {
    const { libvirtname: _name, uuid: _uuid, ...rest } = labels;
    assert.equal(value, 1);
    assert.deepEqual([...new Set(Object.values(rest))], [""]);
  }
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

Deno.test("an instance whose definition there was no time to read is left out and counted, and comes next", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const scraper = newScraper(hypervisor, { timeoutMilliseconds: 100 });
  // The survey takes so long that nothing is left for definitions.
  hypervisor.gate = new Promise((resolve) => setTimeout(resolve, 92));
  const first = await scraper.scrape();
  const page = parsePage(decodePage(first.page("text")));
  assert.deepEqual([first.findings.isUp, first.findings.unread], [true, 1]);
  assert.equal(page.has("libvirt_nova_instance_cpu_time_total"), false);
  assert.equal(valueOf(page, "libvirt_nova_exporter_instances"), 1);
  assert.equal(
    valueOf(page, "libvirt_nova_exporter_instances_incomplete", { reason: "unread" }),
    1,
  );
  hypervisor.gate = undefined;
  const next = await scraper.scrape();
  assert.deepEqual([next.findings.isUp, next.findings.unread], [true, 0]);
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

Deno.test("an instance whose definition was not asked for, or is late, is left out until it comes", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1), fakeDomain(2), fakeDomain(3)]);
  const scraper = newScraper(hypervisor);
  const { describe } = hypervisor;
  const late = { call: "virDomainGetXMLDesc", code: 0, origin: 0, message: "late", count: 1 };
  hypervisor.describe = async (question, handles): Promise<readonly Description[]> =>
    (await describe.call(hypervisor, question, handles)).map((one) => {
      if (one.handle === 0) return { handle: 0 };
      return one.handle === 1 ? { handle: 1, failure: { ...late, handle: 1 } } : one;
    });
  const names = (families: ReadonlyMap<string, ParsedFamily>): (string | undefined)[] =>
    (families.get("libvirt_nova_instance_cpu_time_total")?.samples ?? [])
      .map(({ labels }) => labels["novaname"]);
  const first = await scrapeFamilies(scraper);
  assert.deepEqual(names(first), ["web-3"]);
  const incomplete = "libvirt_nova_exporter_instances_incomplete";
  assert.equal(valueOf(first, incomplete, { reason: "unread" }), 2);
  assert.equal(valueOf(first, "libvirt_nova_exporter_instances"), 3);
  const misses = "libvirt_nova_exporter_definition_cache_misses_total";
  assert.equal(valueOf(first, misses), 1);
  hypervisor.describe = describe;
  const second = await scrapeFamilies(scraper);
  assert.deepEqual(names(second), ["web-1", "web-2", "web-3"]);
  assert.equal(valueOf(second, misses), 3);
  // What was read once stays, when reading it again takes too long.
  hypervisor.changed = new Set([numberedUuid(1)]);
  hypervisor.describe = (_, handles) => Promise.resolve([...handles].map((handle) => ({ handle })));
  assert.deepEqual(names(await scrapeFamilies(scraper)), ["web-1", "web-2", "web-3"]);
});

Deno.test("definitions have a deadline of their own, so that the values have time", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const given: number[] = [];
  const { describe } = hypervisor;
  hypervisor.describe = (question, handles) => {
    given.push(question.timeoutMilliseconds);
    return describe.call(hypervisor, question, handles);
  };
  await newScraper(hypervisor, { timeoutMilliseconds: 10_000 }).scrape();
  assert.ok((given[0] ?? NaN) > 0 && (given[0] ?? NaN) <= 4_500, `${given}`);
});

Deno.test("an instance that ends while it is asked about is not on the page, and is no error", async () => {
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

Deno.test("metadata that is newer than any known is told once for all instances, and is no problem of any", async () => {
  const newer = (number: number): FakeDomain => {
    const domain = fakeDomain(number);
    return { ...domain, xml: domain.xml.replace("nova/1.1", "nova/1.2") };
  };
  const hypervisor = new FakeHypervisor([newer(1), newer(2), fakeDomain(3)]);
  const lines: string[] = [];
  const warn = (message: string): void => void lines.push(message);
  const scraper = newScraper(hypervisor, { log: { ...SILENT, warn, error: warn } });
  await scraper.scrape();
  hypervisor.changed.add(numberedUuid(1));
  hypervisor.domains.push(newer(4));
  const families = await scrapeFamilies(scraper);
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? "", /version 1\.2, which is newer than those known/);
  const names = families.get("libvirt_nova_instance_cpu_time_total")?.samples
    .map(({ labels }) => labels["novaname"]);
  assert.deepEqual(names, ["web-1", "web-2", "web-3", "web-4"]);
  const kind = "definition_content";
  assert.equal(valueOf(families, "libvirt_nova_exporter_errors_total", { kind }), 0);
  assert.deepEqual(scraper.status.problems, []);
});

Deno.test("a change that only the statistics show is on the page after the next, and one that stays is read once", async () => {
  const collectors = COLLECTORS;
  const withDisk = (vcpus: number, source: string, current = vcpus): FakeDomain => ({
    ...fakeDomain(1),
    xml: `<domain type="kvm"><name>instance-1</name><vcpu current="${vcpus}">8</vcpu><devices>` +
      `<disk type="file" device="disk"><source file="${source}"/><target dev="vda"/></disk>` +
      `</devices></domain>`,
    numbers: { "vcpu.current": current, "block.count": 1, "block.0.rd.bytes": 1 },
    texts: { "block.0.name": "vda", "block.0.path": source },
  });
  const hypervisor = new FakeHypervisor([withDisk(1, "/a")]);
  const scraper = newScraper(hypervisor, { collectors });
  const page = async (): Promise<readonly unknown[]> => {
    const families = await scrapeFamilies(scraper);
    return [
      valueOf(families, "libvirt_nova_instance_vcpus"),
      families.get("libvirt_nova_instance_block_info")?.samples.map(({ labels }) =>
        labels["source"]
      ),
    ];
  };
  const reads = (): number => hypervisor.calls.filter((call) => call === "describe 1").length;
  assert.deepEqual(await page(), [1, ["/a"]]);
  hypervisor.domains[0] = withDisk(3, "/b");
  assert.deepEqual(await page(), [1, ["/a"]]);
  assert.deepEqual(await page(), [3, ["/b"]]);
  assert.equal(reads(), 2);
  hypervisor.domains[0] = withDisk(3, "/b", 4);
  for (let scrapes = 0; scrapes < 5; scrapes++) assert.deepEqual(await page(), [3, ["/b"]]);
  assert.equal(reads(), 3);
});

Deno.test("a definition that cannot be understood counts each time that it is read, though its text is the same", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1, { xml: "<domain" })]);
  const scraper = newScraper(hypervisor);
  const count = async (): Promise<number | undefined> =>
    valueOf(await scrapeFamilies(scraper), "libvirt_nova_exporter_errors_total", {
      kind: "definition_content",
    });
  assert.equal(await count(), 1);
  assert.equal(await count(), 1);
  hypervisor.changed.add(numberedUuid(1));
  assert.equal(await count(), 2);
});
