import { StatisticsGroup } from "../../libvirt/hypervisor.ts";
import { type Collector, type Family, gaugeRows } from "../family.ts";
import { DISK } from "../label_sets.ts";

const gauge = gaugeRows(DISK, "limits.");
const bytes = (name: string, help: string, field: string): Family =>
  gauge(name, help, "bytes", field);
const count = (name: string, help: string, field: string): Family =>
  gauge(name, help, "segments", field);

/** What the storage behind a disk demands of requests; libvirt 11.10 and later tell it. */
export const blockLimits: Collector = {
  name: "block_limits",
  description: "disks: what their storage demands of requests (libvirt 11.10)",
  byDefault: false,
  groups: StatisticsGroup.block,
  families: [
    bytes(
      "libvirt_nova_instance_block_limit_request_alignment_bytes",
      "Alignment of requests",
      "request_alignment",
    ),
    bytes(
      "libvirt_nova_instance_block_limit_discard_maximum_bytes",
      "Largest discard",
      "discard_max",
    ),
    bytes(
      "libvirt_nova_instance_block_limit_discard_alignment_bytes",
      "Alignment of discards",
      "discard_alignment",
    ),
    bytes(
      "libvirt_nova_instance_block_limit_write_zeroes_maximum_bytes",
      "Largest write of zeroes",
      "write_zeroes_max",
    ),
    bytes(
      "libvirt_nova_instance_block_limit_write_zeroes_alignment_bytes",
      "Alignment of writes of zeroes",
      "write_zeroes_alignment",
    ),
    bytes(
      "libvirt_nova_instance_block_limit_transfer_optimal_bytes",
      "Best size of a transfer",
      "transfer_optimal",
    ),
    bytes(
      "libvirt_nova_instance_block_limit_transfer_maximum_bytes",
      "Largest transfer",
      "transfer_max",
    ),
    bytes(
      "libvirt_nova_instance_block_limit_transfer_hardware_maximum_bytes",
      "Largest transfer of the hardware",
      "transfer_hw_max",
    ),
    count(
      "libvirt_nova_instance_block_limit_segments_maximum",
      "Most segments of a request",
      "iov_max",
    ),
    count(
      "libvirt_nova_instance_block_limit_segments_hardware_maximum",
      "Most segments of the hardware",
      "iov_hw_max",
    ),
    bytes(
      "libvirt_nova_instance_block_limit_memory_alignment_minimum_bytes",
      "Least alignment of memory for requests",
      "memory_alignment_minimal",
    ),
    bytes(
      "libvirt_nova_instance_block_limit_memory_alignment_optimal_bytes",
      "Best alignment of memory for requests",
      "memory_alignment_optimal",
    ),
  ],
};
