import { StatisticsGroup } from "../../libvirt/hypervisor.ts";
import { type Collector, type Family, type Label, type LabelSet, NANOSECONDS } from "../family.ts";

/** Kinds of requests: the word of the family's name, libvirt's word for histograms, and that for intervals. */
const KINDS = [
  ["read", "read", "rd"],
  ["write", "write", "wr"],
  ["flush", "flush", "flush"],
  ["zone_append", "zone_append", "zone_append"],
] as const;

function ofDisk(group: string, device: string, label: string): LabelSet {
  return {
    scope: "device",
    group,
    device,
    named: false,
    ownerName: ([disk = ""]) => `block.${disk}.name`,
    names: ["target_device", label],
    labels(domain, { path: [, number = "", target] }): readonly Label[] | undefined {
      return target !== undefined &&
          domain.description?.disks.some((disk) => disk.target === target)
        ? [["target_device", target], [label, number]]
        : undefined;
    },
  };
}

const INTERVAL = ofDisk("block.N.timed_group.N", "interval of a disk's statistics", "interval");

function histogram(kind: string, field: string): readonly Family[] {
  const labelSet = ofDisk(
    `block.N.latency_histogram.${field}.bin.N`,
    "bin of a disk's histogram",
    "bin",
  );
  const name = `libvirt_nova_instance_block_${kind}_latency_bin`;
  return [
    {
      name: `${name}_start_seconds`,
      type: "gauge",
      help: `Least latency of the requests (${kind}) in this bin; the next bin's is above all`,
      unit: "seconds",
      labelSet,
      source: { field: "start", conversion: NANOSECONDS },
    },
    {
      name: `${name}_requests_total`,
      type: "counter",
      help: `Requests (${kind}) whose latency was in this bin`,
      unit: "requests",
      labelSet,
      source: { field: "value" },
    },
  ];
}

function interval(kind: string, field: string): readonly Family[] {
  const latency = (what: string, word: string, suffix: string): Family => ({
    name: `libvirt_nova_instance_block_interval_${kind}_latency_${what}_seconds`,
    type: "gauge",
    help: `${word} latency of requests (${kind}) in the last interval`,
    unit: "seconds",
    labelSet: INTERVAL,
    source: { field: `${field}_latency_${suffix}`, conversion: NANOSECONDS },
  });
  return [
    latency("minimum", "Least", "min"),
    latency("maximum", "Greatest", "max"),
    latency("average", "Average", "avg"),
  ];
}

function queueDepth(kind: string, field: string): Family {
  return {
    name: `libvirt_nova_instance_block_interval_${kind}_queue_depth_average`,
    type: "gauge",
    help: `Average number of requests (${kind}) under way in the last interval`,
    unit: "requests",
    labelSet: INTERVAL,
    source: { field: `${field}_queue_depth_avg` },
  };
}

/**
 * Latencies of disks, where `<driver><statistics>` of the definition asks QEMU for them: in intervals (`<statistic
 * interval>` in seconds, libvirt 11.10) and in histograms (`<latency-histogram>`, libvirt 12.1). QEMU has all latencies in
 * nanoseconds. Source: `BlockDeviceTimedStats` and `BlockLatencyHistogramInfo` of QEMU's qapi/block-core.json.
 */
export const blockLatency: Collector = {
  name: "block_latency",
  description: "disks: latencies by interval and histogram (libvirt 11.10 and 12.1)",
  byDefault: false,
  groups: StatisticsGroup.block,
  families: [
    ...KINDS.flatMap(([kind, field]) => histogram(kind, field)),
    {
      name: "libvirt_nova_instance_block_interval_seconds",
      type: "gauge",
      help: "Length of the interval",
      unit: "seconds",
      labelSet: INTERVAL,
      source: { field: "interval" },
    },
    ...KINDS.flatMap(([kind, , field]) => interval(kind, field)),
    ...KINDS.filter(([kind]) => kind !== "flush").map(([kind, , field]) => queueDepth(kind, field)),
  ],
};
