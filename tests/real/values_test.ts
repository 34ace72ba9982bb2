import assert from "node:assert/strict";
import { COLLECTORS, SWITCHED_COLLECTORS } from "../../src/metrics/mod.ts";
import { outputOf } from "./command.ts";
import {
  assertBetween,
  expectedSamples,
  type KnownGuest,
  type Labels,
  type Samples,
  samplesOf,
  seriesKey,
} from "./expected_samples.ts";
import {
  type AnsweredScrape,
  type ExporterProcess,
  startExporterProcess,
} from "./exporter_process.ts";
import { novaMetadata } from "./guest_xml.ts";
import { ensureHypervisorHost } from "./host.ts";
import { type Hypervisor, type InitialGuest, startHypervisor } from "./hypervisor.ts";
import { askAboutGuest, type Figures, figuresOf, numberIn } from "./virsh_figures.ts";
import { startVirshShell, type VirshShell } from "./virsh_shell.ts";
import { pause, waitUntil } from "./wait_until.ts";

const host = await ensureHypervisorHost();

const BYTES_PER_MEBIBYTE = 1024 * 1024;

const BUSY = "instance-00000001";
const PAUSED = "instance-00000002";
const PLAIN = "instance-00000003";

const PORT = "567a4527-b0c1-4d1f-8c52-5a7d3f2b1c00";
const VOLUME = "0b1c2d3e-4d1f-4c52-8f0e-5a7d3f2b1c02";
const IMAGE = "155d900f-4e14-4e4c-a73d-069cbf4541e6";
const PROJECT = { id: "38bd8e984a3e435a87e950a441ee55aa", name: `R&D "lab"` };
const OTHER_PROJECT = { id: "f81d4fae7dec11d0a76500a0c91e6bf6", name: "other" };

const UUIDS: Readonly<Record<string, string>> = {
  [BUSY]: "0b7d5a5e-5b3f-4a71-9d0a-6f2f3ad0c001",
  [PAUSED]: "0b7d5a5e-5b3f-4a71-9d0a-6f2f3ad0c002",
  [PLAIN]: "0b7d5a5e-5b3f-4a71-9d0a-6f2f3ad0c003",
};

const GUESTS: readonly (InitialGuest & { readonly uuid: string })[] = [
  {
    name: BUSY,
    uuid: UUIDS[BUSY] ?? "",
    processors: { current: 1, maximum: 2 },
    disks: [{ target: "vda" }, { target: "vdb", serial: VOLUME }],
    interfaces: [
      { target: `tap${PORT.slice(0, 11)}`, macAddress: "fa:16:3e:00:00:01" },
      { target: "tapelse", macAddress: "fa:16:3e:00:00:02" },
    ],
    heartbeat: true,
    additionalDomainXml: "<iothreads>2</iothreads>",
    metadata: novaMetadata({
      version: "1.1",
      release: "34.0.0",
      name: "busy",
      creationTime: "2024-06-01 10:00:00",
      flavor: {
        name: "m1.tiny",
        id: "42",
        memoryMebibytes: 96,
        diskGibibytes: 1,
        swapMebibytes: 3,
        ephemeralGibibytes: 2,
        processors: 2,
      },
      user: { id: "user-id", name: "tester" },
      project: PROJECT,
      root: { type: "image", id: IMAGE },
      ports: [{
        id: PORT,
        addresses: [
          { address: "192.0.2.10", ipVersion: 4 },
          { address: "2001:db8::10", ipVersion: 6 },
        ],
      }],
    }),
  },
  {
    name: PAUSED,
    uuid: UUIDS[PAUSED] ?? "",
    start: "paused",
    disks: [{ target: "vda" }],
    metadata: novaMetadata({
      version: "1.0",
      name: "paused",
      creationTime: "2020-02-29 23:59:59",
      project: OTHER_PROJECT,
      root: { type: "volume", id: "" },
    }),
  },
  {
    name: PLAIN,
    uuid: UUIDS[PLAIN] ?? "",
    start: "paused",
    balloonPeriodSeconds: "none",
    interfaces: [{ target: "tapplain", macAddress: "fa:16:3e:00:00:03" }],
  },
];

const ALL_ON = SWITCHED_COLLECTORS.map(({ name }) => `--collector.${name}`);

