import { StatisticsGroup } from "../../libvirt/hypervisor.ts";
import type { Collector } from "../family.ts";
import { CACHE_BANK } from "../label_sets.ts";

/** Occupancy of the processor's cache, where `<cachetune>` has monitors (resctrl). */
export const cacheMonitor: Collector = {
  name: "cache_monitor",
  description: "occupancy of the processor's cache (resctrl)",
  byDefault: false,
  groups: StatisticsGroup.cpu,
  families: [
    {
      name: "libvirt_nova_instance_cpu_cache_monitor_bytes",
      type: "gauge",
      help: "Cache that the vCPUs of the monitor occupy",
      unit: "bytes",
      labelSet: CACHE_BANK,
      source: { field: "bytes" },
    },
  ],
};
