import { StatisticsGroup } from "../../libvirt/hypervisor.ts";
import {
  type Collector,
  type Family,
  gaugeRows,
  INSTANCE,
  KIBIBYTES,
  type StatisticsSource,
} from "../family.ts";

/** What the guest says that it uses, less what it could free without swapping, in KiB. */
export const USED_MEMORY = {
  field: "balloon.available",
  minus: "balloon.usable",
} as const satisfies StatisticsSource;

/** The same in bytes. */
export const USED_BYTES: StatisticsSource = { ...USED_MEMORY, conversion: KIBIBYTES };

const gauge = gaugeRows(INSTANCE, "balloon.");
const bytes = (name: string, help: string, field: string): Family =>
  gauge(name, help, "bytes", field, KIBIBYTES);

/** Memory as the balloon and the guest's balloon driver tell it. */
export const memory: Collector = {
  name: "memory",
  description: "memory, from the balloon and the guest's driver for it",
  byDefault: true,
  groups: StatisticsGroup.balloon,
  families: [
    bytes(
      "libvirt_nova_instance_memory_current_bytes",
      "Memory that the balloon leaves to the instance now",
      "current",
    ),
    bytes(
      "libvirt_nova_instance_memory_maximum_bytes",
      "Memory that the instance can have",
      "maximum",
    ),
    bytes(
      "libvirt_nova_instance_memory_available_bytes",
      "Memory that the guest's kernel has for use",
      "available",
    ),
    bytes(
      "libvirt_nova_instance_memory_unused_bytes",
      "Memory that the guest does not use at all, not even for caches",
      "unused",
    ),
    bytes(
      "libvirt_nova_instance_memory_usable_bytes",
      "Memory that the guest could use without swapping",
      "usable",
    ),
    bytes(
      "libvirt_nova_instance_memory_disk_caches_bytes",
      "Memory that the guest uses for disk caches",
      "disk_caches",
    ),
    bytes(
      "libvirt_nova_instance_memory_resident_bytes",
      "Memory of the host that the instance's process takes; huge pages are not counted",
      "rss",
    ),
    {
      name: "libvirt_nova_instance_memory_used_bytes",
      type: "gauge",
      help: "Memory that the guest uses, less what it could free without swapping",
      unit: "bytes",
      labelSet: INSTANCE,
      source: USED_BYTES,
    },
    {
      name: "libvirt_nova_instance_memory_used_ratio",
      type: "gauge",
      help: "Share of the guest's memory that it uses, less what it could free without swapping",
      unit: "ratio",
      labelSet: INSTANCE,
      source: { ...USED_MEMORY, over: USED_MEMORY.field },
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
