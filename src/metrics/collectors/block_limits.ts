import { StatisticsGroup } from "../../libvirt/hypervisor.ts";
import { DISK } from "../devices.ts";
import { type Collector, type Family, gaugeRows } from "../family.ts";

const gauge = gaugeRows("block_limit", DISK, "limits.");
const bytes = (what: string, help: string, field: string): Family =>
  gauge(`${what}_bytes`, help, "bytes", field);
const count = (what: string, help: string, field: string): Family =>
  gauge(what, help, "segments", field);

/** What the storage behind a disk demands of requests; libvirt 11.10 and later tell it. */
export const blockLimits: Collector = {
  name: "block_limits",
  description: "disks: what their storage demands of requests (libvirt 11.10)",
  byDefault: false,
  groups: StatisticsGroup.block,
  families: [
    bytes("request_alignment", "Alignment of requests", "request_alignment"),
    bytes("discard_maximum", "Largest discard", "discard_max"),
    bytes("discard_alignment", "Alignment of discards", "discard_alignment"),
    bytes("write_zeroes_maximum", "Largest write of zeroes", "write_zeroes_max"),
    bytes("write_zeroes_alignment", "Alignment of writes of zeroes", "write_zeroes_alignment"),
    bytes("transfer_optimal", "Best size of a transfer", "transfer_optimal"),
    bytes("transfer_maximum", "Largest transfer", "transfer_max"),
    bytes("transfer_hardware_maximum", "Largest transfer of the hardware", "transfer_hw_max"),
    count("segments_maximum", "Most segments of a request", "iov_max"),
    count("segments_hardware_maximum", "Most segments of the hardware", "iov_hw_max"),
    bytes(
      "memory_alignment_minimum",
      "Least alignment of memory for requests",
      "memory_alignment_minimal",
    ),
    bytes(
      "memory_alignment_optimal",
      "Best alignment of memory for requests",
      "memory_alignment_optimal",
    ),
  ],
};
