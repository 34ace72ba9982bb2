import assert from "node:assert/strict";
import type { HostEntity } from "../../src/libvirt/hypervisor.ts";
import { sampleOf, sumOf } from "../../src/metrics/host.ts";
import { COLLECTORS } from "../../src/metrics/mod.ts";
import { Scraper } from "../../src/scrape/scraper.ts";
import { type FakeDomain, FakeHypervisor } from "../../testing/fake_hypervisor.ts";
import { novaDomainXml, numberedUuid } from "../../testing/nova_domain.ts";
import { parsePage } from "../../testing/parse_page.ts";
import { decodePage, scraperOptions } from "../../testing/scraper_options.ts";

const ENTITIES: readonly HostEntity[] = [
  {
    kind: "node",
    texts: { model: "x86_64", type: "QEMU" },
    numbers: {
      "cpus": 8,
      "memory": 16 * 2 ** 30,
      "megahertz": 2_400,
      "nodes": 2,
      "sockets": 1,
      "cores": 2,
      "threads": 2,
      "cpu.user": 5e9,
      "cpu.idle": 7_500_000_000,
      "memory.free": 1_024,
      "version.hypervisor": 7_002_022,
      "version.daemon": 9_000_000,
      "version.client": 12_008_001,
    },
  },
  { kind: "cell", texts: {}, numbers: { "cell": 0, "memory.total": 2_048, "memory.free": 1 } },
  { kind: "cell", texts: {}, numbers: { "cell": 1, "memory.total": 4_096 } },
  {
    kind: "storage_pool",
    texts: { name: 'po"ol', uuid: "u" },
    numbers: { state: 2, capacity: 100, allocation: 60, available: 40, volumes: 3 },
  },
  {
    kind: "storage_volume",
    texts: { pool: 'po"ol', name: "a.qcow2" },
    numbers: { type: 0, capacity: 10, allocation: 5 },
  },
  {
    kind: "network",
    texts: { name: "default", uuid: "n", bridge: "virbr0" },
    numbers: { active: 1, autostart: 0, persistent: 1 },
  },
];

function instance(number: number, project: string | undefined, state: number): FakeDomain {
  const uuid = numberedUuid(number);
  const name = `instance-${number}`;
  const nova = project === undefined ? {} : { novaName: name, novaProject: project };
  return {
    uuid,
    id: number,
    name,
    xml: novaDomainXml({ name, uuid, maximumVirtualCpus: 2, ...nova }),
    numbers: { "state.state": state },
  };
}

/** The page's samples without a libvirt name, as text. */
async function hostSamples(
  domains: readonly FakeDomain[],
  entities: readonly HostEntity[],
): Promise<readonly string[]> {
  const hypervisor = new FakeHypervisor(domains);
  hypervisor.entities = [...entities];
  const collection = await new Scraper(scraperOptions(hypervisor, COLLECTORS)).scrape();
  return [...parsePage(decodePage(collection.page("text"))).values()]
    .filter(({ name }) => /^libvirt_nova_(node|project|storage|network)/.test(name))
    .flatMap(({ samples }) => samples)
    .map(({ name, labels, value }) =>
      [name.replace("libvirt_nova_", ""), ...Object.values(labels), value].join(" ")
    );
}

