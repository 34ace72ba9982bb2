import { StatisticsGroup } from "../../libvirt/hypervisor.ts";
import type { Collector, Family, LabelSet } from "../family.ts";

const INSTANCE_STATISTIC: LabelSet = {
  scope: "device",
  group: "vm.*",
  device: "statistic that the hypervisor has",
  named: false,
  names: ["statistic"],
  labels: (_domain, { path: [statistic = ""] }) => [["statistic", statistic]],
};

const VIRTUAL_CPU_STATISTIC: LabelSet = {
  scope: "device",
  group: "vcpu.N.*",
  device: "statistic that the hypervisor has of a vCPU",
  named: false,
  names: ["vcpu", "statistic"],
  labels: (_domain, { path: [vcpu = "", statistic = ""] }) => [
    ["vcpu", vcpu],
    ["statistic", statistic],
  ],
};

function families(prefix: string, of: string, labelSet: LabelSet): readonly Family[] {
  const family = (
    suffix: string,
    type: "counter" | "gauge",
    help: string,
    field: string,
  ): Family => ({
    name: `libvirt_nova_instance_${prefix}hypervisor_statistic${suffix}`,
    type,
    help: `${help} of ${of} under the hypervisor's own name, in a unit of its own`,
    unit: "the hypervisor's",
    labelSet,
    source: { field },
  });
  return [
    family("_total", "counter", "Sum", "sum"),
    family("_current", "gauge", "Present value", "cur"),
    family("_maximum", "gauge", "Greatest value", "max"),
  ];
}

/** What KVM counts, under the names that it has for it: exits, interrupts, flushes and so on. */
export const hypervisor: Collector = {
  name: "hypervisor",
  description: "what the hypervisor itself counts, such as KVM's exits (libvirt 8.9)",
  byDefault: false,
  groups: StatisticsGroup.vm | StatisticsGroup.vcpu,
  families: [
    ...families("", "an instance", INSTANCE_STATISTIC),
    ...families("vcpu_", "a vCPU", VIRTUAL_CPU_STATISTIC),
  ],
};
