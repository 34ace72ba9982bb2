import { StatisticsGroup } from "../../libvirt/hypervisor.ts";
import { type Collector, INSTANCE, type LabelSet, NANOSECONDS } from "../family.ts";

const IOTHREAD: LabelSet = {
  scope: "device",
  group: "iothread.N",
  device: "I/O thread",
  named: false,
  names: ["iothread"],
  labels: (_domain, { path: [iothread = ""] }) => [["iothread", iothread]],
};

/** QEMU's I/O threads and how they poll. */
export const iothread: Collector = {
  name: "iothread",
  description: "I/O threads and how they poll",
  byDefault: false,
  groups: StatisticsGroup.iothread,
  families: [
    {
      name: "libvirt_nova_instance_iothreads",
      type: "gauge",
      help: "I/O threads of the instance",
      unit: "number",
      labelSet: INSTANCE,
      source: { field: "iothread.count" },
    },
    {
      name: "libvirt_nova_instance_iothread_poll_maximum_seconds",
      type: "gauge",
      help: "Longest time that the thread polls for; 0 when it does not poll",
      unit: "seconds",
      labelSet: IOTHREAD,
      source: { field: "poll-max-ns", conversion: NANOSECONDS },
    },
    {
      name: "libvirt_nova_instance_iothread_poll_grow",
      type: "gauge",
      help: "Factor by which the polling time grows; 0 for QEMU's default",
      unit: "factor",
      labelSet: IOTHREAD,
      source: { field: "poll-grow" },
    },
    {
      name: "libvirt_nova_instance_iothread_poll_shrink",
      type: "gauge",
      help: "Divisor by which the polling time shrinks; 0 for QEMU's default",
      unit: "divisor",
      labelSet: IOTHREAD,
      source: { field: "poll-shrink" },
    },
  ],
};
