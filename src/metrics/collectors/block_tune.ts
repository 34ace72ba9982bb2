import type { IoTuneLimit } from "../../libvirt/domain_xml.ts";
import { DESCRIBED_DISK } from "../devices.ts";
import type { Collector, Family } from "../family.ts";

function family(what: string, help: string, unit: string, limit: IoTuneLimit): Family {
  return {
    name: `libvirt_nova_instance_block_tune_${what}`,
    type: "gauge",
    help,
    unit,
    labelSet: DESCRIBED_DISK,
    source: {
      path: `<iotune><${limit}>`,
      part: ({ disks }, position) => disks[position]?.ioTune?.limits[limit],
    },
  };
}

const DIRECTIONS = [
  ["total", "reading and writing"],
  ["read", "reading"],
  ["write", "writing"],
] as const;

function limits(direction: typeof DIRECTIONS[number][0], of: string): readonly Family[] {
  const bytes = `${direction}_bytes_sec` as const;
  const requests = `${direction}_iops_sec` as const;
  return [
    family(
      `${direction}_bytes_per_second`,
      `Limit of ${of} in bytes`,
      "bytes per second",
      bytes,
    ),
    family(
      `${direction}_burst_bytes_per_second`,
      `What a burst of ${of} may reach in bytes`,
      "bytes per second",
      `${bytes}_max`,
    ),
    family(
      `${direction}_burst_bytes_seconds`,
      `How long a burst of ${of} in bytes may last`,
      "seconds",
      `${bytes}_max_length`,
    ),
    family(
      `${direction}_requests_per_second`,
      `Limit of ${of} in requests`,
      "requests per second",
      requests,
    ),
    family(
      `${direction}_burst_requests_per_second`,
      `What a burst of ${of} may reach in requests`,
      "requests per second",
      `${requests}_max`,
    ),
    family(
      `${direction}_burst_requests_seconds`,
      `How long a burst of ${of} in requests may last`,
      "seconds",
      `${requests}_max_length`,
    ),
  ];
}

/** The limits that a disk has, such as those of a flavor's or a volume type's quality of service. */
export const blockTune: Collector = {
  name: "block_tune",
  description: "disks: limits of throughput, where some are set",
  byDefault: false,
  groups: 0,
  families: [
    ...DIRECTIONS.flatMap(([direction, of]) => limits(direction, of)),
    family(
      "request_size_bytes",
      "Size up to which a request counts as one for the limits in requests",
      "bytes",
      "size_iops_sec",
    ),
  ],
};
