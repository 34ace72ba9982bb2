import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import {
  dashboard,
  figure,
  graph,
  identifierVariable,
  INSTANCE_UID,
  KEY,
  labelVariable,
  type Section,
  sourceVariable,
  table,
} from "./panels.ts";

/** Chooses the instance; by its libvirt name, which every family has, and by its UUID, which is its own. */
const [NAMED, ITSELF] = [`libvirtname="$libvirtname"`, `uuid="$uuid"`];

/** What is about the instance of series that are about all that have its libvirt name. */
function own(expression: string): string {
  return `${expression} and on (${KEY}) libvirt_nova_instance_info{${ITSELF}}`;
}

function series(family: string): string {
  return `libvirt_nova_instance_${family}{${NAMED}}`;
}

function gauge(family: string): string {
  return own(series(family));
}

function increase(family: string): string {
  return `rate(${series(family)}[$__rate_interval])`;
}

function rate(family: string): string {
  return own(increase(family));
}

/** Average time of a request of a kind. */
function latency(kind: "read" | "write" | "flush"): string {
  const [seconds, requests] = [`block_${kind}_seconds_total`, `block_${kind}_requests_total`];
  return own(`${increase(seconds)} / (${increase(requests)} > 0)`);
}

const WHAT_IT_IS: Section = {
  title: "What it is",
  panels: [
    table({
      title: "Instance",
      description: "What Nova and libvirt say of it. Two rows: it is being migrated.",
      labels: {
        novaname: "Name",
        uuid: "UUID",
        novaproject: "Project",
        user: "User",
        flavor: "Flavor",
        instance: "Host",
        machine: "Machine",
        hypervisor: "Hypervisor",
      },
      hidden: [
        "libvirtname",
        "flavor_id",
        "project_id",
        "user_id",
        "image_id",
        "root_type",
        "nova_version",
        "os_type",
        "architecture",
        "Value",
      ],
      queries: [{ expression: `libvirt_nova_instance_info{${ITSELF}}`, legend: "Value" }],
    }),
    figure({
      title: "State",
      description: "libvirt's state of the instance.",
      unit: "none",
      span: 6,
      words: {
        "1": { text: "running", color: "green" },
        "2": { text: "blocked", color: "green" },
        "3": { text: "paused", color: "orange" },
        "4": { text: "shutting down", color: "orange" },
        "5": { text: "shut off", color: "orange" },
        "6": { text: "crashed", color: "red" },
        "7": { text: "suspended", color: "orange" },
      },
      queries: [{ expression: gauge("state_code"), legend: "{{instance}}" }],
    }),
    figure({
      title: "All values there",
      description: "Whether libvirt answered all that was asked about the instance. If not, " +
        "its QEMU may hang, or libvirt may hold its lock.",
      unit: "none",
      span: 6,
      words: {
        "0": { text: "no", color: "red" },
        "1": { text: "yes", color: "green" },
      },
      queries: [{ expression: gauge("scrape_success"), legend: "{{instance}}" }],
    }),
    figure({
      title: "Runs on this host since",
      description: "When QEMU was started on this host; a migration begins it anew.",
      unit: "dateTimeFromNow",
      span: 6,
      queries: [{
        expression: own(`${series("start_timestamp_seconds")} * 1000`),
        legend: "{{instance}}",
      }],
    }),
    figure({
      title: "vCPUs",
      description: "vCPUs that are online, and that it can have.",
      unit: "none",
      span: 6,
      queries: [
        { expression: gauge("vcpus"), legend: "online" },
        { expression: gauge("vcpus_maximum"), legend: "at most" },
      ],
    }),
  ],
};

const PROCESSORS: Section = {
  title: "Processors",
  panels: [
    graph({
      title: "Processors in use",
      description: "Processors' worth of time, its vCPUs and its emulator together, and how " +
        "many vCPUs it has.",
      unit: "none",
      queries: [
        { expression: rate("cpu_seconds_total"), legend: "in use" },
        { expression: rate("cpu_system_seconds_total"), legend: "of this in the kernel" },
        { expression: gauge("vcpus"), legend: "vCPUs" },
      ],
    }),
    graph({
      title: "vCPUs in use",
      description: "Share of the time in which each vCPU ran. Needs --collector.vcpu.",
      unit: "percentunit",
      queries: [{ expression: rate("vcpu_seconds_total"), legend: "vCPU {{vcpu}}" }],
    }),
    graph({
      title: "Steal",
      description: "Share of the time in which each vCPU was ready but the host ran " +
        "something else. Needs --collector.vcpu.",
      unit: "percentunit",
      limits: [0.02, 0.1],
      queries: [{ expression: rate("vcpu_steal_seconds_total"), legend: "vCPU {{vcpu}}" }],
    }),
    graph({
      title: "Halt polling",
      description: "Processors' worth of time that KVM polled before it halted a vCPU. " +
        "Needs --collector.haltpoll.",
      unit: "none",
      queries: [
        { expression: rate("cpu_haltpoll_success_seconds_total"), legend: "worth it" },
        { expression: rate("cpu_haltpoll_fail_seconds_total"), legend: "in vain" },
      ],
    }),
  ],
};

