/**
 * The samples that a page has to have, made from what virsh says. The names of all families stand here once more, since the
 * tests are to notice when one changes.
 *
 * @module
 */

import { deepStrictEqual as deepEqual, ok } from "node:assert/strict";
import type { AnsweredScrape } from "../../testing/exporter_process.ts";
import {
  type DiskFigures,
  type Figures,
  type GuestFigures,
  type InterfaceFigures,
  numberIn,
} from "./virsh_figures.ts";

/** Values by series. */
export type Samples = ReadonlyMap<string, number>;

/** Labels by name. */
export type Labels = Readonly<Record<string, string>>;

/** What a series is called here. */
export function seriesKey(family: string, labels: Labels): string {
  return `${family} ${JSON.stringify(Object.entries(labels).sort())}`;
}

/** The samples of a page whose family `isWanted`. */
export function valuesBySeries(
  page: AnsweredScrape,
  isWanted: (family: string) => boolean,
): Samples {
  const families = [...page.families.values()].filter(({ name }) => isWanted(name));
  return new Map(
    families.flatMap(({ samples }) => samples)
      .map(({ name, labels, value }) => [seriesKey(name, labels), value]),
  );
}

/**
 * Fails unless the page has the same series as virsh before and after, each with a value between virsh's two. Where virsh
 * says the same twice, as it does of what stands still, the value has to be that.
 */
export function assertBetween(actual: Samples, before: Samples, after: Samples): void {
  const without = (some: Samples, others: Samples): readonly string[] =>
    [...some.keys()].filter((series) => !others.has(series));
  deepEqual({ unexpected: without(actual, before), missing: without(before, actual) }, {
    unexpected: [],
    missing: [],
  });
  for (const [series, value] of actual) {
    const both = [before.get(series) ?? NaN, after.get(series) ?? NaN];
    const [low, high] = [Math.min(...both), Math.max(...both)];
    ok(low <= value && value <= high, `${series}: ${value} is not within ${low} and ${high}`);
  }
}

/** A family's name without what all instance families begin with, virsh's name, and what makes the unit of the one the other's. */
type Row = readonly [family: string, figure: string, factor?: number];

const KIBIBYTE = 1024;
const MEBIBYTE = 1024 * 1024;
/** Divisors, written as such because a product with `1e-9` would be another number. */
const NANOSECONDS = 1e9;
const MILLISECONDS = 1e3;

/** Of `domstats`. */
const BALLOON: readonly Row[] = [
  ["memory_current_bytes", "balloon.current", KIBIBYTE],
  ["memory_maximum_bytes", "balloon.maximum", KIBIBYTE],
];

/** Of `dommemstat`. */
const MEMORY: readonly Row[] = [
  ["memory_alloc_kb", "available"],
  ["memory_available_bytes", "available", KIBIBYTE],
  ["memory_unused_bytes", "unused", KIBIBYTE],
  ["memory_usable_bytes", "usable", KIBIBYTE],
  ["memory_disk_caches_bytes", "disk_caches", KIBIBYTE],
  ["memory_resident_bytes", "rss", KIBIBYTE],
  ["memory_last_update_timestamp_seconds", "last_update"],
  ["memory_swap_in_bytes_total", "swap_in", KIBIBYTE],
  ["memory_swap_out_bytes_total", "swap_out", KIBIBYTE],
  ["memory_major_faults_total", "major_fault"],
  ["memory_minor_faults_total", "minor_fault"],
  ["memory_hugetlb_allocations_total", "hugetlb_pgalloc"],
  ["memory_hugetlb_allocation_failures_total", "hugetlb_pgfail"],
];

/** Of `domstats`, in nanoseconds after `vcpu.N.`. */
const VIRTUAL_CPU_TIMES: readonly Row[] = [
  ["vcpu_seconds_total", "time"],
  ["vcpu_wait_seconds_total", "wait"],
  ["vcpu_steal_seconds_total", "delay"],
];

