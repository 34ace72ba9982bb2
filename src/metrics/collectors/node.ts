import { HostCall, StatisticsGroup } from "../../libvirt/hypervisor.ts";
import { isActive, type Snapshot } from "../../libvirt/snapshot.ts";
import { STATE_NAMES, stateName } from "../domain_state.ts";
import {
  type Collector,
  type HostFamily,
  type HostSample,
  KIBIBYTES,
  NANOSECONDS,
} from "../family.ts";
import { entitiesOf, entityFamilies, hostMemoryBytes, hostNode, sampleOf, sumOf } from "../host.ts";

const MEGAHERTZ = { from: "MHz", convert: (value: number) => value * 1e6 } as const;

/** libvirt's words for what the host's processors spend their time with. */
const MODES = ["user", "kernel", "idle", "iowait", "intr"] as const;

/** Whose versions libvirt tells, by label. */
const VERSIONS = ["hypervisor", "daemon", "client"] as const;

/** libvirt's numbers for versions: 9000000 is 9.0.0. Source: virConnectGetLibVersion. */
function versionText(version: number | undefined): string {
  if (version === undefined) return "";
  return [
    Math.trunc(version / 1_000_000),
    Math.trunc(version / 1_000) % 1_000,
    version % 1_000,
  ].join(".");
}

function allocatedVirtualCpus({ domains }: Snapshot): number | undefined {
  const active = domains.filter(isActive);
  return sumOf(active.map(({ description }) => description?.currentVirtualCpus));
}

function allocatedMemory({ domains }: Snapshot): number | undefined {
  return sumOf(domains.filter(isActive).map(({ description }) => description?.memoryBytes));
}

function ratio(part: number | undefined, whole: number | undefined): number | undefined {
  return part === undefined || whole === undefined || whole === 0 ? undefined : part / whole;
}

function gauge(
  name: string,
  help: string,
  unit: string,
  source: string,
  value: (snapshot: Snapshot) => number | undefined,
): HostFamily {
  return {
    name,
    type: "gauge",
    help,
    unit,
    names: [],
    source,
    samples: (snapshot) => sampleOf(value(snapshot)),
  };
}

function cellFamily(name: string, help: string, number: string): HostFamily {
  return {
    name,
    type: "gauge",
    help,
    unit: "bytes",
    names: ["cell"],
    source: `cell ${number}`,
    samples: (snapshot) =>
      entitiesOf(snapshot, "cell").flatMap(({ numbers }) => {
        const [cell, value] = [numbers["cell"], numbers[number]];
        if (cell === undefined || value === undefined) return [];
        return sampleOf(KIBIBYTES.convert(value), [["cell", String(cell)]]);
      }),
  };
}

/** The state of every domain that is not active, and of no other. */
const SHUT_OFF = "shutoff";

/**
 * Every state is there, with 0 where no instance is in it, but for the one that was not asked for: no instance of it on the
 * page does not mean that the host has none. Nothing is there when no state is known.
 */
function instancesByState(snapshot: Snapshot): readonly HostSample[] {
  const { domains, dictionary, hasInactive, value } = snapshot;
  const field = dictionary.number("state.state");
  if (field === undefined) return [];
  const counts = new Map(STATE_NAMES.map((name) => [name, 0]));
  domains.forEach((_, domain) => {
    const state = value(domain, field);
    if (state === undefined) return;
    const name = stateName(state);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  });
  if (!hasInactive) counts.delete(SHUT_OFF);
  return [...counts].map(([state, count]) => ({ labels: [["state", state]], value: count }));
}

