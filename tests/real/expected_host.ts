import { type Labels, seriesKey } from "./expected_samples.ts";
import { type Figures, figuresOf, numberIn } from "./virsh_figures.ts";
import type { VirshShell } from "../../testing/libvirt/virsh_shell.ts";
import { BUSY, GUESTS, OTHER_PROJECT, PAUSED, PROJECT } from "./furnished_guests.ts";

/** Adds a sample; without a value it adds none. */
type Add = (family: string, value: number | undefined, labels?: Labels) => void;

/** What virsh says of the host, in samples that cannot have changed between two looks but upwards. */
export async function expectedOfHost(shell: VirshShell): Promise<Map<string, number>> {
  const samples = new Map<string, number>();
  const add: Add = (family, value, labels = {}) => {
    if (value !== undefined) samples.set(seriesKey(`libvirt_nova_${family}`, labels), value);
  };
  await addNode(add, shell);
  await addStates(add, shell);
  for (const [pool, state] of await listed(shell, "pool-list --all")) {
    await addPool(add, shell, pool, state === "active");
  }
  for (const [network, state] of await listed(shell, "net-list --all")) {
    await addNetwork(add, shell, network, state === "active");
  }
  await addProjects(add, shell);
  return samples;
}

async function ask({ run }: VirshShell, command: string): Promise<Figures> {
  return figuresOf(await run(command));
}

/** Bytes of a figure in kibibytes. */
function bytesIn(figures: Figures, name: string): number {
  return (numberIn(figures, name) ?? NaN) * 1024;
}

async function addNode(add: Add, shell: VirshShell): Promise<void> {
  const node = await ask(shell, "nodeinfo");
  const memory = await ask(shell, "nodememstats");
  const cell = await ask(shell, "nodememstats --cell 0");
  const times = await ask(shell, "nodecpustats");
  const versions = await ask(shell, "version --daemon");
  add("node_info", 1, {
    model: node.get("CPU model") ?? "",
    driver: "QEMU",
    "hypervisor_version": (versions.get("Running hypervisor") ?? "").replace("QEMU ", ""),
    "daemon_version": versions.get("Running against daemon") ?? "",
    "client_version": (versions.get("Using library") ?? "").replace("libvirt ", ""),
  });
  add("node_cpus", numberIn(node, "CPU(s)"));
  add("node_cpu_frequency_hertz", (numberIn(node, "CPU frequency") ?? NaN) * 1e6);
  add("node_numa_nodes", numberIn(node, "NUMA cell(s)"));
  add("node_sockets_per_node", numberIn(node, "CPU socket(s)"));
  add("node_cores_per_socket", numberIn(node, "Core(s) per socket"));
  add("node_threads_per_core", numberIn(node, "Thread(s) per core"));
  add("node_memory_bytes", bytesIn(memory, "total"));
  for (const name of ["free", "buffers", "cached"]) {
    add(`node_memory_${name}_bytes`, bytesIn(memory, name));
  }
  add("node_cell_memory_bytes", bytesIn(cell, "total"), { cell: "0" });
  add("node_cell_memory_free_bytes", bytesIn(cell, "free"), { cell: "0" });
  for (const mode of ["user", "kernel", "idle", "iowait", "intr"]) {
    const nanoseconds = numberIn(times, mode === "kernel" ? "system" : mode);
    add("node_cpu_seconds_total", nanoseconds === undefined ? undefined : nanoseconds / 1e9, {
      mode,
    });
  }
  for (const [series, value] of await expectedAllocation(shell, node, memory)) {
    add(series, value);
  }
}

async function addStates(add: Add, shell: VirshShell): Promise<void> {
  const states = ["none", "running", "blocked", "paused", "shutdown", "crashed"];
  for (const state of [...states, "suspended"]) add("node_instances", 0, { state });
  add("node_instances", await countGuests(shell, "running"), { state: "running" });
  add("node_instances", await countGuests(shell, "paused"), { state: "paused" });
}