const INSTANCE_FAMILIES = new Set(
  COLLECTORS.flatMap(({ families }) => families.map(({ name }) => name)),
);
const USUAL_FAMILIES = new Set(
  COLLECTORS.filter(({ byDefault }) => byDefault !== false)
    .flatMap(({ families }) => families.map(({ name }) => name)),
);
const HOST_FAMILIES = new Set(
  COLLECTORS.flatMap(({ hostFamilies = [] }) => hostFamilies.map(({ name }) => name)),
);

/**
 * Families that may have no sample where these tests run, and why. Any other has to have one.
 */
const UNFED: Readonly<Record<string, RegExp>> = {
  "QEMU counts no errors of disks": /_block_errors_total$/,
  "libvirt tells it of guests of IBM Z only": /_vcpu_halted$/,
  "it came with libvirt 11.10 or 12.1": /_block_(limit|interval|\w+_latency_bin)_/,
  "only KVM counts, and the guests are emulated": /_hypervisor_statistic_/,
  "QEMU measures it by the dirty ring of KVM": /_vcpu_dirtyrate_/,
  "it needs a processor with resource control":
    /_(cpu_cache_monitor|memory_bandwidth|perf_cache_occupancy)_|_perf_memory_bandwidth_/,
  "the machine's processor may count no events":
    /_perf_(cache|instructions|cpu_cycles|branch|bus|stalled|reference)/,
  "the kernel may give no events to a container": /_perf_/,
  "only a migration with post-copy, compression, slowed vCPUs, or its disks has it":
    /_job_(memory_postcopy|compression|auto_converge|disk_bytes_per_second)/,
  "only the destination of a migration, and a backup, have it":
    /_job_(elapsed_net|downtime_net|disk_temporary_\w+)_/,
  "only a network with a limit of its own can keep a rate free": /_interface_tune_receive_floor_/,
  "QEMU expects an end only after an iteration over the memory": /_job_remaining_seconds$/,
};

/** Software events, which need no processor's help. */
const PERFORMANCE_EVENTS = [
  "cpu_clock",
  "task_clock",
  "page_faults",
  "page_faults_min",
  "page_faults_maj",
  "context_switches",
  "cpu_migrations",
  "alignment_faults",
  "emulation_faults",
];

const DISK_OF_ALL: Labels = {
  device: "disk",
  bus: "virtio",
  "volume_id": "",
  "source_type": "file",
  protocol: "",
  driver: "raw",
  cache: "",
  discard: "",
  io: "",
  "read_only": "false",
  shareable: "false",
  "tune_group": "",
};

const INTERFACE_OF_ALL: Labels = {
  model: "virtio",
  type: "ethernet",
  bridge: "",
  network: "",
  mtu: "",
  vlan: "",
  "virtual_port": "",
  driver: "",
  queues: "",
  "port_id": "",
  "fixed_ips": "",
};

const INFORMATION_OF_ALL: Labels = {
  flavor: "",
  "flavor_id": "",
  "project_id": "",
  user: "",
  "user_id": "",
  "image_id": "",
  "root_type": "",
  "nova_version": "",
  hypervisor: "qemu",
  "os_type": "hvm",
  architecture: "x86_64",
};