/** Of `domstats`. */
const INSTANCE_TIMES: readonly Row[] = [
  ["cpu_haltpoll_success_seconds_total", "cpu.haltpoll.success.time"],
  ["cpu_haltpoll_fail_seconds_total", "cpu.haltpoll.fail.time"],
  ["perf_cpu_clock_seconds_total", "perf.cpu_clock"],
  ["perf_task_clock_seconds_total", "perf.task_clock"],
];

/** Of `domstats`. */
const INSTANCE_NUMBERS: readonly Row[] = [
  ["perf_page_faults_total", "perf.page_faults"],
  ["perf_page_faults_minor_total", "perf.page_faults_min"],
  ["perf_page_faults_major_total", "perf.page_faults_maj"],
  ["perf_context_switches_total", "perf.context_switches"],
  ["perf_cpu_migrations_total", "perf.cpu_migrations"],
  ["perf_alignment_faults_total", "perf.alignment_faults"],
  ["perf_emulation_faults_total", "perf.emulation_faults"],
  ["dirtyrate_status_code", "dirtyrate.calc_status"],
  ["dirtyrate_start_seconds", "dirtyrate.calc_start_time"],
  ["dirtyrate_period_seconds", "dirtyrate.calc_period"],
  ["dirtyrate_bytes_per_second", "dirtyrate.megabytes_per_second", MEBIBYTE],
];

/** Of `domblkstat`. */
const BLOCK_COUNTERS: readonly Row[] = [
  ["block_read_bytes_total", "rd_bytes"],
  ["block_written_bytes_total", "wr_bytes"],
  ["block_read_requests_total", "rd_req"],
  ["block_write_requests_total", "wr_req"],
  ["block_flush_requests_total", "flush_operations"],
];

/** Likewise, in nanoseconds. */
const BLOCK_TIMES: readonly Row[] = [
  ["block_read_seconds_total", "rd_total_times"],
  ["block_write_seconds_total", "wr_total_times"],
  ["block_flush_seconds_total", "flush_total_times"],
];

/** Likewise, of the families with the older names and labels. */
const SEED_BLOCK: readonly Row[] = [
  ["rdbytes", "rd_bytes"],
  ["wrbytes", "wr_bytes"],
  ["rdreq", "rd_req"],
  ["wrreq", "wr_req"],
];

/** Of `domstats`, after `block.N.limits.`. */
const BLOCK_LIMITS: readonly Row[] = [
  ["request_alignment_bytes", "request_alignment"],
  ["discard_maximum_bytes", "discard_max"],
  ["discard_alignment_bytes", "discard_alignment"],
  ["write_zeroes_maximum_bytes", "write_zeroes_max"],
  ["write_zeroes_alignment_bytes", "write_zeroes_alignment"],
  ["transfer_optimal_bytes", "transfer_optimal"],
  ["transfer_maximum_bytes", "transfer_max"],
  ["transfer_hardware_maximum_bytes", "transfer_hw_max"],
  ["segments_maximum", "iov_max"],
  ["segments_hardware_maximum", "iov_hw_max"],
  ["memory_alignment_minimum_bytes", "memory_alignment_minimal"],
  ["memory_alignment_optimal_bytes", "memory_alignment_optimal"],
];

/** Of `domifstat`. */
const INTERFACE_COUNTERS: readonly Row[] = [
  ["interface_receive_bytes_total", "rx_bytes"],
  ["interface_receive_packets_total", "rx_packets"],
  ["interface_receive_errors_total", "rx_errs"],
  ["interface_receive_drops_total", "rx_drop"],
  ["interface_transmit_bytes_total", "tx_bytes"],
  ["interface_transmit_packets_total", "tx_packets"],
  ["interface_transmit_errors_total", "tx_errs"],
  ["interface_transmit_drops_total", "tx_drop"],
];

