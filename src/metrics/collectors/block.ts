import { DomainCall } from "../../libvirt/hypervisor.ts";
import { type Collector, counterRows, type Family, NANOSECONDS } from "../family.ts";
import { DISK, DISK_INFORMATION } from "../label_sets.ts";

const counter = counterRows(DISK);
const seconds = (name: string, help: string, field: string): Family =>
  counter(name, help, "seconds", field, NANOSECONDS);

/** What each disk does, and what it is. */
export const block: Collector = {
  name: "block",
  description: "disks: bytes, requests, times, errors, and what describes them",
  byDefault: true,
  groups: 0,
  domainCalls: DomainCall.blockCounters | DomainCall.blockTimes,
  families: [
    counter(
      "libvirt_nova_instance_block_read_bytes_total",
      "Bytes that the instance has read",
      "bytes",
      "rd.bytes",
    ),
    counter(
      "libvirt_nova_instance_block_written_bytes_total",
      "Bytes that the instance has written",
      "bytes",
      "wr.bytes",
    ),
    counter(
      "libvirt_nova_instance_block_read_requests_total",
      "Requests to read that have ended",
      "requests",
      "rd.reqs",
    ),
    counter(
      "libvirt_nova_instance_block_write_requests_total",
      "Requests to write that have ended",
      "requests",
      "wr.reqs",
    ),
    counter(
      "libvirt_nova_instance_block_flush_requests_total",
      "Requests to flush that have ended",
      "requests",
      "fl.reqs",
    ),
    seconds(
      "libvirt_nova_instance_block_read_seconds_total",
      "Time that requests to read took, added",
      "rd.times",
    ),
    seconds(
      "libvirt_nova_instance_block_write_seconds_total",
      "Time that requests to write took, added",
      "wr.times",
    ),
    seconds(
      "libvirt_nova_instance_block_flush_seconds_total",
      "Time that requests to flush took, added",
      "fl.times",
    ),
    counter(
      "libvirt_nova_instance_block_errors_total",
      "Errors, which only some hypervisors count (not QEMU)",
      "errors",
      "errors",
    ),
    {
      name: "libvirt_nova_instance_block_info",
      type: "info",
      help: "What a disk is; the value is always 1",
      unit: "1",
      labelSet: DISK_INFORMATION,
      source: { constant: 1 },
    },
  ],
};
