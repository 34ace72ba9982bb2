import { StatisticsGroup } from "../../libvirt/hypervisor.ts";
import { type Collector, counterRows, type Family, INSTANCE, NANOSECONDS } from "../family.ts";

const counter = counterRows("perf", INSTANCE, "perf.");
const seconds = (what: string, help: string, event: string): Family =>
  counter(`${what}_seconds`, help, "seconds", event, NANOSECONDS);

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
      "memory_bandwidth_bytes",
      "Bytes between the last-level cache and memory (event mbmt)",
      "bytes",
      "mbmt",
    ),
    counter(
      "memory_bandwidth_local_bytes",
      "Bytes between the last-level cache and the memory of its own node (event mbml)",
      "bytes",
      "mbml",
    ),
    counter("cache_misses", "Cache misses", "events", "cache_misses"),
    counter("cache_references", "Cache accesses", "events", "cache_references"),
    counter("instructions", "Instructions", "events", "instructions"),
    counter("cpu_cycles", "Processor cycles", "events", "cpu_cycles"),
    counter("branch_instructions", "Branches", "events", "branch_instructions"),
    counter("branch_misses", "Branches that were predicted wrongly", "events", "branch_misses"),
    counter("bus_cycles", "Bus cycles", "events", "bus_cycles"),
    counter(
      "stalled_cycles_frontend",
      "Cycles without an instruction to decode",
      "events",
      "stalled_cycles_frontend",
    ),
    counter(
      "stalled_cycles_backend",
      "Cycles without an instruction to complete",
      "events",
      "stalled_cycles_backend",
    ),
    counter(
      "reference_cpu_cycles",
      "Processor cycles at the nominal frequency",
      "events",
      "ref_cpu_cycles",
    ),
    seconds("cpu_clock", "Time of the processor's clock", "cpu_clock"),
    seconds("task_clock", "Time of the clock of the instance's tasks", "task_clock"),
    counter("page_faults", "Page faults on the host", "events", "page_faults"),
    counter(
      "page_faults_minor",
      "Page faults on the host that needed no disk",
      "events",
      "page_faults_min",
    ),
    counter(
      "page_faults_major",
      "Page faults on the host that needed a disk",
      "events",
      "page_faults_maj",
    ),
    counter("context_switches", "Switches between tasks", "events", "context_switches"),
    counter("cpu_migrations", "Moves to another processor", "events", "cpu_migrations"),
    counter("alignment_faults", "Alignment faults", "events", "alignment_faults"),
    counter("emulation_faults", "Emulation faults", "events", "emulation_faults"),
  ],
};
