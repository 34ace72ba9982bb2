import assert from "node:assert/strict";
import { block } from "../../src/metrics/collectors/block.ts";
import { COLLECTORS } from "../../src/metrics/mod.ts";
import { Scraper } from "../../src/scrape/scraper.ts";
import { type FakeDomain, FakeHypervisor } from "../../testing/fake_hypervisor.ts";
import { novaDomainXml, numberedUuid } from "../../testing/nova_domain.ts";
import { type ParsedFamily, parsePage, valueOf } from "../../testing/parse_page.ts";
import { decodePage, scraperOptions, SILENT } from "../../testing/scraper_options.ts";
import { fakeDomain } from "../../testing/fake_domain.ts";
import { newScraper, scrapeFamilies } from "./scrape_fixture.ts";
import { ALL_DOMAINS, type DomainFilterOptions } from "../../src/config/config.ts";

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

Deno.test("the disks of a rescued instance tell which of them are the rescue's", async () => {
  const xml = Deno.readTextFileSync(new URL("../fixtures/nova-26/rescue.xml", import.meta.url));
  const hypervisor = new FakeHypervisor([fakeDomain(1, { xml })]);
  const families = await scrapeFamilies(new Scraper(scraperOptions(hypervisor, [block])));
  const samples = families.get("libvirt_nova_instance_block_info")?.samples ?? [];
  assert.deepEqual(
    samples.map(({ labels }) => [labels["target_device"], labels["rescue"]]),
    [["vda", "true"], ["vdb", "false"]],
  );
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
  const active = await scrapeWith(false);
  assert.deepEqual(namesIn(active, "state_code"), ["instance-1"]);
  // That nobody asked for them does not mean that there are none.
  assert.equal(valueOf(active, "libvirt_nova_node_instances", { state: "shutoff" }), undefined);
  assert.equal(valueOf(active, "libvirt_nova_node_instances", { state: "running" }), 1);
  assert.equal(valueOf(active, "libvirt_nova_node_instances", { state: "crashed" }), 0);
});

Deno.test("instances that are shut off are filtered by their present names, and those that run are not even read", async () => {
  const off = (number: number, name: string, xml?: string): FakeDomain =>
    fakeDomain(number, {
      id: -1,
      name,
      xml: xml ?? novaDomainXml({ name, uuid: numberedUuid(number) }),
      numbers: { "state.state": 5, "state.reason": 2 },
      texts: {},
    });
  const hypervisor = new FakeHypervisor([
    off(1, "kept-1"),
    off(2, "backup-2"),
    off(3, "backup-3", "<domain"),
    fakeDomain(4, { name: "backup-4" }),
  ]);
  const lines: string[] = [];
  const warn = (message: string): void => void lines.push(message);
  const options = scraperOptions(hypervisor, COLLECTORS, {
    inactive: true,
    filter: { ...ALL_DOMAINS, exclude: /^backup/u },
    log: { ...SILENT, warn, error: warn },
  });
  const scraper = new Scraper(options);
  const exported = async (): Promise<readonly unknown[]> => {
    const families = await scrapeFamilies(scraper);
    const samples = families.get("libvirt_nova_instance_state_code")?.samples ?? [];
    return [
      ...samples.map(({ labels }) => labels["libvirtname"]),
      valueOf(families, "libvirt_nova_exporter_instances_filtered"),
    ];
  };
  assert.deepEqual(await exported(), ["kept-1", 3]);
  // The list goes on with the names that it had at first.
  hypervisor.domains[0] = off(1, "backup-1");
  hypervisor.domains[1] = off(2, "kept-2");
  hypervisor.changed = new Set([numberedUuid(1), numberedUuid(2)]);
  assert.deepEqual(await exported(), ["kept-2", 3]);
  assert.deepEqual(await exported(), ["kept-2", 3]);
  assert.deepEqual(hypervisor.calls.filter((call) => call.startsWith("describe")), [
    "describe 1",
    "describe 2",
    // Those that the filter leaves out come last.
    "describe 1",
    "describe 1",
  ]);
  // What is left out concerns nobody.
  assert.deepEqual(lines, []);
  assert.deepEqual(scraper.status.problems, []);
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

Deno.test("filters that leave out all instances are told once, and on the page for people", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1), fakeDomain(2)]);
  const lines: (readonly [string, unknown])[] = [];
  const note = (message: string, fields?: Readonly<Record<string, unknown>>): void => {
    lines.push([message, fields?.["reason"]]);
  };
  const scraper = newScraper(hypervisor, {
    filter: { ...ALL_DOMAINS, projectInclude: /^demonstration$/u },
    log: { ...SILENT, warn: note, info: note },
  });
  for (let scrapes = 0; scrapes < 3; scrapes++) await scraper.scrape();
  const message = "No instance passes the filters";
  const reason = "2 left out by --domain.project-include";
  assert.deepEqual(lines, [[message, reason]]);
  const { instances, filtered, problems } = scraper.status;
  const texts = problems.map(({ text }) => text);
  assert.deepEqual([instances, filtered, texts], [0, 2, [`${message}: ${reason}`]]);
  hypervisor.domains = [];
  await scraper.scrape();
  assert.deepEqual(lines.slice(1), [[`Over: ${message}`, reason]]);
});
