import { StatisticsGroup } from "../../libvirt/hypervisor.ts";
import { type Collector, type Family, gaugeRows, INSTANCE, KIBIBYTES } from "../family.ts";

const gauge = gaugeRows("memory", INSTANCE, "balloon.");
const bytes = (what: string, help: string, field: string): Family =>
  gauge(`${what}_bytes`, help, "bytes", field, KIBIBYTES);

/** Memory as the balloon and the guest's balloon driver tell it. */
export const memory: Collector = {
  name: "memory",
  description: "memory, from the balloon and the guest's driver for it",
  byDefault: true,
  groups: StatisticsGroup.balloon,
  families: [
    bytes("current", "Memory that the balloon leaves to the instance now", "current"),
    bytes("maximum", "Memory that the instance can have", "maximum"),
    bytes("available", "Memory that the guest's kernel has for use", "available"),
    bytes("unused", "Memory that the guest does not use at all, not even for caches", "unused"),
    bytes("usable", "Memory that the guest could use without swapping", "usable"),
    bytes("disk_caches", "Memory that the guest uses for disk caches", "disk_caches"),
    bytes("resident", "Memory of the host that the instance's process takes", "rss"),
    {
      name: "libvirt_nova_instance_memory_used_bytes",
      type: "gauge",
      help: "Memory that the guest uses, less what it could free without swapping",
      unit: "bytes",
      labelSet: INSTANCE,
      source: { field: "balloon.available", minus: "balloon.usable", conversion: KIBIBYTES },
    },
    {
      name: "libvirt_nova_instance_memory_used_ratio",
      type: "gauge",
      help: "Share of the guest's memory that it uses, less what it could free without swapping",
      unit: "ratio",
      labelSet: INSTANCE,
      source: {
        field: "balloon.available",
        minus: "balloon.usable",
        over: "balloon.available",
      },
    },
    {
      name: "libvirt_nova_instance_memory_last_update_timestamp_seconds",
      type: "gauge",
      help: "When the guest last told these figures, in Unix time; 0 when it never did",
      unit: "seconds",
      labelSet: INSTANCE,
      source: { field: "balloon.last-update" },
    },
  ],
};