/** The host: what it has, and what of it is given to instances. */
export const nodeCollector: Collector = {
  name: "node",
  description: "the host: processors, memory, versions, and what instances take of it",
  byDefault: true,
  groups: StatisticsGroup.state,
  hostCalls: HostCall.node,
  families: [],
  hostFamilies: [
    {
      name: "libvirt_nova_node_info",
      type: "info",
      help: "Model of the host's processors, and versions; the value is always 1",
      unit: "1",
      names: ["model", "driver", ...VERSIONS.map((one) => `${one}_version`)],
      source: "node",
      samples: (snapshot) => {
        const found = hostNode(snapshot);
        if (found === undefined) return [];
        const { texts, numbers } = found;
        return sampleOf(1, [
          ["model", texts["model"] ?? ""],
          ["driver", texts["type"] ?? ""],
          ...VERSIONS.map((one) =>
            [`${one}_version`, versionText(numbers[`version.${one}`])] as const
          ),
        ]);
      },
    },
    ...entityFamilies("node", {}, [
      {
        name: "libvirt_nova_node_cpus",
        help: "Processors of the host, threads counted",
        unit: "number",
        number: "cpus",
      },
      {
        name: "libvirt_nova_node_cpu_frequency_hertz",
        help: "Frequency of the host's processors",
        unit: "hertz",
        number: "megahertz",
        conversion: MEGAHERTZ,
      },
      {
        name: "libvirt_nova_node_numa_nodes",
        help: "NUMA nodes of the host; 1 also where libvirt cannot tell the topology",
        unit: "number",
        number: "nodes",
      },
      {
        name: "libvirt_nova_node_sockets_per_node",
        help: "Sockets of a NUMA node",
        unit: "number",
        number: "sockets",
      },
      {
        name: "libvirt_nova_node_cores_per_socket",
        help: "Cores of a socket",
        unit: "number",
        number: "cores",
      },
      {
        name: "libvirt_nova_node_threads_per_core",
        help: "Threads of a core",
        unit: "number",
        number: "threads",
      },
    ]),
    gauge(
      "libvirt_nova_node_memory_bytes",
      "Memory of the host",
      "bytes",
      "node memory.total, else memory",
      hostMemoryBytes,
    ),
    ...entityFamilies("node", {}, [
      {
        name: "libvirt_nova_node_memory_free_bytes",
        help: "Memory of the host that nothing uses, not even caches",
        unit: "bytes",
        number: "memory.free",
        conversion: KIBIBYTES,
      },
      {
        name: "libvirt_nova_node_memory_buffers_bytes",
        help: "Memory of the host that buffers take",
        unit: "bytes",
        number: "memory.buffers",
        conversion: KIBIBYTES,
      },
      {
        name: "libvirt_nova_node_memory_cached_bytes",
        help: "Memory of the host that caches take",
        unit: "bytes",
        number: "memory.cached",
        conversion: KIBIBYTES,
      },
    ]),
    {
      name: "libvirt_nova_node_cpu_seconds_total",
      type: "counter",
      help: "Time of the host's processors by what they did",
      unit: "seconds",
      names: ["mode"],
      source: `node ${MODES.map((mode) => `cpu.${mode}`).join(", ")}`,
      samples: (snapshot) =>
        MODES.flatMap((mode) => {
          const value = hostNode(snapshot)?.numbers[`cpu.${mode}`];
          return value === undefined ? [] : sampleOf(NANOSECONDS.convert(value), [["mode", mode]]);
        }),
    },
    cellFamily(
      "libvirt_nova_node_cell_memory_bytes",
      "Memory of a NUMA node",
      "memory.total",
    ),
    cellFamily(
      "libvirt_nova_node_cell_memory_free_bytes",
      "Memory of a NUMA node that nothing uses",
      "memory.free",
    ),
    {
      name: "libvirt_nova_node_instances",
      type: "gauge",
      help: "Instances on the page by state; those that are shut off with --domain.inactive only",
      unit: "number",
      names: ["state"],
      source: "state.state of the instances",
      samples: instancesByState,
    },
    gauge(
      "libvirt_nova_node_vcpus_allocated",
      "vCPUs of the active instances on the page",
      "vCPUs",
      "<vcpu current> of the instances",
      allocatedVirtualCpus,
    ),
    gauge(
      "libvirt_nova_node_memory_allocated_bytes",
      "Memory that the active instances on the page can have",
      "bytes",
      "<memory> of the instances",
      allocatedMemory,
    ),
    gauge(
      "libvirt_nova_node_vcpus_overcommit_ratio",
      "vCPUs of the active instances for each processor of the host",
      "ratio",
      "<vcpu current> of the instances / node cpus",
      (snapshot) => ratio(allocatedVirtualCpus(snapshot), hostNode(snapshot)?.numbers["cpus"]),
    ),
    gauge(
      "libvirt_nova_node_memory_overcommit_ratio",
      "Memory that the active instances can have, of the memory of the host",
      "ratio",
      "<memory> of the instances / node memory.total, else memory",
      (snapshot) => ratio(allocatedMemory(snapshot), hostMemoryBytes(snapshot)),
    ),
  ],
};
