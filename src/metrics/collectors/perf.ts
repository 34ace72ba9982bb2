import { StatisticsGroup } from "../../libvirt/hypervisor.ts";
import { type Collector, counterRows, type Family, INSTANCE, NANOSECONDS } from "../family.ts";

const counter = counterRows(INSTANCE, "perf.");
const seconds = (name: string, help: string, event: string): Family =>
  counter(name, help, "seconds", event, NANOSECONDS);

/** Events that the kernel counts for an instance, those that somebody has enabled (`virsh perf`, Nova's flavors). */
export const perf: Collector = {
  name: "perf",
  description: "performance events that are enabled for the instance",
  byDefault: false,
  groups: StatisticsGroup.perf,
  families: [
    {
      name: "libvirt_nova_instance_perf_cache_occupancy_bytes",
      type: "gauge",
      help: "Last-level cache that the instance occupies (event cmt)",
      unit: "bytes",
      labelSet: INSTANCE,
      source: { field: "perf.cmt" },
    },
    counter(
      "libvirt_nova_instance_perf_memory_bandwidth_bytes_total",
      "Bytes between the last-level cache and memory (event mbmt)",
      "bytes",
      "mbmt",
    ),
    counter(
      "libvirt_nova_instance_perf_memory_bandwidth_local_bytes_total",
      "Bytes between the last-level cache and the memory of its own node (event mbml)",
      "bytes",
      "mbml",
    ),
    counter(
      "libvirt_nova_instance_perf_cache_misses_total",
      "Cache misses",
      "events",
      "cache_misses",
    ),
    counter(
      "libvirt_nova_instance_perf_cache_references_total",
      "Cache accesses",
      "events",
      "cache_references",
    ),
    counter(
      "libvirt_nova_instance_perf_instructions_total",
      "Instructions",
      "events",
      "instructions",
    ),
    counter(
      "libvirt_nova_instance_perf_cpu_cycles_total",
      "Processor cycles",
      "events",
      "cpu_cycles",
    ),
    counter(
      "libvirt_nova_instance_perf_branch_instructions_total",
      "Branches",
      "events",
      "branch_instructions",
    ),
    counter(
      "libvirt_nova_instance_perf_branch_misses_total",
      "Branches that were predicted wrongly",
      "events",
      "branch_misses",
    ),
    counter(
      "libvirt_nova_instance_perf_bus_cycles_total",
      "Bus cycles",
      "events",
      "bus_cycles",
    ),
    counter(
      "libvirt_nova_instance_perf_stalled_cycles_frontend_total",
      "Cycles without an instruction to decode",
      "events",
      "stalled_cycles_frontend",
    ),
    counter(
      "libvirt_nova_instance_perf_stalled_cycles_backend_total",
      "Cycles without an instruction to complete",
      "events",
      "stalled_cycles_backend",
    ),
    counter(
      "libvirt_nova_instance_perf_reference_cpu_cycles_total",
      "Processor cycles at the nominal frequency",
      "events",
      "ref_cpu_cycles",
    ),
    seconds(
      "libvirt_nova_instance_perf_cpu_clock_seconds_total",
      "Time of the processor's clock",
      "cpu_clock",
    ),
    seconds(
      "libvirt_nova_instance_perf_task_clock_seconds_total",
      "Time of the clock of the instance's tasks",
      "task_clock",
    ),
    counter(
      "libvirt_nova_instance_perf_page_faults_total",
      "Page faults on the host",
      "events",
      "page_faults",
    ),
    counter(
      "libvirt_nova_instance_perf_page_faults_minor_total",
      "Page faults on the host that needed no disk",
      "events",
      "page_faults_min",
    ),
    counter(
      "libvirt_nova_instance_perf_page_faults_major_total",
      "Page faults on the host that needed a disk",
      "events",
      "page_faults_maj",
    ),
    counter(
      "libvirt_nova_instance_perf_context_switches_total",
      "Switches between tasks",
      "events",
      "context_switches",
    ),
    counter(
      "libvirt_nova_instance_perf_cpu_migrations_total",
      "Moves to another processor",
      "events",
      "cpu_migrations",
    ),
    counter(
      "libvirt_nova_instance_perf_alignment_faults_total",
      "Alignment faults",
      "events",
      "alignment_faults",
    ),
    counter(
      "libvirt_nova_instance_perf_emulation_faults_total",
      "Emulation faults",
      "events",
      "emulation_faults",
    ),
  ],
};
