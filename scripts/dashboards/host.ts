import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import { exporterSections } from "./exporter_health.ts";
import {
  dashboard,
  figure,
  graph,
  INSTANCE_COLUMNS,
  labelVariable,
  OWNER,
  type Section,
  sourceVariable,
  table,
  withUuid,
} from "./panels.ts";

/** Chooses the hosts. */
const HOST = `instance=~"$host"`;
const TOP = "The ten greatest at each point in time, so more than ten lines may show.";

function rate(family: string): string {
  return `rate(libvirt_nova_${family}{${HOST}}[$__rate_interval])`;
}

/** Of each instance, all devices together. */
function total(family: string): string {
  return `sum by (${OWNER}) (${rate(family)})`;
}

const CPU = total("instance_cpu_seconds_total");
const STEAL = `avg by (${OWNER}) (${rate("instance_vcpu_steal_seconds_total")})`;
const REQUESTS = `sum by (${OWNER}) (${rate("instance_block_read_requests_total")}` +
  ` + ${rate("instance_block_write_requests_total")})`;
const DISK_BYTES = `sum by (${OWNER}) (${rate("instance_block_read_bytes_total")}` +
  ` + ${rate("instance_block_written_bytes_total")})`;
const DISK_SECONDS = `sum by (${OWNER}) (${rate("instance_block_read_seconds_total")}` +
  ` + ${rate("instance_block_write_seconds_total")})`;
const LATENCY = `${DISK_SECONDS} / (${REQUESTS} > 0)`;
const NETWORK_BYTES = `sum by (${OWNER}) (${rate("instance_interface_receive_bytes_total")}` +
  ` + ${rate("instance_interface_transmit_bytes_total")})`;
const DROPS = `sum by (${OWNER}) (${rate("instance_interface_receive_drops_total")}` +
  ` + ${rate("instance_interface_transmit_drops_total")})`;

/** The ten that have most, each with its UUID. */
function topInstances(expression: string): string {
  return withUuid(`topk(10, ${expression})`, HOST);
}

function gauge(family: string): string {
  return `libvirt_nova_${family}{${HOST}}`;
}

function sum(family: string): string {
  return `sum(${gauge(family)})`;
}

const OVERVIEW: Section = {
  title: "Overview",
  panels: [
    figure({
      title: "libvirt",
      description:
        "Hosts whose libvirt answers nothing; the alert is LibvirtNovaLibvirtDown. Hosts " +
        "without a page are on the panel of those that do not answer.",
      unit: "none",
      limits: [1, 2],
      queries: [{
        expression: `count(${gauge("up")} == 0) or count(${gauge("up")}) * 0`,
        legend: "without libvirt",
      }],
    }),
    figure({
      title: "Instances",
      description: "Active instances that are exported.",
      unit: "none",
      queries: [{ expression: sum("exporter_instances"), legend: "instances" }],
    }),
    figure({
      title: "Incomplete instances",
      description: "Instances of which libvirt did not answer all that was asked.",
      unit: "none",
      limits: [1, 5],
      queries: [{ expression: sum("exporter_instances_incomplete"), legend: "incomplete" }],
    }),
    figure({
      title: "vCPUs for each processor",
      description: "vCPUs of the active instances for each processor of the hosts; compare " +
        "with Nova's cpu_allocation_ratio.",
      unit: "none",
      limits: [4, 8],
      queries: [{
        expression: `${sum("node_vcpus_allocated")} / ${sum("node_cpus")}`,
        legend: "vCPUs",
      }],
    }),
    figure({
      title: "Memory promised",
      description: "Memory that the active instances can have, of the hosts' memory; compare " +
        "with Nova's ram_allocation_ratio.",
      unit: "percentunit",
      limits: [0.9, 1],
      queries: [{
        expression: `${sum("node_memory_allocated_bytes")} / ${sum("node_memory_bytes")}`,
        legend: "memory",
      }],
    }),
    figure({
      title: "Steal",
      description: "Time that vCPUs were ready but the host ran something else, for each " +
        "vCPU. Needs --collector.vcpu.",
      unit: "percentunit",
      limits: [0.02, 0.1],
      queries: [{
        expression: `avg(${rate("instance_vcpu_steal_seconds_total")})`,
        legend: "steal",
      }],
    }),
  ],
};

