import { StatisticsGroup } from "../../libvirt/hypervisor.ts";
import type { Collector } from "../family.ts";
import { MONITORED_NODE } from "../label_sets.ts";

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
      labelSet: MONITORED_NODE,
      source: { field: "bytes.total" },
    },
    {
      name: "libvirt_nova_instance_memory_bandwidth_local_bytes_total",
      type: "counter",
      help: "Bytes that the vCPUs of the monitor moved from and to memory of their own node",
      unit: "bytes",
      labelSet: MONITORED_NODE,
      source: { field: "bytes.local" },
    },
  ],
};
