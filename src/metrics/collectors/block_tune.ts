import type { Collector, Family } from "../family.ts";
import { DESCRIBED_DISK } from "../label_sets.ts";
import type { IoTuneLimit } from "../../libvirt/domain_description.ts";

function limit(name: string, help: string, unit: string, element: IoTuneLimit): Family {
  return {
    name,
    type: "gauge",
    help,
    unit,
    labelSet: DESCRIBED_DISK,
    source: {
      path: `<iotune><${element}>`,
      part: ({ disks }, position) => disks[position]?.ioTune?.limits[element],
    },
  };
}

/** The limits that a disk has, such as those of a flavor's or a volume type's quality of service. */
export const blockTune: Collector = {
  name: "block_tune",
  description: "disks: limits of throughput, where some are set",
  byDefault: false,
  groups: 0,
  families: [
    limit(
      "libvirt_nova_instance_block_tune_total_bytes_per_second",
      "Limit of reading and writing in bytes",
      "bytes per second",
      "total_bytes_sec",
    ),
    limit(
      "libvirt_nova_instance_block_tune_total_burst_bytes_per_second",
      "What a burst of reading and writing may reach in bytes",
      "bytes per second",
      "total_bytes_sec_max",
    ),
    limit(
      "libvirt_nova_instance_block_tune_total_burst_bytes_seconds",
      "How long a burst of reading and writing in bytes may last",
      "seconds",
      "total_bytes_sec_max_length",
    ),
    limit(
      "libvirt_nova_instance_block_tune_total_requests_per_second",
      "Limit of reading and writing in requests",
      "requests per second",
      "total_iops_sec",
    ),
    limit(
      "libvirt_nova_instance_block_tune_total_burst_requests_per_second",
      "What a burst of reading and writing may reach in requests",
      "requests per second",
      "total_iops_sec_max",
    ),
    limit(
      "libvirt_nova_instance_block_tune_total_burst_requests_seconds",
      "How long a burst of reading and writing in requests may last",
      "seconds",
      "total_iops_sec_max_length",
    ),
    limit(
      "libvirt_nova_instance_block_tune_read_bytes_per_second",
      "Limit of reading in bytes",
      "bytes per second",
      "read_bytes_sec",
    ),
    limit(
      "libvirt_nova_instance_block_tune_read_burst_bytes_per_second",
      "What a burst of reading may reach in bytes",
      "bytes per second",
      "read_bytes_sec_max",
    ),
    limit(
      "libvirt_nova_instance_block_tune_read_burst_bytes_seconds",
      "How long a burst of reading in bytes may last",
      "seconds",
      "read_bytes_sec_max_length",
    ),
    limit(
      "libvirt_nova_instance_block_tune_read_requests_per_second",
      "Limit of reading in requests",
      "requests per second",
      "read_iops_sec",
    ),
    limit(
      "libvirt_nova_instance_block_tune_read_burst_requests_per_second",
      "What a burst of reading may reach in requests",
      "requests per second",
      "read_iops_sec_max",
    ),
    limit(
      "libvirt_nova_instance_block_tune_read_burst_requests_seconds",
      "How long a burst of reading in requests may last",
      "seconds",
      "read_iops_sec_max_length",
    ),
    limit(
      "libvirt_nova_instance_block_tune_write_bytes_per_second",
      "Limit of writing in bytes",
      "bytes per second",
      "write_bytes_sec",
    ),
    limit(
      "libvirt_nova_instance_block_tune_write_burst_bytes_per_second",
      "What a burst of writing may reach in bytes",
      "bytes per second",
      "write_bytes_sec_max",
    ),
    limit(
      "libvirt_nova_instance_block_tune_write_burst_bytes_seconds",
      "How long a burst of writing in bytes may last",
      "seconds",
      "write_bytes_sec_max_length",
    ),
    limit(
      "libvirt_nova_instance_block_tune_write_requests_per_second",
      "Limit of writing in requests",
      "requests per second",
      "write_iops_sec",
    ),
    limit(
      "libvirt_nova_instance_block_tune_write_burst_requests_per_second",
      "What a burst of writing may reach in requests",
      "requests per second",
      "write_iops_sec_max",
    ),
    limit(
      "libvirt_nova_instance_block_tune_write_burst_requests_seconds",
      "How long a burst of writing in requests may last",
      "seconds",
      "write_iops_sec_max_length",
    ),
    limit(
      "libvirt_nova_instance_block_tune_request_size_bytes",
      "Size up to which a request counts as one for the limits in requests",
      "bytes",
      "size_iops_sec",
    ),
  ],
};
