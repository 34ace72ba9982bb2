import { StatisticsGroup } from "../../libvirt/hypervisor.ts";
import { type Collector, type Family, gaugeRows, type LabelSet, NANOSECONDS } from "../family.ts";
import { LATENCY_BIN, LATENCY_INTERVAL } from "../label_sets.ts";

function binStart(name: string, kind: string, labelSet: LabelSet): Family {
  return {
    name,
    type: "gauge",
    help: `Least latency of the requests (${kind}) in this bin; the next bin's is above all`,
    unit: "seconds",
    labelSet,
    source: { field: "start", conversion: NANOSECONDS },
  };
}

function binRequests(name: string, kind: string, labelSet: LabelSet): Family {
  return {
    name,
    type: "counter",
    help: `Requests (${kind}) whose latency was in this bin`,
    unit: "requests",
    labelSet,
    source: { field: "value" },
  };
}

const gauge = gaugeRows(LATENCY_INTERVAL);

function latency(name: string, word: string, kind: string, field: string): Family {
  const help = `${word} latency of requests (${kind}) in the last interval`;
  return gauge(name, help, "seconds", field, NANOSECONDS);
}

function queueDepth(name: string, kind: string, field: string): Family {
  const help = `Average number of requests (${kind}) under way in the last interval`;
  return gauge(name, help, "requests", field);
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
    binStart(
      "libvirt_nova_instance_block_read_latency_bin_start_seconds",
      "read",
      LATENCY_BIN.read,
    ),
    binRequests(
      "libvirt_nova_instance_block_read_latency_bin_requests_total",
      "read",
      LATENCY_BIN.read,
    ),
    binStart(
      "libvirt_nova_instance_block_write_latency_bin_start_seconds",
      "write",
      LATENCY_BIN.write,
    ),
    binRequests(
      "libvirt_nova_instance_block_write_latency_bin_requests_total",
      "write",
      LATENCY_BIN.write,
    ),
    binStart(
      "libvirt_nova_instance_block_flush_latency_bin_start_seconds",
      "flush",
      LATENCY_BIN.flush,
    ),
    binRequests(
      "libvirt_nova_instance_block_flush_latency_bin_requests_total",
      "flush",
      LATENCY_BIN.flush,
    ),
    binStart(
      "libvirt_nova_instance_block_zone_append_latency_bin_start_seconds",
      "zone_append",
      LATENCY_BIN.zone_append,
    ),
    binRequests(
      "libvirt_nova_instance_block_zone_append_latency_bin_requests_total",
      "zone_append",
      LATENCY_BIN.zone_append,
    ),
    gauge(
      "libvirt_nova_instance_block_interval_seconds",
      "Length of the interval",
      "seconds",
      "interval",
    ),
    latency(
      "libvirt_nova_instance_block_interval_read_latency_minimum_seconds",
      "Least",
      "read",
      "rd_latency_min",
    ),
    latency(
      "libvirt_nova_instance_block_interval_read_latency_maximum_seconds",
      "Greatest",
      "read",
      "rd_latency_max",
    ),
    latency(
      "libvirt_nova_instance_block_interval_read_latency_average_seconds",
      "Average",
      "read",
      "rd_latency_avg",
    ),
    latency(
      "libvirt_nova_instance_block_interval_write_latency_minimum_seconds",
      "Least",
      "write",
      "wr_latency_min",
    ),
    latency(
      "libvirt_nova_instance_block_interval_write_latency_maximum_seconds",
      "Greatest",
      "write",
      "wr_latency_max",
    ),
    latency(
      "libvirt_nova_instance_block_interval_write_latency_average_seconds",
      "Average",
      "write",
      "wr_latency_avg",
    ),
    latency(
      "libvirt_nova_instance_block_interval_flush_latency_minimum_seconds",
      "Least",
      "flush",
      "flush_latency_min",
    ),
    latency(
      "libvirt_nova_instance_block_interval_flush_latency_maximum_seconds",
      "Greatest",
      "flush",
      "flush_latency_max",
    ),
    latency(
      "libvirt_nova_instance_block_interval_flush_latency_average_seconds",
      "Average",
      "flush",
      "flush_latency_avg",
    ),
    latency(
      "libvirt_nova_instance_block_interval_zone_append_latency_minimum_seconds",
      "Least",
      "zone_append",
      "zone_append_latency_min",
    ),
    latency(
      "libvirt_nova_instance_block_interval_zone_append_latency_maximum_seconds",
      "Greatest",
      "zone_append",
      "zone_append_latency_max",
    ),
    latency(
      "libvirt_nova_instance_block_interval_zone_append_latency_average_seconds",
      "Average",
      "zone_append",
      "zone_append_latency_avg",
    ),
    queueDepth(
      "libvirt_nova_instance_block_interval_read_queue_depth_average",
      "read",
      "rd_queue_depth_avg",
    ),
    queueDepth(
      "libvirt_nova_instance_block_interval_write_queue_depth_average",
      "write",
      "wr_queue_depth_avg",
    ),
    queueDepth(
      "libvirt_nova_instance_block_interval_zone_append_queue_depth_average",
      "zone_append",
      "zone_append_queue_depth_avg",
    ),
  ],
};
