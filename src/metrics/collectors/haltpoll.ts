import { StatisticsGroup } from "../../libvirt/hypervisor.ts";
import { type Collector, INSTANCE, NANOSECONDS } from "../family.ts";

/** What KVM's polling before it halts a vCPU costs. */
export const haltpoll: Collector = {
  name: "haltpoll",
  description: "time that KVM polls before it halts a vCPU",
  byDefault: false,
  groups: StatisticsGroup.cpu,
  families: [
    {
      name: "libvirt_nova_instance_cpu_haltpoll_success_seconds_total",
      type: "counter",
      help: "Time of polling before a halt that was worth it",
      unit: "seconds",
      labelSet: INSTANCE,
      source: { field: "cpu.haltpoll.success.time", conversion: NANOSECONDS },
    },
    {
      name: "libvirt_nova_instance_cpu_haltpoll_fail_seconds_total",
      type: "counter",
      help: "Time of polling before a halt that was in vain",
      unit: "seconds",
      labelSet: INSTANCE,
      source: { field: "cpu.haltpoll.fail.time", conversion: NANOSECONDS },
    },
  ],
};
