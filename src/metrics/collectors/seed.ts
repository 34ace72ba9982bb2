import { USED_MEMORY } from "./memory.ts";
import { DomainCall, StatisticsGroup } from "../../libvirt/hypervisor.ts";
import { type Collector, type Family, INSTANCE } from "../family.ts";
import { LEGACY_DISK, LEGACY_INTERFACE } from "../label_sets.ts";

const MAXIMUM_VCPUS: Pick<Family, "type" | "unit" | "labelSet" | "source"> = {
  type: "gauge",
  unit: "vCPUs",
  labelSet: INSTANCE,
  // The maximum of a running domain cannot change, so the cached definition has it without a call.
  source: { path: "<vcpu>", definition: (domain) => domain.maximumVirtualCpus },
};

/** The families of the exporters that this one takes over from, with their names, labels and units. */
export const seed: Collector = {
  name: "seed",
  description: "the families of the exporters that this one takes over from",
  byDefault: true,
  groups: StatisticsGroup.balloon | StatisticsGroup.interface,
  domainCalls: DomainCall.cpuTime | DomainCall.blockCounters,
  families: [
    {
      name: "libvirt_nova_instance_cpu_time_total",
      type: "counter",
      help: "instance vcpu time",
      unit: "nanoseconds",
      labelSet: INSTANCE,
      source: { field: "cpu.time" },
    },
    {
      name: "libvirt_nova_instance_memory_alloc_kb",
      type: "gauge",
      help: "instance memory allocated",
      unit: "KiB",
      labelSet: INSTANCE,
      source: { field: "balloon.available" },
    },
    {
      name: "libvirt_nova_instance_memory_cache_used_kb",
      type: "gauge",
      help: "instance memory used including buffers/cache",
      unit: "KiB",
      labelSet: INSTANCE,
      source: { field: "balloon.available", minus: "balloon.unused" },
    },
    {
      name: "libvirt_nova_instance_memory_used_kb",
      type: "gauge",
      help: "instance memory used without buffers/cache",
      unit: "KiB",
      labelSet: INSTANCE,
      source: USED_MEMORY,
    },
    {
      name: "libvirt_nova_instance_vcpu_count",
      help: "instance vcpu allocated",
      ...MAXIMUM_VCPUS,
    },
    {
      name: "libvirt_nova_instance_total_vcpu",
      help: "instance vcpu allocated (the older name of libvirt_nova_instance_vcpu_count)",
      ...MAXIMUM_VCPUS,
    },
    {
      name: "libvirt_nova_instance_rxbytes",
      type: "counter",
      help: "bytes received by the instance",
      unit: "bytes",
      labelSet: LEGACY_INTERFACE,
      source: { field: "rx.bytes" },
    },
    {
      name: "libvirt_nova_instance_txbytes",
      type: "counter",
      help: "bytes sent by the instance",
      unit: "bytes",
      labelSet: LEGACY_INTERFACE,
      source: { field: "tx.bytes" },
    },
    {
      name: "libvirt_nova_instance_rdbytes",
      type: "counter",
      help: "bytes read by the instance",
      unit: "bytes",
      labelSet: LEGACY_DISK,
      source: { field: "rd.bytes" },
    },
    {
      name: "libvirt_nova_instance_wrbytes",
      type: "counter",
      help: "bytes written by the instance",
      unit: "bytes",
      labelSet: LEGACY_DISK,
      source: { field: "wr.bytes" },
    },
    {
      name: "libvirt_nova_instance_rdreq",
      type: "counter",
      help: "read requests of the instance",
      unit: "requests",
      labelSet: LEGACY_DISK,
      source: { field: "rd.reqs" },
    },
    {
      name: "libvirt_nova_instance_wrreq",
      type: "counter",
      help: "write requests of the instance",
      unit: "requests",
      labelSet: LEGACY_DISK,
      source: { field: "wr.reqs" },
    },
  ],
};
