import { outputOf } from "../../testing/command.ts";
import type { KnownGuest, Labels } from "./expected_samples.ts";
import { novaMetadata } from "../../testing/libvirt/guest_xml.ts";
import type { Hypervisor, InitialGuest } from "../../testing/libvirt/hypervisor.ts";
import { waitUntil } from "../../testing/wait_until.ts";

const BYTES_PER_MEBIBYTE = 1024 * 1024;

/** The guest that runs and has nearly everything that a guest can have. */
export const BUSY = "instance-00000001";

/** The guest whose processors never run. */
export const PAUSED = "instance-00000002";

const PLAIN = "instance-00000003";

const PORT = "567a4527-b0c1-4d1f-8c52-5a7d3f2b1c00";

const VOLUME = "0b1c2d3e-4d1f-4c52-8f0e-5a7d3f2b1c02";

const IMAGE = "155d900f-4e14-4e4c-a73d-069cbf4541e6";

/** The project of the busy guest, whose name has to be escaped. */
export const PROJECT = { id: "38bd8e984a3e435a87e950a441ee55aa", name: `R&D "lab"` };

/** The project of the paused guest. */
export const OTHER_PROJECT = { id: "f81d4fae7dec11d0a76500a0c91e6bf6", name: "other" };

const UUIDS: Readonly<Record<string, string>> = {
  [BUSY]: "0b7d5a5e-5b3f-4a71-9d0a-6f2f3ad0c001",
  [PAUSED]: "0b7d5a5e-5b3f-4a71-9d0a-6f2f3ad0c002",
  [PLAIN]: "0b7d5a5e-5b3f-4a71-9d0a-6f2f3ad0c003",
};

/** The guests as they are defined; `furnish()` gives them the rest. */
export const GUESTS: readonly (InitialGuest & { readonly uuid: string })[] = [
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
  rescue: "false",
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
export async function knownGuests(
  hypervisor: Hypervisor,
): Promise<Readonly<Record<string, KnownGuest>>> {
  const machine = /machine='([^']+)'/.exec(await hypervisor.virsh("dumpxml", BUSY))?.[1] ??
    "no machine";
  return {
    [BUSY]: await knownBusyGuest(hypervisor, machine),
    [PAUSED]: await knownPausedGuest(hypervisor, machine),
    [PLAIN]: await knownPlainGuest(hypervisor, machine),
  };
}

