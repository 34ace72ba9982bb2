/**
 * Families of what the libvirt or the guests of the tests against a real hypervisor do not have: fields that came after
 * libvirt 9.0, and those that want KVM, resctrl, performance events, I/O threads, a migration or somebody's settings.
 *
 * @module
 */
import assert from "node:assert/strict";
import { job } from "../../src/metrics/collectors/job.ts";
import { COLLECTORS } from "../../src/metrics/mod.ts";
import { Scraper } from "../../src/scrape/scraper.ts";
import { type FakeDomain, FakeHypervisor } from "../../testing/fake_hypervisor.ts";
import { readLibvirtFields } from "../../testing/libvirt_fields.ts";
import { novaDomainXml, numberedUuid } from "../../testing/nova_domain.ts";
import { type ParsedFamily, parsePage } from "../../testing/parse_page.ts";
import { decodePage, scraperOptions } from "../../testing/scraper_options.ts";

const UUID = numberedUuid(1);
const NAME = "instance-00000001";
const IDENTITY = { libvirtname: NAME, novaname: "web", novaproject: "demo" };

/** What to do about a field that no row has. */
const ADD_ROW = "add a row for each to ROWS in tests/metrics/new_fields_test.ts";

/** One field and what it becomes. */
type Row = readonly [
  field: string,
  value: number,
  family: string,
  labels: Readonly<Record<string, string>>,
  expected: number,
];

const KINDS = [["read", "rd"], ["write", "wr"], ["zone_append", "zone_append"]] as const;
const DISK = { "target_device": "vda" };