const SEED_INTERFACE: readonly Row[] = [["rxbytes", "rx_bytes"], ["txbytes", "tx_bytes"]];

/** Of `domiftune`, where 0 stands for no limit. */
const INTERFACE_TUNE: readonly Row[] = [
  ["interface_tune_receive_average_bytes_per_second", "inbound.average", 1000],
  ["interface_tune_receive_peak_bytes_per_second", "inbound.peak", 1000],
  ["interface_tune_receive_burst_bytes", "inbound.burst", KIBIBYTE],
  ["interface_tune_receive_floor_bytes_per_second", "inbound.floor", 1000],
  ["interface_tune_transmit_average_bytes_per_second", "outbound.average", 1000],
  ["interface_tune_transmit_peak_bytes_per_second", "outbound.peak", 1000],
  ["interface_tune_transmit_burst_bytes", "outbound.burst", KIBIBYTE],
];

/** Of `blkdeviotune`, where 0 stands for no limit. */
const BLOCK_TUNE: readonly Row[] = [
  ...["total", "read", "write"].flatMap((direction): readonly Row[] => [
    [`block_tune_${direction}_bytes_per_second`, `${direction}_bytes_sec`],
    [`block_tune_${direction}_burst_bytes_per_second`, `${direction}_bytes_sec_max`],
    [`block_tune_${direction}_burst_bytes_seconds`, `${direction}_bytes_sec_max_length`],
    [`block_tune_${direction}_requests_per_second`, `${direction}_iops_sec`],
    [`block_tune_${direction}_burst_requests_per_second`, `${direction}_iops_sec_max`],
    [`block_tune_${direction}_burst_requests_seconds`, `${direction}_iops_sec_max_length`],
  ]),
  ["block_tune_request_size_bytes", "size_iops_sec"],
];

/** Of `domjobinfo --rawstats`. */
const JOB: readonly Row[] = [
  ["job_type_code", "Job type"],
  ["job_operation_code", "operation"],
  ...["data", "memory", "disk"].flatMap((what): readonly Row[] => [
    [`job_${what}_total_bytes`, `${what}_total`],
    [`job_${what}_processed_bytes`, `${what}_processed`],
    [`job_${what}_remaining_bytes`, `${what}_remaining`],
  ]),
  ["job_memory_constant_pages", "memory_constant"],
  ["job_memory_normal_pages", "memory_normal"],
  ["job_memory_normal_bytes", "memory_normal_bytes"],
  ["job_memory_bytes_per_second", "memory_bps"],
  ["job_memory_dirty_pages_per_second", "memory_dirty_rate"],
  ["job_memory_page_size_bytes", "memory_page_size"],
  ["job_memory_iteration", "memory_iteration"],
  ["job_memory_postcopy_requests", "memory_postcopy_requests"],
  ["job_disk_bytes_per_second", "disk_bps"],
  ["job_compression_bytes", "compression_bytes"],
  ["job_compression_pages", "compression_pages"],
  ["job_auto_converge_throttle_ratio", "auto_converge_throttle", 1 / 100],
  ["job_vfio_data_transferred_bytes", "vfio_data_transferred"],
];

/** Likewise, in milliseconds. */
const JOB_TIMES: readonly Row[] = [
  ["job_elapsed_seconds", "time_elapsed"],
  ["job_remaining_seconds", "time_remaining"],
  ["job_downtime_seconds", "downtime"],
  ["job_setup_seconds", "setup_time"],
];

/** What a test knows of a guest because it has defined it so. */
export interface KnownGuest {
  /** `libvirtname`, `novaname` and `novaproject`. */
  readonly identity: Labels;
  /** All further labels of `libvirt_nova_instance_info`. */
  readonly information: Labels;
  /** Values of families without a figure of virsh's, by the family's name without its beginning. */
  readonly values: Readonly<Record<string, number>>;
  /** By target: all further labels of `libvirt_nova_instance_block_info`. */
  readonly disks: Readonly<Record<string, Labels>>;
  /** By target: all further labels of `libvirt_nova_instance_interface_info`. */
  readonly interfaces: Readonly<Record<string, Labels>>;
}

