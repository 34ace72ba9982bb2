import { DomainCall, StatisticsGroup } from "../../libvirt/hypervisor.ts";
import { type Collector, counterRows, type Family, NANOSECONDS } from "../family.ts";
import { VIRTUAL_CPU } from "../label_sets.ts";

const counter = counterRows(VIRTUAL_CPU);
const seconds = (name: string, help: string, field: string): Family =>
  counter(name, help, "seconds", field, NANOSECONDS);

/** Each vCPU, the time that the host withheld from it included. */
export const vcpu: Collector = {
  name: "vcpu",
  description: "each vCPU, with its steal time",
  byDefault: false,
  groups: StatisticsGroup.vcpu,
  domainCalls: DomainCall.vcpuPlacement,
  families: [
    seconds(
      "libvirt_nova_instance_vcpu_seconds_total",
      "Processor time of the vCPU",
      "time",
    ),
    // libvirt's manual calls it waiting for I/O, but it is `wait_sum` of /proc/PID/task/TID/sched: waiting for a processor.
    seconds(
      "libvirt_nova_instance_vcpu_wait_seconds_total",
      "Time that the vCPU waited for a processor as the kernel's scheduler statistics tell; 0 where " +
        "those are off (sysctl kernel.sched_schedstats)",
      "wait",
    ),
    seconds(
      "libvirt_nova_instance_vcpu_steal_seconds_total",
      "Time that the vCPU was ready to run while the host ran something else",
      "delay",
    ),
    {
      name: "libvirt_nova_instance_vcpu_state_code",
      type: "gauge",
      help: "State of the vCPU: 0 offline, 1 running, 2 blocked",
      unit: "code",
      labelSet: VIRTUAL_CPU,
      source: { field: "state" },
    },
    {
      name: "libvirt_nova_instance_vcpu_halted",
      type: "gauge",
      help: "Whether the vCPU is halted",
      unit: "1 or 0",
      labelSet: VIRTUAL_CPU,
      source: { field: "halted" },
    },
    {
      name: "libvirt_nova_instance_vcpu_physical_cpu",
      type: "gauge",
      help: "Number of the host's processor that the vCPU ran on last",
      unit: "number",
      labelSet: VIRTUAL_CPU,
      source: { field: "cpu" },
    },
  ],
};