const ROWS: readonly (readonly [since: string, rows: readonly Row[]])[] = [
  ["libvirt 8.9, KVM: what the hypervisor counts", [
    ["vm.mmu_unsync.cur", 3, "hypervisor_statistic_current", { statistic: "mmu_unsync" }, 3],
    [
      "vm.remote_tlb_flush.sum",
      12,
      "hypervisor_statistic_total",
      { statistic: "remote_tlb_flush" },
      12,
    ],
    [
      "vm.max_mmu_rmap_size.max",
      7,
      "hypervisor_statistic_maximum",
      { statistic: "max_mmu_rmap_size" },
      7,
    ],
    [
      "vcpu.1.halt_exits.sum",
      40,
      "vcpu_hypervisor_statistic_total",
      { vcpu: "1", statistic: "halt_exits" },
      40,
    ],
    [
      "vcpu.0.guest_mode.cur",
      1,
      "vcpu_hypervisor_statistic_current",
      { vcpu: "0", statistic: "guest_mode" },
      1,
    ],
    [
      "vcpu.0.longest_exit.max",
      9,
      "vcpu_hypervisor_statistic_maximum",
      { vcpu: "0", statistic: "longest_exit" },
      9,
    ],
  ]],
  ["libvirt 11.10: limits of the storage", [
    ["block.0.limits.request_alignment", 512, "block_limit_request_alignment_bytes", DISK, 512],
    ["block.0.limits.discard_max", 1024, "block_limit_discard_maximum_bytes", DISK, 1024],
    ["block.0.limits.discard_alignment", 4096, "block_limit_discard_alignment_bytes", DISK, 4096],
    ["block.0.limits.write_zeroes_max", 2048, "block_limit_write_zeroes_maximum_bytes", DISK, 2048],
    [
      "block.0.limits.write_zeroes_alignment",
      64,
      "block_limit_write_zeroes_alignment_bytes",
      DISK,
      64,
    ],
    ["block.0.limits.transfer_optimal", 65536, "block_limit_transfer_optimal_bytes", DISK, 65536],
    ["block.0.limits.transfer_max", 131072, "block_limit_transfer_maximum_bytes", DISK, 131072],
    [
      "block.0.limits.transfer_hw_max",
      262144,
      "block_limit_transfer_hardware_maximum_bytes",
      DISK,
      262144,
    ],
    ["block.0.limits.iov_max", 1024, "block_limit_segments_maximum", DISK, 1024],
    ["block.0.limits.iov_hw_max", 168, "block_limit_segments_hardware_maximum", DISK, 168],
    [
      "block.0.limits.memory_alignment_minimal",
      1,
      "block_limit_memory_alignment_minimum_bytes",
      DISK,
      1,
    ],
    [
      "block.0.limits.memory_alignment_optimal",
      4097,
      "block_limit_memory_alignment_optimal_bytes",
      DISK,
      4097,
    ],
  ]],
  ["libvirt 11.10: statistics of intervals", [
    ["block.0.timed_group.0.interval", 60, "block_interval_seconds", {
      ...DISK,
      interval: "0",
    }, 60],
    ["block.0.timed_group.1.interval", 600, "block_interval_seconds", {
      ...DISK,
      interval: "1",
    }, 600],
    ...[...KINDS, ["flush", "flush"] as const].flatMap(([kind, field]): readonly Row[] =>
      ([["min", "minimum", 1], ["max", "maximum", 9], ["avg", "average", 5]] as const).map(
        ([suffix, what, value]) => [
          `block.0.timed_group.1.${field}_latency_${suffix}`,
          value * 1e6,
          `block_interval_${kind}_latency_${what}_seconds`,
          { ...DISK, interval: "1" },
          value / 1e3,
        ],
      )
    ),
    ...KINDS.map(([kind, field]): Row => [
      `block.0.timed_group.1.${field}_queue_depth_avg`,
      0.25,
      `block_interval_${kind}_queue_depth_average`,
      { ...DISK, interval: "1" },
      0.25,
    ]),
  ]],
  [
    "libvirt 12.1: histograms of latencies",
    ["read", "write", "flush", "zone_append"].flatMap((kind): readonly Row[] => [
      [
        `block.1.latency_histogram.${kind}.bin.0.start`,
        0,
        `block_${kind}_latency_bin_start_seconds`,
        { "target_device": "vdb", bin: "0" },
        0,
      ],
      [
        `block.1.latency_histogram.${kind}.bin.1.start`,
        10_000_000,
        `block_${kind}_latency_bin_start_seconds`,
        { "target_device": "vdb", bin: "1" },
        0.01,
      ],
      [
        `block.1.latency_histogram.${kind}.bin.1.value`,
        2131,
        `block_${kind}_latency_bin_requests_total`,
        { "target_device": "vdb", bin: "1" },
        2131,
      ],
    ]),
  ],
  ["libvirt 8.1: dirty rates of vCPUs", [
    ["dirtyrate.calc_status", 2, "dirtyrate_status_code", {}, 2],
    ["dirtyrate.calc_start_time", 1000, "dirtyrate_start_seconds", {}, 1000],
    ["dirtyrate.calc_period", 1, "dirtyrate_period_seconds", {}, 1],
    ["dirtyrate.megabytes_per_second", 2, "dirtyrate_bytes_per_second", {}, 2_097_152],
    [
      "dirtyrate.vcpu.1.megabytes_per_second",
      1,
      "vcpu_dirtyrate_bytes_per_second",
      { vcpu: "1" },
      1_048_576,
    ],
  ]],
  ["libvirt 7.6, KVM: polling before a halt", [
    ["cpu.haltpoll.success.time", 1_500_000_000, "cpu_haltpoll_success_seconds_total", {}, 1.5],
    ["cpu.haltpoll.fail.time", 500_000_000, "cpu_haltpoll_fail_seconds_total", {}, 0.5],
  ]],
  ["resctrl", [
    [
      "cpu.cache.monitor.0.bank.1.bytes",
      4096,
      "cpu_cache_monitor_bytes",
      { monitor: "vcpus_0-1", bank: "1" },
      4096,
    ],
    [
      "memory.bandwidth.monitor.0.node.1.bytes.total",
      300,
      "memory_bandwidth_bytes_total",
      { monitor: "vcpus_0", node: "1" },
      300,
    ],
    [
      "memory.bandwidth.monitor.0.node.1.bytes.local",
      100,
      "memory_bandwidth_local_bytes_total",
      { monitor: "vcpus_0", node: "1" },
      100,
    ],
  ]],
  ["libvirt 12.4, resctrl of Linux 7.0: energy", [
    [
      "cpu.energy.monitor.0.pkg.0.core_energy",
      0.02203,
      "cpu_energy_monitor_joules_total",
      { monitor: "vcpus_0-3", package: "0" },
      0.02203,
    ],
    [
      "cpu.energy.monitor.0.pkg.1.core_energy",
      1234.5,
      "cpu_energy_monitor_joules_total",
      { monitor: "vcpus_0-3", package: "1" },
      1234.5,
    ],
    [
      "cpu.energy.monitor.0.pkg.1.activity",
      0.75,
      "cpu_energy_monitor_activity_farads_total",
      { monitor: "vcpus_0-3", package: "1" },
      0.75,
    ],
  ]],
  ["I/O threads", [
    ["iothread.count", 2, "iothreads", {}, 2],
    ["iothread.2.poll-max-ns", 32_768, "iothread_poll_maximum_seconds", {
      iothread: "2",
    }, 0.000_032_768],
    ["iothread.2.poll-grow", 4, "iothread_poll_grow", { iothread: "2" }, 4],
    ["iothread.2.poll-shrink", 2, "iothread_poll_shrink", { iothread: "2" }, 2],
    ["iothread.2.poll-weight", 3, "iothread_poll_weight", { iothread: "2" }, 3],
  ]],
  ["performance events", [
    ["perf.cmt", 65536, "perf_cache_occupancy_bytes", {}, 65536],
    ["perf.mbmt", 11, "perf_memory_bandwidth_bytes_total", {}, 11],
    ["perf.mbml", 10, "perf_memory_bandwidth_local_bytes_total", {}, 10],
    ["perf.cache_misses", 12, "perf_cache_misses_total", {}, 12],
    ["perf.cache_references", 13, "perf_cache_references_total", {}, 13],
    ["perf.instructions", 14, "perf_instructions_total", {}, 14],
    ["perf.cpu_cycles", 15, "perf_cpu_cycles_total", {}, 15],
    ["perf.branch_instructions", 16, "perf_branch_instructions_total", {}, 16],
    ["perf.branch_misses", 17, "perf_branch_misses_total", {}, 17],
    ["perf.bus_cycles", 18, "perf_bus_cycles_total", {}, 18],
    ["perf.stalled_cycles_frontend", 19, "perf_stalled_cycles_frontend_total", {}, 19],
    ["perf.stalled_cycles_backend", 20, "perf_stalled_cycles_backend_total", {}, 20],
    ["perf.ref_cpu_cycles", 21, "perf_reference_cpu_cycles_total", {}, 21],
    ["perf.cpu_clock", 2_000_000_000, "perf_cpu_clock_seconds_total", {}, 2],
    ["perf.task_clock", 3_000_000_000, "perf_task_clock_seconds_total", {}, 3],
    ["perf.page_faults", 22, "perf_page_faults_total", {}, 22],
    ["perf.page_faults_min", 23, "perf_page_faults_minor_total", {}, 23],
    ["perf.page_faults_maj", 24, "perf_page_faults_major_total", {}, 24],
    ["perf.context_switches", 25, "perf_context_switches_total", {}, 25],
    ["perf.cpu_migrations", 26, "perf_cpu_migrations_total", {}, 26],
    ["perf.alignment_faults", 27, "perf_alignment_faults_total", {}, 27],
    ["perf.emulation_faults", 28, "perf_emulation_faults_total", {}, 28],
  ]],
  ["settings and other hypervisors than QEMU", [
    ["block.0.threshold", 1_000_000, "block_threshold_bytes", DISK, 1_000_000],
    ["block.0.errors", 2, "block_errors_total", DISK, 2],
    ["vcpu.1.halted", 1, "vcpu_halted", { vcpu: "1" }, 1],
    ["vcpu.1.delay", 2_500_000_000, "vcpu_steal_seconds_total", { vcpu: "1" }, 2.5],
    ["vcpu.1.wait", 250_000_000, "vcpu_wait_seconds_total", { vcpu: "1" }, 0.25],
  ]],
  ["a migration, and a backup", [
    ["job.type", 2, "job_type_code", {}, 2],
    ["job.operation", 5, "job_operation_code", {}, 5],
    ["job.time_elapsed", 1500, "job_elapsed_seconds", {}, 1.5],
    ["job.time_elapsed_net", 1400, "job_elapsed_net_seconds", {}, 1.4],
    ["job.time_remaining", 500, "job_remaining_seconds", {}, 0.5],
    ["job.downtime", 300, "job_downtime_seconds", {}, 0.3],
    ["job.downtime_net", 200, "job_downtime_net_seconds", {}, 0.2],
    ["job.setup_time", 7, "job_setup_seconds", {}, 0.007],
    ...["data", "memory", "disk"].flatMap((what, position): readonly Row[] => [
      [`job.${what}_total`, 100 + position, `job_${what}_total_bytes`, {}, 100 + position],
      [`job.${what}_processed`, 60 + position, `job_${what}_processed_bytes`, {}, 60 + position],
      [`job.${what}_remaining`, 40 + position, `job_${what}_remaining_bytes`, {}, 40 + position],
    ]),
    ["job.memory_constant", 5, "job_memory_constant_pages", {}, 5],
    ["job.memory_normal", 6, "job_memory_normal_pages", {}, 6],
    ["job.memory_normal_bytes", 24_576, "job_memory_normal_bytes", {}, 24_576],
    ["job.memory_bps", 1_000_000, "job_memory_bytes_per_second", {}, 1_000_000],
    ["job.memory_dirty_rate", 9, "job_memory_dirty_pages_per_second", {}, 9],
    ["job.memory_page_size", 4096, "job_memory_page_size_bytes", {}, 4096],
    ["job.memory_iteration", 3, "job_memory_iteration", {}, 3],
    ["job.memory_postcopy_requests", 8, "job_memory_postcopy_requests", {}, 8],
    ["job.disk_bps", 2_000_000, "job_disk_bytes_per_second", {}, 2_000_000],
    ["job.disk_temp_used", 71, "job_disk_temporary_used_bytes", {}, 71],
    ["job.disk_temp_total", 72, "job_disk_temporary_total_bytes", {}, 72],
    ["job.compression_cache", 67_108_864, "job_compression_cache_bytes", {}, 67_108_864],
    ["job.compression_bytes", 73, "job_compression_bytes", {}, 73],
    ["job.compression_pages", 74, "job_compression_pages", {}, 74],
    ["job.compression_cache_misses", 75, "job_compression_cache_misses", {}, 75],
    ["job.compression_overflow", 76, "job_compression_overflows", {}, 76],
    ["job.auto_converge_throttle", 20, "job_auto_converge_throttle_ratio", {}, 0.2],
    ["job.vfio_data_transferred", 81, "job_vfio_data_transferred_bytes", {}, 81],
  ]],
];