/** What is known of each guest without libvirt. */
async function knownGuests(
  hypervisor: Hypervisor,
): Promise<Readonly<Record<string, KnownGuest>>> {
  const machine = /machine='([^']+)'/.exec(await hypervisor.virsh("dumpxml", BUSY))?.[1] ??
    "no machine";
  const start = async (name: string): Promise<number> => {
    const file = `${hypervisor.directory}/run/libvirt/qemu/${name}.pid`;
    return Math.round(Number(await outputOf("stat", ["--format=%.9Y", file])) * 1000) / 1000;
  };
  const information = (name: string, labels: Labels): Labels => ({
    ...INFORMATION_OF_ALL,
    machine,
    uuid: UUIDS[name] ?? "",
    ...labels,
  });
  const fileOf = (name: string, target: string): string =>
    `${hypervisor.directory}/disks/${UUIDS[name]}-${target}.raw`;
  return {
    [BUSY]: {
      identity: { libvirtname: BUSY, novaname: "busy", novaproject: PROJECT.name },
      information: information(BUSY, {
        flavor: "m1.tiny",
        "flavor_id": "42",
        "project_id": PROJECT.id,
        user: "tester",
        "user_id": "user-id",
        "image_id": IMAGE,
        "root_type": "image",
        "nova_version": "34.0.0",
      }),
      values: {
        "flavor_vcpus": 2,
        "flavor_memory_bytes": 100_663_296,
        "flavor_disk_bytes": 1_073_741_824,
        "flavor_ephemeral_bytes": 2_147_483_648,
        "flavor_swap_bytes": 3_145_728,
        "metadata_created_timestamp_seconds": 1_717_236_000,
        "start_timestamp_seconds": await start(BUSY),
      },
      disks: {
        vda: { ...DISK_OF_ALL, source: overlayOf(hypervisor, BUSY), driver: "qcow2" },
        vdb: { ...DISK_OF_ALL, source: fileOf(BUSY, "vdb"), volume_id: VOLUME },
      },
      interfaces: {
        [`tap${PORT.slice(0, 11)}`]: {
          ...INTERFACE_OF_ALL,
          "mac_address": "fa:16:3e:00:00:01",
          "port_id": PORT,
          "fixed_ips": "192.0.2.10,2001:db8::10",
        },
        tapelse: { ...INTERFACE_OF_ALL, mac_address: "fa:16:3e:00:00:02" },
      },
    },
    [PAUSED]: {
      identity: { libvirtname: PAUSED, novaname: "paused", novaproject: OTHER_PROJECT.name },
      information: information(PAUSED, {
        "project_id": OTHER_PROJECT.id,
        "root_type": "volume",
        "nova_version": "18.0.0",
      }),
      values: {
        "metadata_created_timestamp_seconds": 1_583_020_799,
        "start_timestamp_seconds": await start(PAUSED),
      },
      disks: {
        vda: { ...DISK_OF_ALL, source: overlayOf(hypervisor, PAUSED), driver: "qcow2" },
      },
      interfaces: {},
    },
    [PLAIN]: {
      identity: { libvirtname: PLAIN, novaname: "", novaproject: "" },
      information: information(PLAIN, {}),
      values: { start_timestamp_seconds: await start(PLAIN) },
      disks: {},
      interfaces: {
        tapplain: { ...INTERFACE_OF_ALL, mac_address: "fa:16:3e:00:00:03" },
      },
    },
  };
}

function overlayOf({ directory }: Hypervisor, name: string): string {
  return `${directory}/disks/${name}-overlay.qcow2`;
}

/** Gives the guests all that a collector could tell of. */
async function furnish(hypervisor: Hypervisor): Promise<void> {
  const { virsh } = hypervisor;
  const snapshot = (name: string, ...options: readonly string[]): Promise<string> =>
    virsh(
      "snapshot-create-as",
      name,
      "--disk-only",
      "--atomic",
      ...["--diskspec", `vda,file=${overlayOf(hypervisor, name)}`],
      ...options,
    );
  // libvirt keeps either snapshots or checkpoints of a guest.
  await snapshot(PAUSED, "--name", "first");
  await snapshot(BUSY, "--no-metadata", "--diskspec", "vdb,snapshot=no");
  for (const name of ["one", "two"]) {
    const disks = ["--diskspec", "vda,checkpoint=bitmap", "--diskspec", "vdb,checkpoint=no"];
    await virsh("checkpoint-create-as", BUSY, name, ...disks);
  }
  await virsh("domblkthreshold", BUSY, "vdb", String(8 * BYTES_PER_MEBIBYTE));
  await limitDisks(virsh);
  await limitInterfaces(hypervisor);
  await virsh("domif-setlink", BUSY, "tapelse", "down");
  await virsh("domdirtyrate-calc", BUSY, "--seconds", "1");
  await waitUntil("the dirty rate", 20_000, async () => {
    const report = await virsh("domstats", BUSY, "--dirtyrate");
    return report.includes("calc_status=2") || undefined;
  });
  for (const event of PERFORMANCE_EVENTS) {
    // A machine that does not let libvirt count has nothing to compare.
    await virsh("perf", BUSY, "--enable", event, "--live").catch(() => {});
  }
}

