import { DomainCall } from "../../libvirt/hypervisor.ts";
import { type Collector, INSTANCE, NANOSECONDS } from "../family.ts";

/** Processor time in base units, and how many vCPUs there are. */
export const cpu: Collector = {
  name: "cpu",
  description: "processor time and number of vCPUs",
  byDefault: true,
  groups: 0,
  domainCalls: DomainCall.cpuTime,
  families: [
    {
      name: "libvirt_nova_instance_cpu_seconds_total",
      type: "counter",
      help: "Processor time of the instance, its vCPUs and its emulator together",
      unit: "seconds",
      labelSet: INSTANCE,
      source: { field: "cpu.time", conversion: NANOSECONDS },
    },
    {
      name: "libvirt_nova_instance_cpu_user_seconds_total",
      type: "counter",
      help: "Processor time that the instance's processes on the host spent in user mode",
      unit: "seconds",
      labelSet: INSTANCE,
      source: { field: "cpu.user", conversion: NANOSECONDS },
    },
    {
      name: "libvirt_nova_instance_cpu_system_seconds_total",
      type: "counter",
      help: "Processor time that the instance's processes on the host spent in the kernel",
      unit: "seconds",
      labelSet: INSTANCE,
      source: { field: "cpu.system", conversion: NANOSECONDS },
    },
    {
      name: "libvirt_nova_instance_vcpus",
      type: "gauge",
      help: "vCPUs that are online",
      unit: "vCPUs",
      labelSet: INSTANCE,
      source: { path: "<vcpu current>", definition: (domain) => domain.currentVirtualCpus },
    },
    {
      name: "libvirt_nova_instance_vcpus_maximum",
      type: "gauge",
      help: "vCPUs that the instance can have",
      unit: "vCPUs",
      labelSet: INSTANCE,
      source: { path: "<vcpu>", definition: (domain) => domain.maximumVirtualCpus },
    },
  ],
};