const TEXTS = {
  "block.0.name": "vda",
  "block.1.name": "vdb",
  "cpu.cache.monitor.0.name": "vcpus_0-1",
  "memory.bandwidth.monitor.0.name": "vcpus_0",
  "cpu.energy.monitor.0.name": "vcpus_0-3",
};

async function scrape(
  numbers: Readonly<Record<string, number>>,
  texts: Readonly<Record<string, string>> = TEXTS,
): Promise<ReadonlyMap<string, ParsedFamily>> {
  const domain: FakeDomain = {
    uuid: UUID,
    id: 1,
    name: NAME,
    xml: novaDomainXml({
      uuid: UUID,
      name: NAME,
      novaName: "web",
      disks: [{ target: "vda" }, { target: "vdb" }],
    }),
    numbers,
    texts,
  };
  const hypervisor = new FakeHypervisor([domain]);
  const collection = await new Scraper(scraperOptions(hypervisor, COLLECTORS)).scrape();
  return parsePage(decodePage(collection.page("text")));
}

for (const [since, rows] of ROWS) {
  Deno.test(`fields become the samples that they should: ${since}`, async () => {
    const page = await scrape(
      Object.fromEntries(rows.map(([field, value]) => [field, value] as const)),
    );
    const expected = new Map<string, unknown[]>();
    for (const [, , family, labels, value] of rows) {
      const name = `libvirt_nova_instance_${family}`;
      const sample = { name, labels: { ...IDENTITY, ...labels }, value };
      expected.set(name, [...expected.get(name) ?? [], sample]);
    }
    for (const [name, samples] of expected) {
      assert.deepEqual(page.get(name)?.samples, samples, name);
    }
  });
}