async function knownBusyGuest(hypervisor: Hypervisor, machine: string): Promise<KnownGuest> {
  const volumeFile = `${hypervisor.directory}/disks/${UUIDS[BUSY]}-vdb.raw`;
  return {
    identity: { libvirtname: BUSY, novaname: "busy", novaproject: PROJECT.name },
    information: {
      ...INFORMATION_OF_ALL,
      machine,
      uuid: UUIDS[BUSY] ?? "",
      flavor: "m1.tiny",
      "flavor_id": "42",
      "project_id": PROJECT.id,
      user: "tester",
      "user_id": "user-id",
      "image_id": IMAGE,
      "root_type": "image",
      "nova_version": "34.0.0",
    },
    values: {
      "flavor_vcpus": 2,
      "flavor_memory_bytes": 100_663_296,
      "flavor_disk_bytes": 1_073_741_824,
      "flavor_ephemeral_bytes": 2_147_483_648,
      "flavor_swap_bytes": 3_145_728,
      "metadata_created_timestamp_seconds": 1_717_236_000,
      "start_timestamp_seconds": await startOf(hypervisor, BUSY),
    },
    disks: {
      vda: { ...DISK_OF_ALL, source: overlayOf(hypervisor, BUSY), driver: "qcow2" },
      vdb: { ...DISK_OF_ALL, source: volumeFile, volume_id: VOLUME },
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
  };
}

async function knownPausedGuest(hypervisor: Hypervisor, machine: string): Promise<KnownGuest> {
  return {
    identity: { libvirtname: PAUSED, novaname: "paused", novaproject: OTHER_PROJECT.name },
    information: {
      ...INFORMATION_OF_ALL,
      machine,
      uuid: UUIDS[PAUSED] ?? "",
      "project_id": OTHER_PROJECT.id,
      "root_type": "volume",
      "nova_version": "18.0.0",
    },
    values: {
      "metadata_created_timestamp_seconds": 1_583_020_799,
      "start_timestamp_seconds": await startOf(hypervisor, PAUSED),
    },
    disks: {
      vda: { ...DISK_OF_ALL, source: overlayOf(hypervisor, PAUSED), driver: "qcow2" },
    },
    interfaces: {},
  };
}

async function knownPlainGuest(hypervisor: Hypervisor, machine: string): Promise<KnownGuest> {
  return {
    identity: { libvirtname: PLAIN, novaname: "", novaproject: "" },
    information: { ...INFORMATION_OF_ALL, machine, uuid: UUIDS[PLAIN] ?? "" },
    values: { start_timestamp_seconds: await startOf(hypervisor, PLAIN) },
    disks: {},
    interfaces: {
      tapplain: { ...INTERFACE_OF_ALL, mac_address: "fa:16:3e:00:00:03" },
    },
  };
}

/** When a guest was started, in seconds since 1970, as libvirt's file with its process id tells. */
async function startOf({ directory }: Hypervisor, name: string): Promise<number> {
  const file = `${directory}/run/libvirt/qemu/${name}.pid`;
  return Math.round(Number(await outputOf("stat", ["--format=%.9Y", file])) * 1000) / 1000;
}

function overlayOf({ directory }: Hypervisor, name: string): string {
  return `${directory}/disks/${name}-overlay.qcow2`;
}

/** Gives the guests all that a collector could tell of. */
export async function furnish(hypervisor: Hypervisor): Promise<void> {
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
  if (await isLibvirtSince(virsh, 7, 2)) {
    await checkpointDisk(virsh);
    await measureDirtyRate(virsh);
  }
  await virsh("domblkthreshold", BUSY, "vdb", String(8 * BYTES_PER_MEBIBYTE));
  await limitDisks(virsh);
  await limitInterfaces(hypervisor);
  await virsh("domif-setlink", BUSY, "tapelse", "down");
  for (const event of PERFORMANCE_EVENTS) {
    // A machine that does not let libvirt count has nothing to compare.
    await virsh("perf", BUSY, "--enable", event, "--live").catch(() => {});
  }
}

async function isLibvirtSince(
  virsh: Hypervisor["virsh"],
  major: number,
  minor: number,
): Promise<boolean> {
  const version = await virsh("version", "--daemon");
  const [, ...numbers] = /Running against daemon: (\d+)\.(\d+)/.exec(version) ?? [];
  const [presentMajor = NaN, presentMinor = NaN] = numbers.map(Number);
  return presentMajor > major || (presentMajor === major && presentMinor >= minor);
}

async function checkpointDisk(virsh: Hypervisor["virsh"]): Promise<void> {
  for (const name of ["one", "two"]) {
    const disks = ["--diskspec", "vda,checkpoint=bitmap", "--diskspec", "vdb,checkpoint=no"];
    await virsh("checkpoint-create-as", BUSY, name, ...disks);
  }
}

async function measureDirtyRate(virsh: Hypervisor["virsh"]): Promise<void> {
  await virsh("domdirtyrate-calc", BUSY, "--seconds", "1");
  await waitUntil("the dirty rate", async () => {
    const report = await virsh("domstats", BUSY, "--dirtyrate");
    return report.includes("calc_status=2") || undefined;
  }, 20_000);
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
    const inside = [`--target=${libvirtdPid()}`, "--root", "--mount"];
    const replace = `mount --bind /bin/true "$(PATH=/usr/sbin:/sbin command -v tc)"`;
    await outputOf("nsenter", [...inside, "sh", "-c", replace]);
    await limit();
  }
}

/** Pools with volumes, and networks, that libvirt has no need of programs for. */
export async function furnishHost({ virsh, directory }: Hypervisor): Promise<void> {
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
