import { StatisticsGroup } from "../../libvirt/hypervisor.ts";
import { type Collector, counterRows, gaugeRows } from "../family.ts";
import { INSTANCE_STATISTIC, VIRTUAL_CPU_STATISTIC } from "../label_sets.ts";

const OF_INSTANCE = "of an instance under the hypervisor's own name, in a unit of its own";
const OF_VIRTUAL_CPU = "of a vCPU under the hypervisor's own name, in a unit of its own";

const UNIT = "the hypervisor's";

const counter = counterRows(INSTANCE_STATISTIC);
const gauge = gaugeRows(INSTANCE_STATISTIC);
const virtualCpuCounter = counterRows(VIRTUAL_CPU_STATISTIC);
const virtualCpuGauge = gaugeRows(VIRTUAL_CPU_STATISTIC);

/** What KVM counts, under the names that it has for it: exits, interrupts, flushes and so on. */
export const hypervisor: Collector = {
  name: "hypervisor",
  description: "what the hypervisor itself counts, such as KVM's exits (libvirt 8.9)",
  byDefault: false,
  groups: StatisticsGroup.vm | StatisticsGroup.vcpu,
  families: [
    counter("libvirt_nova_instance_hypervisor_statistic_total", `Sum ${OF_INSTANCE}`, UNIT, "sum"),
    gauge(
      "libvirt_nova_instance_hypervisor_statistic_current",
      `Present value ${OF_INSTANCE}`,
      UNIT,
      "cur",
    ),
    gauge(
      "libvirt_nova_instance_hypervisor_statistic_maximum",
      `Greatest value ${OF_INSTANCE}`,
      UNIT,
      "max",
    ),
    virtualCpuCounter(
      "libvirt_nova_instance_vcpu_hypervisor_statistic_total",
      `Sum ${OF_VIRTUAL_CPU}`,
      UNIT,
      "sum",
    ),
    virtualCpuGauge(
      "libvirt_nova_instance_vcpu_hypervisor_statistic_current",
      `Present value ${OF_VIRTUAL_CPU}`,
      UNIT,
      "cur",
    ),
    virtualCpuGauge(
      "libvirt_nova_instance_vcpu_hypervisor_statistic_maximum",
      `Greatest value ${OF_VIRTUAL_CPU}`,
      UNIT,
      "max",
    ),
  ],
};