/** A guest's samples, from what virsh says of it, and what is known of it. */
export function expectedSamples(guest: KnownGuest, figures: GuestFigures): Samples {
  const samples = new Map<string, number>();
  const add = (family: string, value: number | undefined, labels: Labels = {}): void => {
    if (value === undefined) return;
    const key = seriesKey(`libvirt_nova_instance_${family}`, { ...guest.identity, ...labels });
    samples.set(key, value);
  };
  const { statistics, memory } = figures;
  addInstance(add, guest, figures);
  addRows(add, statistics, BALLOON);
  addRows(add, memory, MEMORY);
  addDerivedMemory(add, memory);
  addRows(add, statistics, INSTANCE_NUMBERS);
  addTimes(add, statistics, INSTANCE_TIMES, NANOSECONDS);
  addVirtualCpus(add, figures);
  addIothreads(add, statistics);
  addRows(add, figures.job, JOB);
  addTimes(add, figures.job, JOB_TIMES, MILLISECONDS);
  let position = 0;
  for (const [target, disk] of figures.disks) {
    addDisk(add, target, guest.disks[target] ?? {}, disk);
    addDiskSizes(add, target, statistics, position++);
  }
  for (const [target, device] of figures.interfaces) {
    addInterface(add, target, guest.interfaces[target] ?? {}, device);
  }
  return samples;
}

type Add = (family: string, value: number | undefined, labels?: Labels) => void;

function addRows(add: Add, figures: Figures, rows: readonly Row[], labels: Labels = {}): void {
  for (const [family, figure, factor = 1] of rows) {
    const value = numberIn(figures, figure);
    add(family, value === undefined ? undefined : value * factor, labels);
  }
}

function addTimes(
  add: Add,
  figures: Figures,
  rows: readonly Row[],
  perSecond: number,
  labels: Labels = {},
): void {
  for (const [family, figure] of rows) {
    const value = numberIn(figures, figure);
    add(family, value === undefined ? undefined : value / perSecond, labels);
  }
}

/** virsh has a 0 where no limit is set. */
function addLimits(add: Add, figures: Figures, rows: readonly Row[], labels: Labels): void {
  addRows(add, figures, rows.filter(([, figure]) => figures.get(figure) !== "0"), labels);
}

const STATE_CODES: Readonly<Record<string, number>> = {
  "running": 1,
  "paused": 3,
  "shut off": 5,
};

function addInstance(add: Add, guest: KnownGuest, figures: GuestFigures): void {
  const nanoseconds = (figure: string): number =>
    Math.round((numberIn(figures.processor, figure) ?? NaN) * NANOSECONDS);
  const [active, maximum] = figures.virtualCpus;
  const [, state = "", reason = ""] = /^(.*) \((.*)\)$/.exec(figures.state) ?? [];
  add("info", 1, guest.information);
  for (const [family, value] of Object.entries(guest.values)) add(family, value);
  add("state_code", STATE_CODES[state]);
  add("state_info", 1, {
    state: state.replace(" ", ""),
    reason: reason.replaceAll(" ", "_"),
  });
  add("cpu_time_total", nanoseconds("cpu_time"));
  add("cpu_seconds_total", nanoseconds("cpu_time") / NANOSECONDS);
  add("cpu_user_seconds_total", nanoseconds("user_time") / NANOSECONDS);
  add("cpu_system_seconds_total", nanoseconds("system_time") / NANOSECONDS);
  add("vcpus", active);
  for (const family of ["vcpus_maximum", "vcpu_count", "total_vcpu"]) add(family, maximum);
  add("snapshots", figures.snapshots);
  add("checkpoints", figures.checkpoints);
  if (figures.iothreads > 0) add("iothreads", figures.iothreads);
  add("scrape_success", 1);
}