/** Sets every limit of disks that there is; libvirt refuses those of a sum beside those of its parts. */
async function limitDisks(virsh: Hypervisor["virsh"]): Promise<void> {
  const limits = (direction: string, first: number): readonly string[] =>
    Object.entries({
      "bytes-sec": 100_000_000 + first,
      "bytes-sec-max": 200_000_000 + first,
      "bytes-sec-max-length": 3 + first,
      "iops-sec": 10_000 + first,
      "iops-sec-max": 20_000 + first,
      "iops-sec-max-length": 6 + first,
    }).flatMap(([name, value]) => [`--${direction}-${name}`, String(value)]);
  await virsh("blkdeviotune", BUSY, "vda", "--live", ...limits("read", 1), ...limits("write", 2));
  const size = ["--size-iops-sec", "4096"];
  await virsh("blkdeviotune", BUSY, "vdb", "--live", ...limits("total", 3), ...size);
}

/**
 * Limits a network card. libvirt keeps the limits in the definition, where it answers `domiftune` from, when `tc` has put them into
 * force. Where the kernel lacks the queueing disciplines for it, a program that always agrees stands in for `tc`.
 */
async function limitInterfaces({ virsh, libvirtdPid }: Hypervisor): Promise<void> {
  const limit = (): Promise<string> =>
    virsh(
      ...["domiftune", BUSY, "tapelse", "--live"],
      ...["--inbound", "100000,200000,5120", "--outbound", "125000,250000,6400"],
    );
  try {
    await limit();
  } catch {
    const inside = [`--target=${libvirtdPid()}`, "--mount"];
    await outputOf("nsenter", [...inside, "mount", "--bind", "/bin/true", "/usr/sbin/tc"]);
    await limit();
  }
}

const isInstanceFamily = (family: string): boolean => INSTANCE_FAMILIES.has(family);
const isHostFamily = (family: string): boolean => HOST_FAMILIES.has(family);

/** What virsh says of all guests, as samples. */
async function expectedOfAll(
  shell: VirshShell,
  known: Readonly<Record<string, KnownGuest>>,
): Promise<Samples> {
  const samples = new Map<string, number>();
  for (const [name, guest] of Object.entries(known)) {
    const devices = [Object.keys(guest.disks), Object.keys(guest.interfaces)] as const;
    const figures = await askAboutGuest(shell, name, ...devices);
    for (const [series, value] of expectedSamples(guest, figures)) samples.set(series, value);
  }
  return samples;
}

/** Only counters, which alone cannot have left the range between two looks meanwhile. */
function countersOf(samples: Samples): Samples {
  const isCounter = (series: string): boolean =>
    /^\w+(_total|_instance_(rx|tx|rd|wr)\w+) /.test(series);
  return new Map([...samples].filter(([series]) => isCounter(series)));
}

