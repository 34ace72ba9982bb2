import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import {
  dashboard,
  figure,
  graph,
  identifierVariable,
  INSTANCE_COLUMNS,
  KEY,
  labelVariable,
  OWNER,
  type Section,
  sourceVariable,
  table,
  withUuid,
} from "./panels.ts";

/** The hosts that have instances of the projects, which keeps queries small; the projects themselves. */
const [HOST, PROJECT] = [`instance=~"$host"`, `project_id=~"$project"`];

/** The projects' instances. */
const INFO = `libvirt_nova_instance_info{${HOST}, ${PROJECT}}`;

function state(selector: string): string {
  return `libvirt_nova_instance_state_info{${HOST}, ${selector}}`;
}

/** Those of them that run where they are, or would if nobody had paused them. */
const SETTLED = `(${INFO} unless on (${KEY}) (` +
  `${state(`state="paused", reason=~"migration|postcopy|postcopy_failed"`)} or ${
    state(`state="shutoff"`)
  }))`;

/** Each of them once: one that migrates on the host where it runs, one that is paused for it nowhere else as well. */
const EACH = `(${SETTLED} or (${INFO} unless on (uuid) ${SETTLED}))`;

/** The name of each project: the one that most of its instances carry, for one that was renamed has several. */
const NAMES = "group by (project_id, novaproject) " +
  `(topk by (project_id) (1, count by (project_id, novaproject) (${INFO})))`;

function gauge(family: string): string {
  return `libvirt_nova_instance_${family}{${HOST}}`;
}

function rate(family: string): string {
  return `rate(${gauge(family)}[$__rate_interval])`;
}

/** What is about the projects' instances of series about all that are on the hosts. */
function own(expression: string): string {
  return `(${expression}) and on (${KEY}) ${INFO}`;
}

/** The same, of one that migrates on one host only. */
function once(expression: string): string {
  return `${expression} and on (${KEY}) ${EACH}`;
}

/** Of each instance, all devices together. */
function total(expression: string): string {
  return own(`sum by (${OWNER}) (${expression})`);
}

/** Of each project, all instances together; with the project's name. */
function ofProjects(expression: string): string {
  return `sum by (project_id) (${expression} * on (${KEY}) group_left (project_id) ${INFO})` +
    ` * on (project_id) group_left (novaproject) ${NAMES}`;
}

/** For a graph whose lines lead to instances. */
function linked(expression: string): string {
  return withUuid(expression, `${HOST}, ${PROJECT}`);
}

const CPU = total(rate("cpu_seconds_total"));
const DISK_REQUESTS = total(
  `${rate("block_read_requests_total")} + ${rate("block_write_requests_total")}`,
);

const OVERVIEW: Section = {
  title: "Overview",
  panels: [
    figure({
      title: "Instances",
      description: "Active instances. One that is being migrated counts once.",
      unit: "none",
      queries: [{
        expression: `count(${once(gauge("scrape_success"))})`,
        legend: "instances",
      }],
    }),
    figure({
      title: "Hosts",
      description: "Hosts that the instances are on.",
      unit: "none",
      queries: [{
        expression: `count(count by (instance) (${own(gauge("scrape_success"))}))`,
        legend: "hosts",
      }],
    }),
    figure({
      title: "vCPUs",
      description: "vCPUs that are online.",
      unit: "none",
      queries: [{ expression: `sum(${once(gauge("vcpus"))})`, legend: "vCPUs" }],
    }),
    figure({
      title: "Processors in use",
      description: "Processors' worth of time that the instances take.",
      unit: "none",
      queries: [{
        expression: `sum(${own(rate("cpu_seconds_total"))})`,
        legend: "processors",
      }],
    }),
    figure({
      title: "Memory",
      description: "Memory that the instances can have.",
      unit: "bytes",
      queries: [{
        expression: `sum(${once(gauge("memory_maximum_bytes"))})`,
        legend: "memory",
      }],
    }),
    figure({
      title: "Disks",
      description: "Size of the disks that the instances see. Needs " +
        "--collector.block_capacity.",
      unit: "bytes",
      queries: [{
        expression: `sum(${once(gauge("block_capacity_bytes"))})`,
        legend: "disks",
      }],
    }),
  ],
};

