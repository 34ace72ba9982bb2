import { StatisticsGroup } from "../../libvirt/hypervisor.ts";
import type { Collector, LabelSet } from "../family.ts";

/** One sample for each NUMA node that a monitor of the definition's `<memorytune>` watches. */
const NODE: LabelSet = {
  scope: "device",
  group: "memory.bandwidth.monitor.N.node.N",
  device: "NUMA node of a monitor",
  named: false,
  ownerName: ([monitor = ""]) => `memory.bandwidth.monitor.${monitor}.name`,
  names: ["monitor", "node"],
  labels: (_domain, { path: [number = "", node = "", name = number] }) => [
    ["monitor", name],
    ["node", node],
  ],
};

/** Traffic between processor and memory, where `<memorytune>` has monitors (resctrl). */
export const memoryBandwidth: Collector = {
  name: "memory_bandwidth",
  description: "traffic between processor and memory (resctrl)",
  byDefault: false,
  groups: StatisticsGroup.memory,
  families: [
    {
      name: "libvirt_nova_instance_memory_bandwidth_bytes_total",
      type: "counter",
      help: "Bytes that the vCPUs of the monitor moved from and to memory",
      unit: "bytes",
      labelSet: NODE,
      source: { field: "bytes.total" },
    },
    {
      name: "libvirt_nova_instance_memory_bandwidth_local_bytes_total",
      type: "counter",
      help: "Bytes that the vCPUs of the monitor moved from and to memory of their own node",
      unit: "bytes",
      labelSet: NODE,
      source: { field: "bytes.local" },
    },
  ],
};