Deno.test("no row of these tests is of a field that libvirt does not have", () => {
  const known = new Set(readLibvirtFields().map(({ field }) => field));
  const unknown = ROWS.flatMap(([, rows]) => rows).map(([field]) => field)
    .filter((field) => field !== "job.type")
    .map((field) => field.replaceAll(/\.\d+(?=\.)/g, ".N"))
    .map((field) => field.replace(/^(vm|vcpu\.N)\.\w+\.(cur|sum|max)$/, "$1.*.$2"))
    .filter((field) => !known.has(field));
  assert.deepEqual(unknown, []);
});

Deno.test("every field of libvirt 11.10 and later that is exported is tested here", () => {
  const tested = new Set(
    ROWS.flatMap(([, rows]) => rows).map(([field]) => field.replaceAll(/\.\d+(?=\.)/g, ".N")),
  );
  const later = readLibvirtFields()
    .filter(({ since, field }) =>
      /^1[12]\.\d/.test(since) && !/\.(count|name|vcpus|id)$/.test(field)
    )
    .map(({ field }) => field);
  assert.equal(later.length, 39);
  assert.deepEqual(later.filter((field) => !tested.has(field)), [], ADD_ROW);
});

Deno.test("every field of a job that is exported is tested here", () => {
  const tested = new Set(ROWS.flatMap(([, rows]) => rows).map(([field]) => field));
  const exported = job.families.flatMap(({ source }) => "field" in source ? source.field : []);
  assert.ok(exported.length > 30);
  assert.deepEqual(exported.filter((field) => !tested.has(field)), [], ADD_ROW);
});

Deno.test("intervals and histograms of a disk that the definition lacks are no samples", async () => {
  const numbers = {
    "block.0.timed_group.0.interval": 60,
    "block.0.latency_histogram.read.bin.0.value": 1,
  };
  const page = await scrape(numbers, { "block.0.name": "vdz" });
  assert.equal(page.get("libvirt_nova_instance_block_interval_seconds"), undefined);
  assert.equal(page.get("libvirt_nova_instance_block_read_latency_bin_requests_total"), undefined);
});

Deno.test("a monitor of resctrl without a name has its number", async () => {
  const page = await scrape({ "cpu.cache.monitor.3.bank.0.bytes": 5 }, {});
  assert.deepEqual(
    page.get("libvirt_nova_instance_cpu_cache_monitor_bytes")?.samples.map(({ labels }) =>
      labels["monitor"]
    ),
    ["3"],
  );
});