const INSTANCES: Section = {
  title: "Instances",
  panels: [
    table({
      title: "Instances",
      description: "Every instance with what it takes. Memory is what the guest says that it " +
        "uses; a guest without balloon driver says nothing.",
      labels: INSTANCE_COLUMNS,
      sortedBy: "Processors",
      queries: [
        { expression: total(gauge("vcpus")), legend: "vCPUs", unit: "none" },
        { expression: CPU, legend: "Processors", unit: "none" },
        { expression: total(gauge("memory_maximum_bytes")), legend: "Memory", unit: "bytes" },
        { expression: total(gauge("memory_used_bytes")), legend: "Memory in use", unit: "bytes" },
        { expression: DISK_REQUESTS, legend: "Requests", unit: "iops" },
      ],
    }),
    graph({
      title: "Instances by host",
      description: "Active instances on each host.",
      unit: "none",
      stacked: true,
      queries: [{
        expression: `count by (instance) (${once(gauge("scrape_success"))})`,
        legend: "{{instance}}",
      }],
    }),
    graph({
      title: "Instances by flavor",
      description: "Active instances of each flavor, by the name that it had when Nova last " +
        "wrote the metadata.",
      unit: "none",
      stacked: true,
      queries: [{
        expression: `count by (flavor) (${EACH} and on (${KEY}) ${gauge("scrape_success")})`,
        legend: "{{flavor}}",
      }],
    }),
  ],
};

const USE: Section = {
  title: "Use",
  panels: [
    graph({
      title: "Processors",
      description: "Processors' worth of time that each instance takes.",
      unit: "none",
      stacked: true,
      instances: linked(CPU),
    }),
    graph({
      title: "Memory in use",
      description: "Memory that the guests use, less what they could free without swapping, " +
        "of those that told it within the last three minutes.",
      unit: "bytes",
      stacked: true,
      instances: linked(
        `${gauge("memory_used_bytes")} and time() - ${
          gauge("memory_last_update_timestamp_seconds")
        } < 180`,
      ),
    }),
    graph({
      title: "Disk throughput",
      description: "Bytes read and written.",
      unit: "Bps",
      queries: [
        {
          expression: ofProjects(rate("block_read_bytes_total")),
          legend: "{{novaproject}} read",
        },
        {
          expression: ofProjects(rate("block_written_bytes_total")),
          legend: "{{novaproject}} written",
        },
      ],
    }),
    graph({
      title: "Disk requests",
      description: "Requests to read and write of each instance.",
      unit: "iops",
      instances: linked(DISK_REQUESTS),
    }),
    graph({
      title: "Network throughput",
      description: "Bytes received and sent.",
      unit: "Bps",
      queries: [
        {
          expression: ofProjects(rate("interface_receive_bytes_total")),
          legend: "{{novaproject}} received",
        },
        {
          expression: ofProjects(rate("interface_transmit_bytes_total")),
          legend: "{{novaproject}} sent",
        },
      ],
    }),
    graph({
      title: "Steal",
      description: "Share of the time in which a vCPU was ready but the host ran something " +
        "else, average of the instance's vCPUs. Needs --collector.vcpu.",
      unit: "percentunit",
      limits: [0.02, 0.1],
      instances: linked(`avg by (${OWNER}) (${rate("vcpu_steal_seconds_total")})`),
    }),
  ],
};

/** What the instances of a project take, on all hosts together. */
export function projectDashboard(): Dashboard {
  return dashboard({
    uid: "libvirt-nova-project",
    title: "libvirt_nova / Project",
    description: "What the instances of a project take, on all hosts together",
    variables: [
      sourceVariable(),
      identifierVariable("project", "Project", {
        selector: `project_id!=""`,
        label: "project_id",
        names: ["novaproject", "project_id"],
        choice: "several",
      }),
      labelVariable("host", "Host", {
        series: `libvirt_nova_instance_info{${PROJECT}}`,
        label: "instance",
        choice: "all",
      }),
    ],
    sections: [OVERVIEW, INSTANCES, USE],
  });
}
