import { StatisticsGroup } from "../../libvirt/hypervisor.ts";
import { type Collector, INSTANCE, NANOSECONDS } from "../family.ts";
import { IO_THREAD } from "../label_sets.ts";

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
      labelSet: IO_THREAD,
      source: { field: "poll-max-ns", conversion: NANOSECONDS },
    },
    {
      name: "libvirt_nova_instance_iothread_poll_grow",
      type: "gauge",
      help: "Factor by which the polling time grows; 0 for QEMU's default",
      unit: "factor",
      labelSet: IO_THREAD,
      source: { field: "poll-grow" },
    },
    {
      name: "libvirt_nova_instance_iothread_poll_shrink",
      type: "gauge",
      help: "Divisor by which the polling time shrinks; 0 for QEMU's default",
      unit: "divisor",
      labelSet: IO_THREAD,
      source: { field: "poll-shrink" },
    },
    {
      name: "libvirt_nova_instance_iothread_poll_weight",
      type: "gauge",
      help:
        "Shift that lowers the weight of the newest interval when the polling time is adapted; " +
        "0 for QEMU's default (libvirt 12.7)",
      unit: "bits",
      labelSet: IO_THREAD,
      source: { field: "poll-weight" },
    },
  ],
};
