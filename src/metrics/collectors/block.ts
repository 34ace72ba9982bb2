import { DomainCall } from "../../libvirt/hypervisor.ts";
import { DISK } from "../devices.ts";
import {
  type Collector,
  counterRows,
  type Family,
  type Label,
  type LabelSet,
  NANOSECONDS,
} from "../family.ts";

const counter = counterRows("block", DISK);
const seconds = (what: string, help: string, field: string): Family =>
  counter(what, help, "seconds", field, NANOSECONDS);

/** One sample for each disk of the definition. */
const INFORMATION: LabelSet = {
  scope: "part",
  device: "disk",
  names: [
    "target_device",
    "device",
    "bus",
    "volume_id",
    "source_type",
    "source",
    "protocol",
    "driver",
    "cache",
    "discard",
    "io",
    "read_only",
    "shareable",
    "tune_group",
  ],
  count: ({ disks }) => disks.length,
  labels({ disks }, position): readonly Label[] | undefined {
    const disk = disks[position];
    if (disk === undefined) return undefined;
    return [
      ["target_device", disk.target],
      ["device", disk.device],
      ["bus", disk.bus],
      ["volume_id", disk.serial],
      ["source_type", disk.type],
      ["source", disk.source],
      ["protocol", disk.sourceProtocol],
      ["driver", disk.driverType],
      ["cache", disk.cache],
      ["discard", disk.discard],
      ["io", disk.io],
      ["read_only", String(disk.isReadOnly)],
      ["shareable", String(disk.isShareable)],
      ["tune_group", disk.ioTune?.groupName ?? ""],
    ];
  },
};

/** What each disk does, and what it is. */
export const block: Collector = {
  name: "block",
  description: "disks: bytes, requests, times, errors, and what describes them",
  byDefault: true,
  groups: 0,
  domainCalls: DomainCall.blockCounters | DomainCall.blockTimes,
  families: [
    counter("read_bytes", "Bytes that the instance has read", "bytes", "rd.bytes"),
    counter("written_bytes", "Bytes that the instance has written", "bytes", "wr.bytes"),
    counter("read_requests", "Requests to read that have ended", "requests", "rd.reqs"),
    counter("write_requests", "Requests to write that have ended", "requests", "wr.reqs"),
    counter("flush_requests", "Requests to flush that have ended", "requests", "fl.reqs"),
    seconds("read_seconds", "Time that requests to read took, added", "rd.times"),
    seconds("write_seconds", "Time that requests to write took, added", "wr.times"),
    seconds("flush_seconds", "Time that requests to flush took, added", "fl.times"),
    counter("errors", "Errors, which only some hypervisors count (not QEMU)", "errors", "errors"),
    {
      name: "libvirt_nova_instance_block_info",
      type: "info",
      help: "What a disk is; the value is always 1",
      unit: "1",
      labelSet: INFORMATION,
      source: { constant: 1 },
    },
  ],
};