/** What virsh says of the host, in samples that cannot have changed between two looks but upwards. */
async function expectedOfHost(shell: VirshShell): Promise<Map<string, number>> {
  const samples = new Map<string, number>();
  const add = (family: string, value: number | undefined, labels: Labels = {}): void => {
    if (value !== undefined) samples.set(seriesKey(`libvirt_nova_${family}`, labels), value);
  };
  const ask = async (command: string): Promise<Figures> => figuresOf(await shell.run(command));
  const node = await ask("nodeinfo");
  const memory = await ask("nodememstats");
  const cell = await ask("nodememstats --cell 0");
  const times = await ask("nodecpustats");
  const versions = await ask("version --daemon");
  const bytes = (figures: Figures, name: string): number => (numberIn(figures, name) ?? NaN) * 1024;
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
  add("node_memory_bytes", bytes(memory, "total"));
  for (const name of ["free", "buffers", "cached"]) {
    add(`node_memory_${name}_bytes`, bytes(memory, name));
  }
  add("node_cell_memory_bytes", bytes(cell, "total"), { cell: "0" });
  add("node_cell_memory_free_bytes", bytes(cell, "free"), { cell: "0" });
  for (const mode of ["user", "kernel", "idle", "iowait", "intr"]) {
    const nanoseconds = numberIn(times, mode === "kernel" ? "system" : mode);
    add("node_cpu_seconds_total", nanoseconds === undefined ? undefined : nanoseconds / 1e9, {
      mode,
    });
  }
  for (const [series, value] of await expectedAllocation(shell, node, memory)) {
    add(series, value);
  }
  const states = ["none", "running", "blocked", "paused", "shutdown", "shutoff", "crashed"];
  for (const state of [...states, "suspended"]) add("node_instances", 0, { state });
  add("node_instances", await countGuests(shell, "running"), { state: "running" });
  add("node_instances", await countGuests(shell, "paused"), { state: "paused" });
  for (const [pool, state] of await listed(shell, "pool-list")) {
    if (state !== "active") continue;
    const figures = await ask(`pool-info ${pool} --bytes`);
    add("storage_pool_state_code", figures.get("State") === "running" ? 2 : NaN, { pool });
    add("storage_pool_capacity_bytes", numberIn(figures, "Capacity"), { pool });
    add("storage_pool_allocation_bytes", numberIn(figures, "Allocation"), { pool });
    add("storage_pool_available_bytes", numberIn(figures, "Available"), { pool });
    add("storage_pool_persistent", truth(figures.get("Persistent")), { pool });
    add("storage_pool_autostart", truth(figures.get("Autostart")), { pool });
    const volumes = await listed(shell, `vol-list ${pool}`);
    add("storage_pool_volumes", volumes.length, { pool });
    for (const [volume] of volumes) {
      const one = await ask(`vol-info ${volume} ${pool} --bytes`);
      add("storage_volume_capacity_bytes", numberIn(one, "Capacity"), { pool, volume });
      add("storage_volume_allocation_bytes", numberIn(one, "Allocation"), { pool, volume });
    }
  }
  for (const [network, state] of await listed(shell, "net-list --all")) {
    const figures = await ask(`net-info ${network}`);
    const [uuid, bridge] = ["UUID", "Bridge"].map((name) => figures.get(name) ?? "");
    add("network_info", 1, { network, uuid: uuid ?? "", bridge: bridge ?? "" });
    add("network_active", truth(figures.get("Active")), { network });
    add("network_persistent", truth(figures.get("Persistent")), { network });
    add("network_autostart", truth(figures.get("Autostart")), { network });
    if (state !== "active") continue;
    const leases = await listed(shell, `net-dhcp-leases ${network}`);
    add("network_dhcp_leases", leases.length, { network });
  }
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
  return samples;
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
  const total = (numberIn(memory, "total") ?? NaN) * 1024;
  return [
    ["node_vcpus_allocated", virtualCpus],
    ["node_memory_allocated_bytes", bytes],
    ["node_vcpus_overcommit_ratio", virtualCpus / (numberIn(node, "CPU(s)") ?? NaN)],
    ["node_memory_overcommit_ratio", bytes / total],
  ];
}

async function activeVirtualCpus({ run }: VirshShell, name: string): Promise<number> {
  return Number((await run(`vcpucount ${name} --live --active`)).trim());
}