function addDerivedMemory(add: Add, memory: Figures): void {
  const [available, unused, usable] = ["available", "unused", "usable"].map((name) =>
    numberIn(memory, name)
  );
  if (available === undefined || unused === undefined || usable === undefined) return;
  add("memory_cache_used_kb", available - unused);
  add("memory_used_kb", available - usable);
  add("memory_used_bytes", (available - usable) * KIBIBYTE);
  add("memory_used_ratio", (available - usable) / available);
}

function addVirtualCpus(add: Add, { statistics, placement }: GuestFigures): void {
  for (let number = 0; number < (numberIn(statistics, "vcpu.maximum") ?? 0); number++) {
    const prefixed = (rows: readonly Row[]): readonly Row[] =>
      rows.map(([family, figure]) => [family, `vcpu.${number}.${figure}`]);
    const labels = { vcpu: String(number) };
    addTimes(add, statistics, prefixed(VIRTUAL_CPU_TIMES), NANOSECONDS, labels);
    addRows(add, statistics, prefixed([["vcpu_state_code", "state"]]), labels);
    add("vcpu_physical_cpu", placement[number], labels);
  }
}

function addIothreads(add: Add, statistics: Figures): void {
  for (const figure of statistics.keys()) {
    const iothread = /^iothread\.(\d+)\.poll-max-ns$/.exec(figure)?.[1];
    if (iothread === undefined) continue;
    const field = (name: string): string => `iothread.${iothread}.${name}`;
    const polling: Row = ["iothread_poll_maximum_seconds", field("poll-max-ns")];
    addTimes(add, statistics, [polling], NANOSECONDS, { iothread });
    addRows(add, statistics, [
      ["iothread_poll_grow", field("poll-grow")],
      ["iothread_poll_shrink", field("poll-shrink")],
      ["iothread_poll_weight", field("poll-weight")],
    ], { iothread });
  }
}

function addDisk(add: Add, target: string, description: Labels, disk: DiskFigures): void {
  const labels = { "target_device": target };
  addRows(add, disk.counters, BLOCK_COUNTERS, labels);
  addTimes(add, disk.counters, BLOCK_TIMES, NANOSECONDS, labels);
  addRows(add, disk.counters, SEED_BLOCK, {
    targetdev: target,
    cindervolume: description["volume_id"] ?? "",
    disktype: description["source_type"] ?? "",
  });
  addRows(add, disk.size, [["block_capacity_bytes", "Capacity"]], labels);
  addLimits(add, disk.tune, BLOCK_TUNE, labels);
  add("block_info", 1, { ...labels, ...description });
}

/** libvirt has two accounts of these: `domblkinfo` measures files itself, `domstats` has what QEMU says of them. */
function addDiskSizes(add: Add, target: string, statistics: Figures, position: number): void {
  addRows(add, statistics, [
    ["block_allocation_bytes", `block.${position}.allocation`],
    ["block_physical_bytes", `block.${position}.physical`],
    ["block_threshold_bytes", `block.${position}.threshold`],
    ...BLOCK_LIMITS.map(([family, figure]): Row => [
      `block_limit_${family}`,
      `block.${position}.limits.${figure}`,
    ]),
  ], { "target_device": target });
}

function addInterface(
  add: Add,
  target: string,
  description: Labels,
  device: InterfaceFigures,
): void {
  const labels = { "target_device": target };
  addRows(add, device.counters, INTERFACE_COUNTERS, labels);
  addRows(add, device.counters, SEED_INTERFACE, {
    iface: target,
    macaddr: description["mac_address"] ?? "",
  });
  addLimits(add, device.tune, INTERFACE_TUNE, labels);
  add("interface_link_up", device.isUp ? 1 : 0, labels);
  add("interface_info", 1, { ...labels, ...description });
}
