import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import {
  dashboard,
  figure,
  graph,
  INSTANCE_COLUMNS,
  INSTANCE_LEGEND,
  labelVariable,
  OWNER,
  sourceVariable,
  table,
} from "./panels.ts";

/** Chooses the projects. */
const PROJECT = `novaproject=~"$project"`;

function gauge(family: string): string {
  return `libvirt_nova_instance_${family}{${PROJECT}}`;
}

function rate(family: string): string {
  return `rate(${gauge(family)}[$__rate_interval])`;
}

/** Of each instance, all devices together. */
function total(expression: string): string {
  return `sum by (${OWNER}) (${expression})`;
}

const CPU = total(rate("cpu_seconds_total"));
const DISK_REQUESTS = total(
  `${rate("block_read_requests_total")} + ${rate("block_write_requests_total")}`,
);

/** What the instances of a project take, on all hosts together. */
export function projectDashboard(): Dashboard {
  return dashboard({
    uid: "libvirt-nova-project",
    title: "libvirt_nova / Project",
    description: "What the instances of a project take, on all hosts together",
    variables: [
      sourceVariable(),
      labelVariable("project", "Project", {
        series: "libvirt_nova_instance_scrape_success",
        label: "novaproject",
        choice: "several",
      }),
    ],
    sections: [
      {
        title: "Overview",
        panels: [
          figure({
            title: "Instances",
            description: "Active instances. One that is being migrated counts on both hosts.",
            unit: "none",
            span: 4,
            queries: [{ expression: `count(${gauge("scrape_success")})`, legend: "instances" }],
          }),
          figure({
            title: "Hosts",
            description: "Hosts that the instances are on.",
            unit: "none",
            span: 4,
            queries: [{
              expression: `count(count by (instance) (${gauge("scrape_success")}))`,
              legend: "hosts",
            }],
          }),
          figure({
            title: "vCPUs",
            description: "vCPUs that are online.",
            unit: "none",
            span: 4,
            queries: [{ expression: `sum(${gauge("vcpus")})`, legend: "vCPUs" }],
          }),
          figure({
            title: "Processors in use",
            description: "Processors' worth of time that the instances take.",
            unit: "none",
            span: 4,
            queries: [{
              expression: `sum(${rate("cpu_seconds_total")})`,
              legend: "processors",
            }],
          }),
          figure({
            title: "Memory",
            description: "Memory that the instances can have.",
            unit: "bytes",
            span: 4,
            queries: [{ expression: `sum(${gauge("memory_maximum_bytes")})`, legend: "memory" }],
          }),
          figure({
            title: "Disks",
            description: "Size of the disks that the instances see. Needs " +
              "--collector.block_capacity.",
            unit: "bytes",
            span: 4,
            queries: [{ expression: `sum(${gauge("block_capacity_bytes")})`, legend: "disks" }],
          }),
        ],
      },
      {
        title: "Instances",
        panels: [
          table({
            title: "Instances",
            description:
              "Every instance with what it takes. Memory is what the guest says that it " +
              "uses; a guest without balloon driver says nothing.",
            span: 24,
            labels: INSTANCE_COLUMNS,
            units: {
              "vCPUs": "none",
              "Processors": "none",
              "Memory": "bytes",
              "Memory in use": "bytes",
              "Requests": "iops",
            },
            sortedBy: "Processors",
            queries: [
              { expression: total(gauge("vcpus")), legend: "vCPUs" },
              { expression: CPU, legend: "Processors" },
              { expression: total(gauge("memory_maximum_bytes")), legend: "Memory" },
              { expression: total(gauge("memory_used_bytes")), legend: "Memory in use" },
              { expression: DISK_REQUESTS, legend: "Requests" },
            ],
          }),
          graph({
            title: "Instances by host",
            description: "Active instances on each host.",
            unit: "none",
            span: 12,
            stacked: true,
            queries: [{
              expression: `count by (instance) (${gauge("scrape_success")})`,
              legend: "{{instance}}",
            }],
          }),
          graph({
            title: "Instances by flavor",
            description:
              "Active instances of each flavor, by the name that it had when Nova last " +
              "wrote the metadata.",
            unit: "none",
            span: 12,
            stacked: true,
            queries: [{ expression: `count by (flavor) (${gauge("info")})`, legend: "{{flavor}}" }],
          }),
        ],
      },
      {
        title: "Use",
        panels: [
          graph({
            title: "Processors",
            description: "Processors' worth of time that each instance takes.",
            unit: "none",
            span: 12,
            stacked: true,
            ofInstances: true,
            queries: [{ expression: CPU, legend: INSTANCE_LEGEND }],
          }),
          graph({
            title: "Memory in use",
            description:
              "Memory that the guests use, less what they could free without swapping, " +
              "of those that told it within the last three minutes.",
            unit: "bytes",
            span: 12,
            stacked: true,
            ofInstances: true,
            queries: [{
              expression: `${gauge("memory_used_bytes")} and time() - ${
                gauge("memory_last_update_timestamp_seconds")
              } < 180`,
              legend: INSTANCE_LEGEND,
            }],
          }),
          graph({
            title: "Disk throughput",
            description: "Bytes read and written.",
            unit: "Bps",
            span: 12,
            queries: [
              {
                expression: `sum by (novaproject) (${rate("block_read_bytes_total")})`,
                legend: "{{novaproject}} read",
              },
              {
                expression: `sum by (novaproject) (${rate("block_written_bytes_total")})`,
                legend: "{{novaproject}} written",
              },
            ],
          }),
          graph({
            title: "Disk requests",
            description: "Requests to read and write of each instance.",
            unit: "iops",
            span: 12,
            ofInstances: true,
            queries: [{ expression: DISK_REQUESTS, legend: INSTANCE_LEGEND }],
          }),
          graph({
            title: "Network throughput",
            description: "Bytes received and sent.",
            unit: "Bps",
            span: 12,
            queries: [
              {
                expression: `sum by (novaproject) (${rate("interface_receive_bytes_total")})`,
                legend: "{{novaproject}} received",
              },
              {
                expression: `sum by (novaproject) (${rate("interface_transmit_bytes_total")})`,
                legend: "{{novaproject}} sent",
              },
            ],
          }),
          graph({
            title: "Steal",
            description: "Share of the time in which a vCPU was ready but the host ran something " +
              "else, average of the instance's vCPUs. Needs --collector.vcpu.",
            unit: "percentunit",
            span: 12,
            limits: [0.02, 0.1],
            ofInstances: true,
            queries: [{
              expression: `avg by (${OWNER}) (${rate("vcpu_steal_seconds_total")})`,
              legend: INSTANCE_LEGEND,
            }],
          }),
        ],
      },
    ],
  });
}