const MEMORY: Section = {
  title: "Memory",
  panels: [
    graph({
      title: "Memory",
      description: "What the guest has and uses by its own account, and what its process " +
        "takes of the host's; huge pages are not counted there.",
      unit: "bytes",
      queries: [
        { expression: gauge("memory_maximum_bytes"), legend: "at most" },
        { expression: gauge("memory_available_bytes"), legend: "known to the guest" },
        { expression: gauge("memory_used_bytes"), legend: "used" },
        { expression: gauge("memory_disk_caches_bytes"), legend: "disk caches" },
        { expression: gauge("memory_resident_bytes"), legend: "taken of the host" },
      ],
    }),
    graph({
      title: "Age of the guest's figures",
      description: "Time since the guest last told its memory figures. Ten seconds are " +
        "usual with Nova; when it grows, the figures beside it are old.",
      unit: "s",
      limits: [60, 180],
      queries: [{
        expression: own(`time() - (${series("memory_last_update_timestamp_seconds")} > 0)`),
        legend: "age",
      }],
    }),
    graph({
      title: "Swapping",
      description: "Memory that the guest moves from and to its swap. Needs " +
        "--collector.paging.",
      unit: "Bps",
      queries: [
        { expression: rate("memory_swap_in_bytes_total"), legend: "in" },
        { expression: rate("memory_swap_out_bytes_total"), legend: "out" },
      ],
    }),
    graph({
      title: "Page faults",
      description: "Page faults in the guest that needed a disk. Needs --collector.paging.",
      unit: "cps",
      queries: [{ expression: rate("memory_major_faults_total"), legend: "major" }],
    }),
  ],
};

const DISKS: Section = {
  title: "Disks",
  panels: [
    graph({
      title: "Disk throughput",
      description: "Bytes read and written by disk.",
      unit: "Bps",
      queries: [
        { expression: rate("block_read_bytes_total"), legend: "{{target_device}} read" },
        {
          expression: rate("block_written_bytes_total"),
          legend: "{{target_device}} written",
        },
      ],
    }),
    graph({
      title: "Disk requests",
      description: "Requests to read, write and flush by disk.",
      unit: "iops",
      queries: [
        { expression: rate("block_read_requests_total"), legend: "{{target_device}} read" },
        { expression: rate("block_write_requests_total"), legend: "{{target_device}} write" },
        { expression: rate("block_flush_requests_total"), legend: "{{target_device}} flush" },
      ],
    }),
    graph({
      title: "Disk latency",
      description: "Average time of a request; nothing while there is none.",
      unit: "s",
      limits: [0.05, 0.1],
      queries: [
        { expression: latency("read"), legend: "{{target_device}} read" },
        { expression: latency("write"), legend: "{{target_device}} write" },
        { expression: latency("flush"), legend: "{{target_device}} flush" },
      ],
    }),
    graph({
      title: "Disk sizes",
      description: "Size that the guest sees, size of what is behind it, and what is " +
        "written. Needs --collector.block_capacity.",
      unit: "bytes",
      queries: [
        { expression: gauge("block_capacity_bytes"), legend: "{{target_device}} capacity" },
        { expression: gauge("block_physical_bytes"), legend: "{{target_device}} physical" },
        {
          expression: gauge("block_allocation_bytes"),
          legend: "{{target_device}} allocation",
        },
      ],
    }),
  ],
};

const NETWORK: Section = {
  title: "Network",
  panels: [
    graph({
      title: "Network throughput",
      description: "Bytes received and sent by interface, from the guest's point of view.",
      unit: "Bps",
      queries: [
        {
          expression: rate("interface_receive_bytes_total"),
          legend: "{{target_device}} received",
        },
        {
          expression: rate("interface_transmit_bytes_total"),
          legend: "{{target_device}} sent",
        },
      ],
    }),
    graph({
      title: "Packets",
      description: "Packets received and sent by interface.",
      unit: "pps",
      queries: [
        {
          expression: rate("interface_receive_packets_total"),
          legend: "{{target_device}} received",
        },
        {
          expression: rate("interface_transmit_packets_total"),
          legend: "{{target_device}} sent",
        },
      ],
    }),
    graph({
      title: "Drops",
      description: "Packets that were dropped on their way.",
      unit: "pps",
      queries: [
        {
          expression: rate("interface_receive_drops_total"),
          legend: "{{target_device}} to the guest",
        },
        {
          expression: rate("interface_transmit_drops_total"),
          legend: "{{target_device}} from the guest",
        },
      ],
    }),
    graph({
      title: "Errors and link",
      description: "Errors by interface, and whether its link is up (1) or set down (0).",
      unit: "none",
      queries: [
        {
          expression: rate("interface_receive_errors_total"),
          legend: "{{target_device}} errors to the guest",
        },
        {
          expression: rate("interface_transmit_errors_total"),
          legend: "{{target_device}} errors from the guest",
        },
        { expression: gauge("interface_link_up"), legend: "{{target_device}} link" },
      ],
    }),
  ],
};

/** Everything about one instance. */
export function instanceDashboard(): Dashboard {
  return dashboard({
    uid: INSTANCE_UID,
    title: "libvirt_nova / Instance",
    description: "Everything about one instance, wherever it runs",
    variables: [
      sourceVariable(),
      identifierVariable("project", "Project", {
        selector: `project_id!=""`,
        label: "project_id",
        names: ["novaproject", "project_id"],
        choice: "all",
      }),
      identifierVariable("uuid", "Instance", {
        selector: `project_id=~"$project"`,
        label: "uuid",
        names: ["novaname", "libvirtname"],
        choice: "one",
      }),
      labelVariable("libvirtname", "libvirt's name", {
        series: `libvirt_nova_instance_info{${ITSELF}}`,
        label: "libvirtname",
        choice: "one",
        hidden: true,
      }),
    ],
    sections: [WHAT_IT_IS, PROCESSORS, MEMORY, DISKS, NETWORK],
  });
}