Deno.test("the host's families say what libvirt says of it, in base units", async () => {
  const domains = [instance(1, "shop", 1), instance(2, "shop", 3), instance(3, undefined, 1)];
  const samples = await hostSamples(domains, ENTITIES);
  const project = "38bd8e984a3e435a87e950a441ee55aa";
  const expected = [
    "node_info x86_64 QEMU 7.2.22 9.0.0 12.8.1 1",
    "node_cpus 8",
    "node_cpu_frequency_hertz 2400000000",
    "node_numa_nodes 2",
    "node_memory_bytes 17179869184",
    "node_memory_free_bytes 1048576",
    "node_cpu_seconds_total user 5",
    "node_cpu_seconds_total idle 7.5",
    "node_cell_memory_bytes 0 2097152",
    "node_cell_memory_bytes 1 4194304",
    "node_cell_memory_free_bytes 0 1024",
    "node_instances running 2",
    "node_instances paused 1",
    "node_instances crashed 0",
    "node_vcpus_allocated 6",
    "node_memory_allocated_bytes 6442450944",
    "node_vcpus_overcommit_ratio 0.75",
    "node_memory_overcommit_ratio 0.375",
    `project_instances shop ${project} 2`,
    `project_vcpus shop ${project} 4`,
    `project_memory_bytes shop ${project} 4294967296`,
    'storage_pool_state_code po"ol 2',
    'storage_pool_capacity_bytes po"ol 100',
    'storage_pool_volumes po"ol 3',
    'storage_volume_capacity_bytes po"ol a.qcow2 10',
    'storage_volume_allocation_bytes po"ol a.qcow2 5',
    "network_info default n virbr0 1",
    "network_active default 1",
    "network_autostart default 0",
  ];
  for (const line of expected) assert.ok(samples.includes(line), line);
  for (const absent of ["cpu_seconds_total iowait", "cell_memory_free_bytes 1", "dhcp_leases"]) {
    assert.ok(!samples.some((line) => line.includes(absent)), absent);
  }
});

Deno.test("an instance that migrates takes of both hosts, and counts for its project where it runs", async () => {
  const project = "38bd8e984a3e435a87e950a441ee55aa";
  // On its way here, and gone on before all of its memory has followed.
  for (const reason of [2, 12]) {
    const elsewhere = instance(2, "shop", 3);
    const domains = [
      instance(1, "shop", 1),
      { ...elsewhere, numbers: { ...elsewhere.numbers, "state.reason": reason } },
    ];
    const samples = await hostSamples(domains, ENTITIES);
    for (
      const line of [
        `project_instances shop ${project} 1`,
        `project_vcpus shop ${project} 2`,
        `project_memory_bytes shop ${project} 2147483648`,
        "node_vcpus_allocated 4",
      ]
    ) assert.ok(samples.includes(line), line);
  }
});

Deno.test("what libvirt does not say of the host is no sample", async () => {
  assert.deepEqual(await hostSamples([], []), []);
  const node: HostEntity = { kind: "node", texts: {}, numbers: {} };
  assert.deepEqual(await hostSamples([], [node]), ["node_info      1"]);
});

Deno.test("the host's memory is that of which libvirt says what is free", async () => {
  const node: HostEntity = {
    kind: "node",
    texts: {},
    // libvirt's sum of the NUMA nodes is less where memory was plugged in.
    numbers: { "memory": 2 ** 30, "memory.total": 4 * 2 ** 20, "memory.free": 3 * 2 ** 20 },
  };
  const samples = await hostSamples([instance(1, "shop", 1)], [node]);
  assert.deepEqual(samples.filter((line) => /^node_memory_(bytes|free|overcommit)/.test(line)), [
    "node_memory_bytes 4294967296",
    "node_memory_free_bytes 3221225472",
    "node_memory_overcommit_ratio 0.5",
  ]);
});

Deno.test("what nothing tells apart is one series", async () => {
  const hypervisor = new FakeHypervisor([]);
  const texts = { pool: "images", name: "\uFFFD.qcow2" };
  hypervisor.entities = [1, 2].map((capacity) => ({
    kind: "storage_volume",
    texts,
    numbers: { capacity },
  }));
  const scraper = new Scraper(scraperOptions(hypervisor, COLLECTORS));
  const families = parsePage(decodePage((await scraper.scrape()).page("text")));
  const name = "libvirt_nova_storage_volume_capacity_bytes";
  assert.deepEqual(families.get(name)?.samples, [
    { name, labels: { pool: "images", volume: "\uFFFD.qcow2" }, value: 1 },
  ]);
});

Deno.test("sumOf() and sampleOf() make nothing of nothing", () => {
  assert.equal(sumOf([]), undefined);
  assert.equal(sumOf([undefined, undefined]), undefined);
  assert.equal(sumOf([1, undefined, 2]), 3);
  assert.deepEqual(sampleOf(undefined), []);
  assert.deepEqual(sampleOf(0), [{ labels: [], value: 0 }]);
});
