import { StatisticsGroup } from "../../libvirt/hypervisor.ts";
import type { Collector, LabelSet } from "../family.ts";

/** One sample for each bank of the processor's cache that a monitor of the definition's `<cachetune>` watches. */
const BANK: LabelSet = {
  scope: "device",
  group: "cpu.cache.monitor.N.bank.N",
  device: "cache bank of a monitor",
  named: false,
  ownerName: ([monitor = ""]) => `cpu.cache.monitor.${monitor}.name`,
  names: ["monitor", "bank"],
  labels: (_domain, { path: [number = "", bank = "", name = number] }) => [
    ["monitor", name],
    ["bank", bank],
  ],
};

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
      labelSet: BANK,
      source: { field: "bytes" },
    },
  ],
};