async function addPool(
  add: Add,
  shell: VirshShell,
  pool: string,
  isActive: boolean,
): Promise<void> {
  const figures = await ask(shell, `pool-info ${pool} --bytes`);
  const code = new Map([["running", 2], ["inactive", 0]]).get(figures.get("State") ?? "");
  add("storage_pool_state_code", code ?? NaN, { pool });
  add("storage_pool_persistent", truth(figures.get("Persistent")), { pool });
  add("storage_pool_autostart", truth(figures.get("Autostart")), { pool });
  // What a pool holds is known only while it runs.
  if (!isActive) return;
  add("storage_pool_capacity_bytes", numberIn(figures, "Capacity"), { pool });
  add("storage_pool_allocation_bytes", numberIn(figures, "Allocation"), { pool });
  add("storage_pool_available_bytes", numberIn(figures, "Available"), { pool });
  const volumes = await listed(shell, `vol-list ${pool}`);
  add("storage_pool_volumes", volumes.length, { pool });
  for (const [volume] of volumes) {
    const one = await ask(shell, `vol-info ${volume} ${pool} --bytes`);
    add("storage_volume_capacity_bytes", numberIn(one, "Capacity"), { pool, volume });
    add("storage_volume_allocation_bytes", numberIn(one, "Allocation"), { pool, volume });
  }
}

async function addNetwork(
  add: Add,
  shell: VirshShell,
  network: string,
  isActive: boolean,
): Promise<void> {
  const figures = await ask(shell, `net-info ${network}`);
  const [uuid, bridge] = ["UUID", "Bridge"].map((name) => figures.get(name) ?? "");
  add("network_info", 1, { network, uuid: uuid ?? "", bridge: bridge ?? "" });
  add("network_active", truth(figures.get("Active")), { network });
  add("network_persistent", truth(figures.get("Persistent")), { network });
  add("network_autostart", truth(figures.get("Autostart")), { network });
  if (!isActive) return;
  const leases = await listed(shell, `net-dhcp-leases ${network}`);
  add("network_dhcp_leases", leases.length, { network });
}

async function addProjects(add: Add, shell: VirshShell): Promise<void> {
  const projects: readonly (readonly [typeof PROJECT, string])[] = [
    [PROJECT, BUSY],
    [OTHER_PROJECT, PAUSED],
  ];
  for (const [{ id, name }, guest] of projects) {
    const labels = { novaproject: name, "project_id": id };
    add("project_instances", 1, labels);
    add("project_vcpus", await activeVirtualCpus(shell, guest), labels);
    add("project_memory_bytes", await maximumMemoryBytes(shell, guest), labels);
  }
}

async function expectedAllocation(
  shell: VirshShell,
  node: Figures,
  memory: Figures,
): Promise<readonly (readonly [family: string, value: number])[]> {
  let [virtualCpus, bytes] = [0, 0];
  for (const { name } of GUESTS) {
    virtualCpus += await activeVirtualCpus(shell, name);
    bytes += await maximumMemoryBytes(shell, name);
  }
  return [
    ["node_vcpus_allocated", virtualCpus],
    ["node_memory_allocated_bytes", bytes],
    ["node_vcpus_overcommit_ratio", virtualCpus / (numberIn(node, "CPU(s)") ?? NaN)],
    ["node_memory_overcommit_ratio", bytes / bytesIn(memory, "total")],
  ];
}

async function activeVirtualCpus({ run }: VirshShell, name: string): Promise<number> {
  return Number((await run(`vcpucount ${name} --live --active`)).trim());
}

async function maximumMemoryBytes(shell: VirshShell, name: string): Promise<number> {
  return bytesIn(await ask(shell, `dominfo ${name}`), "Max memory");
}

async function countGuests({ run }: VirshShell, state: string): Promise<number> {
  return (await run("list")).split("\n").filter((line) => line.trim().endsWith(state)).length;
}

/** The first two columns of a list. */
async function listed(
  { run }: VirshShell,
  command: string,
): Promise<readonly (readonly [name: string, state: string])[]> {
  const lines = (await run(command)).split("\n").map((line) => line.trim().split(/\s+/));
  return lines.filter(([name = ""]) => name !== "").map(([name = "", state = ""]) => [name, state]);
}

function truth(word: string | undefined): number {
  return { yes: 1, enable: 1, no: 0, disable: 0 }[word ?? ""] ?? NaN;
}
