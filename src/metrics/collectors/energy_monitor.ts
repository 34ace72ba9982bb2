import { StatisticsGroup } from "../../libvirt/hypervisor.ts";
import type { Collector } from "../family.ts";
import { PROCESSOR_PACKAGE } from "../label_sets.ts";

/** Energy that processors take, where `<energytune>` has monitors (resctrl of Linux 7.0). */
export const energyMonitor: Collector = {
  name: "energy_monitor",
  description: "energy that the processor's cores take (resctrl, libvirt 12.4)",
  byDefault: false,
  groups: StatisticsGroup.cpu,
  families: [
    {
      name: "libvirt_nova_instance_cpu_energy_monitor_joules_total",
      type: "counter",
      help: "Energy that processor cores took for the vCPUs of the monitor, without memory and " +
        "the cache that cores share",
      unit: "joules",
      labelSet: PROCESSOR_PACKAGE,
      source: { field: "core_energy" },
    },
    {
      name: "libvirt_nova_instance_cpu_energy_monitor_activity_farads_total",
      type: "counter",
      help:
        "Work that processor cores did for the vCPUs of the monitor, whatever their frequency " +
        "was, as the capacitance that they switched",
      unit: "farads",
      labelSet: PROCESSOR_PACKAGE,
      source: { field: "activity" },
    },
  ],
};