async function maximumMemoryBytes({ run }: VirshShell, name: string): Promise<number> {
  const figures = figuresOf(await run(`dominfo ${name}`));
  return (numberIn(figures, "Max memory") ?? NaN) * 1024;
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

/** Pools with volumes, and networks, that libvirt has no need of programs for. */
async function furnishHost({ virsh, directory }: Hypervisor): Promise<void> {
  await virsh("pool-define-as", "images", "dir", "--target", `${directory}/images`);
  await virsh("pool-build", "images");
  await virsh("pool-start", "images");
  await virsh("pool-autostart", "images");
  await virsh("vol-create-as", "images", "sparse", "4M", "--format", "raw", "--allocation", "1M");
  await virsh("vol-create-as", "images", "full", "2M", "--format", "raw");
  Deno.mkdirSync(`${directory}/passing`);
  await virsh("pool-create-as", "passing", "dir", "--target", `${directory}/passing`);
  await virsh("pool-define-as", "inactive", "dir", "--target", `${directory}/inactive`);
  const network = (name: string): string =>
    `<network><name>${name}</name><forward mode="bridge"/><bridge name="br-${name}"/></network>`;
  for (const name of ["active", "inactive"]) {
    const document = `${directory}/network-${name}.xml`;
    Deno.writeTextFileSync(document, network(name));
    await virsh("net-define", document);
  }
  await virsh("net-start", "active");
  await virsh("net-autostart", "active");
}

/** Memory of the host and frequencies go up and down with what else the machine does. */
const RESTLESS = /^libvirt_nova_node_(memory_(free|buffers|cached)|cell_memory_free|cpu_frequency)/;

/** By how much such a value may differ from what virsh says a moment later, as a share of the host's memory or of itself. */
const RESTLESS_SHARE = 0.1;

/**
 * Moves a guest until it stops at a destination whose QEMU stands still, so that the figures of the move stand still, too.
 */
async function assertJobIsTold(
  hypervisor: Hypervisor,
  known: KnownGuest,
  shell: VirshShell,
  scrape: () => Promise<AnsweredScrape>,
): Promise<void> {
  const { virsh } = hypervisor;
  // libvirt does not move a guest with checkpoints.
  for (const name of ["two", "one"]) await virsh("checkpoint-delete", BUSY, name, "--metadata");
  // The destination would put the limits into force with the real program.
  await virsh("domiftune", BUSY, "tapelse", "--live", "--inbound", "0", "--outbound", "0");
  // libvirt refuses to move a guest to what it takes for the same machine.
  const libvirtdSettings = { "host_uuid": crypto.randomUUID() };
  await using target = await startHypervisor({ libvirtdSettings });
  await using targetExporter = await startExporterProcess(target.readOnlyUri, ALL_ON);
  await virsh("migrate-setspeed", BUSY, "2");
  // A socket, because their networks are apart; unsafe, because libvirt does not know that they share the disks.
  const how = ["--live", "--unsafe", "--migrateuri", `unix://${target.directory}/migration`];
  const moving = virsh("migrate", ...how, BUSY, target.readWriteUri).then(() => "moved", String);
  const job = async (): Promise<Figures> =>
    figuresOf(await shell.run(`domjobinfo ${BUSY} --rawstats`));
  await waitUntil("the guest's memory to be on its way", 20_000, async () => {
    return (numberIn(await job(), "memory_processed") ?? 0) > 0 || undefined;
  });
  // The destination has no figures of the move, which is no failure.
  const page = await targetExporter.scrape();
  assert.equal(page.up, 1);
  assert.deepEqual(targetExporter.logLines().filter((line) => !line.includes("level=info")), []);
  const destination = target.guestPid(BUSY);
  Deno.kill(destination, "SIGSTOP");
  try {
    const withoutClock = (figures: Figures): string =>
      JSON.stringify([...figures].filter(([name]) => name !== "time_elapsed"));
    await waitUntil("the move to stand still", 20_000, async () => {
      const before = withoutClock(await job());
      await pause(300);
      return withoutClock(await job()) === before || undefined;
    });
    const ofJob = (samples: Samples): Samples =>
      new Map([...samples].filter(([series]) => series.startsWith("libvirt_nova_instance_job_")));
    const expected = async (): Promise<Samples> => {
      const devices = [Object.keys(known.disks), Object.keys(known.interfaces)] as const;
      return ofJob(expectedSamples(known, await askAboutGuest(shell, BUSY, ...devices)));
    };
    const before = await expected();
    const actual = samplesOf(await scrape(), isInstanceFamily);
    const after = await expected();
    const isMoved = (series: string): boolean => series.includes(`"${BUSY}"`);
    assertBetween(new Map([...ofJob(actual)].filter(([series]) => isMoved(series))), before, after);
    const moves = [...before].filter(([series, value]) => after.get(series) !== value);
    assert.deepEqual(moves.map(([series]) => series.split(" ")[0]), [
      "libvirt_nova_instance_job_elapsed_seconds",
    ]);
  } finally {
    Deno.kill(destination, "SIGCONT");
  }
  await virsh("domjobabort", BUSY);
  assert.match(await moving, /canceled/);
}

if (host.available) {
  Deno.test("every family has what virsh says", async (context) => {
    await using hypervisor = await startHypervisor({ guests: GUESTS });
    await hypervisor.waitForGuestReady(BUSY);
    await furnish(hypervisor);
    await furnishHost(hypervisor);
    // The private libvirtd has its state elsewhere than its sockets; libvirtd's own are neighbours.
    Deno.symlinkSync("../run/libvirt/qemu", `${hypervisor.directory}/sockets/qemu`);
    const known = await knownGuests(hypervisor);
    await using shell = startVirshShell(hypervisor.readWriteUri);
    await using exporter = await startExporterProcess(hypervisor.readOnlyUri, ALL_ON);
    const fed = new Set<string>();
    const scrape = async (from: ExporterProcess = exporter): Promise<AnsweredScrape> => {
      const page = await from.scrape();
      assert.equal(page.up, 1);
      for (const { name, samples } of page.families.values()) {
        if (samples.length > 0) fed.add(name);
      }
      return page;
    };
    await waitUntil("the guest's balloon to report", 30_000, async () => {
      return (await shell.run(`dommemstat ${BUSY}`)).includes("usable") || undefined;
    });
    await scrape();

    await context.step("counters of a running guest, between two looks", async () => {
      const before = await expectedOfAll(shell, known);
      const actual = samplesOf(await scrape(), isInstanceFamily);
      const after = await expectedOfAll(shell, known);
      assertBetween(countersOf(actual), countersOf(before), countersOf(after));
    });

    await context.step("all series of guests that stand still, exactly", async () => {
      await hypervisor.suspend(BUSY);
      const before = await expectedOfAll(shell, known);
      const actual = samplesOf(await scrape(), isInstanceFamily);
      const after = await expectedOfAll(shell, known);
      assertBetween(actual, before, after);
      // For fewer collectors other functions of libvirt are cheaper, such as that for a lone disk.
      await using usual = await startExporterProcess(hypervisor.readOnlyUri);
      const ofUsual = (samples: Samples): Samples =>
        new Map([...samples].filter(([series]) => USUAL_FAMILIES.has(series.split(" ")[0] ?? "")));
      const others = samplesOf(await usual.scrape(), isInstanceFamily);
      assertBetween(others, ofUsual(after), ofUsual(await expectedOfAll(shell, known)));
      assert.equal(await usual.stop(), 0);
      // To be asked costs QEMU itself processor time, and memory, which count.
      const moving = [...before].filter(([series, value]) => after.get(series) !== value)
        .map(([series]) => series)
        .filter((series) => !/_cpu_|_perf_|_vcpu_\w*seconds|_memory_resident_/.test(series));
      assert.deepEqual(moving, []);
    });

    await context.step("the host, its pools, volumes and networks, and the projects", async () => {
      const before = await expectedOfHost(shell);
      const actual = samplesOf(await scrape(), isHostFamily);
      const after = await expectedOfHost(shell);
      const memory = actual.get(seriesKey("libvirt_nova_node_memory_bytes", {})) ?? NaN;
      for (const samples of [before, after]) {
        for (const [series, value] of samples) {
          const now = actual.get(series) ?? NaN;
          const room = RESTLESS_SHARE * (series.includes("memory") ? memory : value);
          if (RESTLESS.test(series) && Math.abs(now - value) < room) samples.set(series, now);
        }
      }
      const isPool = (series: string): boolean => /_pool_(allocation|available)_/.test(series);
      for (const series of [...before.keys()].filter(isPool)) {
        // libvirt looks at a pool when somebody wants it to, and never when the exporter asks.
        assert.equal(before.get(series), after.get(series), series);
      }
      assertBetween(actual, before, after);
    });

    await context.step("the job of a guest that is moved", async () => {
      const guest = known[BUSY];
      assert.ok(guest !== undefined);
      await assertJobIsTold(hypervisor, guest, shell, scrape);
    });

    await context.step("and none is left out without a reason", () => {
      const all = [...INSTANCE_FAMILIES, ...HOST_FAMILIES];
      const reasons = Object.values(UNFED);
      const silent = all.filter((family) => !fed.has(family));
      const unexplained = silent.filter((family) => !reasons.some((one) => one.test(family)));
      assert.deepEqual(unexplained, []);
      const unused = reasons.filter((one) => !all.some((family) => one.test(family)));
      assert.deepEqual(unused, []);
    });

    await context.step("without a failure of anything that was asked", async () => {
      const page = await scrape();
      const failed = (page.families.get("libvirt_nova_exporter_collector_success")?.samples ?? [])
        .filter(({ value }) => value !== 1).map(({ labels }) => labels["collector"]);
      assert.deepEqual(failed, []);
      assert.deepEqual(exporter.logLines().filter((line) => !line.includes("level=info")), []);
      assert.equal(await exporter.stop(), 0);
    });
  });
}