const PROCESSORS_AND_MEMORY: Section = {
  title: "Processors and memory",
  panels: [
    graph({
      title: "Host processors in use",
      description: "Processors' worth of time by what it was spent with, idle time left out.",
      unit: "none",
      stacked: true,
      queries: [{
        expression: "sum by (mode) (rate(libvirt_nova_node_cpu_seconds_total" +
          `{${HOST}, mode!="idle"}[$__rate_interval]))`,
        legend: "{{mode}}",
      }, {
        expression: sum("node_cpus"),
        legend: "processors there are",
        apart: true,
      }],
    }),
    graph({
      title: "Host memory",
      description: "What the hosts have, what nothing uses, what caches and buffers could " +
        "give back, and what instances can have and take. What they take leaves out huge " +
        "pages.",
      unit: "bytes",
      queries: [
        { expression: sum("node_memory_bytes"), legend: "host" },
        { expression: sum("node_memory_free_bytes"), legend: "free" },
        {
          expression: `${sum("node_memory_cached_bytes")} + ${sum("node_memory_buffers_bytes")}`,
          legend: "caches and buffers",
        },
        { expression: sum("node_memory_allocated_bytes"), legend: "promised to instances" },
        {
          expression: sum("instance_memory_resident_bytes"),
          legend: "taken by instances",
        },
      ],
    }),
    graph({
      title: "Instances by state",
      description: "Instances on the page by libvirt's state of them.",
      unit: "none",
      stacked: true,
      queries: [{
        expression: `sum by (state) (${gauge("node_instances")}) > 0`,
        legend: "{{state}}",
      }],
    }),
    graph({
      title: "Overcommitment: top ten hosts",
      description: `vCPUs for each processor, and memory promised of what there is. ${TOP}`,
      unit: "none",
      queries: [
        {
          expression: `topk(10, ${gauge("node_vcpus_overcommit_ratio")})`,
          legend: "{{instance}} vCPUs",
        },
        {
          expression: `topk(10, ${gauge("node_memory_overcommit_ratio")})`,
          legend: "{{instance}} memory",
        },
      ],
    }),
  ],
};

const NOISY_NEIGHBOURS: Section = {
  title: "Noisy neighbours",
  panels: [
    table({
      title: "Who takes what",
      description: "The fifty greatest of each column. An instance that takes much beside others " +
        "with high steal or latency is the noisy one. Steal needs --collector.vcpu.",
      labels: INSTANCE_COLUMNS,
      sortedBy: "Processors",
      queries: [
        { expression: `topk(50, ${CPU})`, legend: "Processors", unit: "none" },
        { expression: `topk(50, ${STEAL})`, legend: "Steal", unit: "percentunit" },
        { expression: `topk(50, ${REQUESTS})`, legend: "Requests", unit: "iops" },
        { expression: `topk(50, ${LATENCY})`, legend: "Latency", unit: "s" },
        { expression: `topk(50, ${DISK_BYTES})`, legend: "Disk", unit: "Bps" },
        { expression: `topk(50, ${NETWORK_BYTES})`, legend: "Network", unit: "Bps" },
        { expression: `topk(50, ${DROPS})`, legend: "Drops", unit: "pps" },
      ],
    }),
    graph({
      title: "Processors: top ten",
      description: `Processors' worth of time that instances take. ${TOP}`,
      unit: "none",
      instances: topInstances(CPU),
    }),
    graph({
      title: "Steal: top ten",
      description: "Share of the time in which a vCPU was ready but the host ran something " +
        `else, average of the vCPUs. Needs --collector.vcpu. ${TOP}`,
      unit: "percentunit",
      limits: [0.02, 0.1],
      instances: topInstances(STEAL),
    }),
    graph({
      title: "Disk requests: top ten",
      description: `Requests to read and write that have ended. ${TOP}`,
      unit: "iops",
      instances: topInstances(REQUESTS),
    }),
    graph({
      title: "Disk latency: top ten",
      description: `Average time of a request to read or write. ${TOP}`,
      unit: "s",
      limits: [0.05, 0.1],
      instances: topInstances(LATENCY),
    }),
    graph({
      title: "Network: top ten talkers",
      description: `Bytes received and sent. ${TOP}`,
      unit: "Bps",
      instances: topInstances(NETWORK_BYTES),
    }),
    graph({
      title: "Network drops: top ten",
      description: `Packets from and to instances that were dropped. ${TOP}`,
      unit: "pps",
      instances: topInstances(DROPS),
    }),
  ],
};

const STORAGE_POOLS: Section = {
  title: "Storage pools",
  panels: [
    graph({
      title: "Storage pools in use",
      description: "What is taken of each pool. Needs --collector.storage_pool.",
      unit: "percentunit",
      span: 24,
      maximum: 1,
      limits: [0.8, 0.9],
      queries: [{
        expression: `${gauge("storage_pool_allocation_bytes")} / (${
          gauge("storage_pool_capacity_bytes")
        } > 0)`,
        legend: "{{pool}} on {{instance}}",
      }],
    }),
  ],
};

/** Hypervisors: what they have, what instances take of it, who of them is noisy, and how the exporter fares. */
export function hostDashboard(): Dashboard {
  return dashboard({
    uid: "libvirt-nova-host",
    title: "libvirt_nova / Host",
    description: "Hypervisors, their noisy instances, and the exporter's health",
    variables: [
      sourceVariable(),
      labelVariable("host", "Host", {
        series: "libvirt_nova_up",
        label: "instance",
        choice: "all",
        all: ".*",
      }),
    ],
    sections: [
      OVERVIEW,
      PROCESSORS_AND_MEMORY,
      NOISY_NEIGHBOURS,
      STORAGE_POOLS,
      ...exporterSections(HOST),
    ],
  });
}
