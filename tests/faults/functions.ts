/**
 * The functions of libvirt that the shim calls, and what a fault of each may cost.
 *
 * @module
 */

/**
 * Where a function is called:
 *
 * - `single`: over libvirt's test driver, whose bulk statistics stop at the state, so that values come call by call;
 * - `bulk`: with bulk statistics, as QEMU's driver has them;
 * - `listed`: without any bulk statistics, not even for the list;
 * - `vcpu`: with bulk statistics, and only a group that does not show whether the guest answers;
 * - `disk`: with bulk statistics, and only what is asked for more cheaply of a lone disk.
 */
export type World = "single" | "bulk" | "listed" | "vcpu" | "disk";

/** What has to happen besides, so that the function is called in the midst of scraping. */
export type Occasion =
  /** The connection is replaced. */
  | "reconnection"
  /** A call about a domain fails. */
  | "failed call";

/** The argument that a function is about, as stand_in.c names it. */
type Subject = "OPENING" | "CONNECTION" | "DOMAIN" | "DOMAINS" | "NETWORK" | "POOL" | "VOLUME";

/** What a function does to the number of references, as stand_in.c names it. */
type Effect =
  | "NONE"
  | "OPENS"
  | "CLOSES"
  | "REFERS"
  | "FREES"
  | "LISTS"
  | "REPLIES"
  | "FREES_REPLY"
  | "REGISTERS"
  | "UNREGISTERS";

/** A function that makes a call to the daemon. */
export interface DaemonFunction {
  readonly subject: Subject;
  readonly worlds: readonly World[];
  /** The collectors whose series may be missing when it fails, or, of a function about the host, when it is late. */
  readonly collectors: readonly string[];
  /** Whether it waits for the guest's monitor, so that what needs none is there without it. */
  readonly needsMonitor?: true;
  readonly occasion?: Occasion;
  readonly effect?: Effect;
  /** It gives a pointer, and null when it fails; others give -1. */
  readonly isPointer?: true;
}

/** A function that does not reach the daemon. */
export interface LocalFunction {
  /** What it works on instead. */
  readonly local: string;
  readonly effect?: Effect;
}

const BULK_COLLECTORS = [
  "interface",
  "perf",
  "memory_bandwidth",
  "cpu",
  "vcpu",
  "memory",
  "paging",
  "block",
  "block_capacity",
  "block_limits",
  "block_latency",
  "haltpoll",
  "hypervisor",
  "iothread",
  "dirtyrate",
  "cache_monitor",
  "energy_monitor",
  "job",
  "seed",
];
const ON_OPENING = { worlds: ["single"], collectors: [], occasion: "reconnection" } as const;
const NETWORK = { subject: "NETWORK", worlds: ["single"], collectors: ["network"] } as const;
const POOL = { subject: "POOL", worlds: ["single"], collectors: ["storage_pool"] } as const;
const VOLUMES = { worlds: ["single"], collectors: ["storage_volume"] } as const;
const NODE = { subject: "CONNECTION", worlds: ["single"], collectors: ["node"] } as const;
const DOMAIN = { subject: "DOMAIN", worlds: ["single"] } as const;
const WITH_MONITOR = { ...DOMAIN, needsMonitor: true } as const;
const LIST = { subject: "CONNECTION", collectors: [] } as const;
const HANDLE = { local: "what libvirt's client keeps in a handle" } as const;
const REFERENCE = { local: "the references to a handle" } as const;
const MEMORY = { local: "memory of libvirt's client" } as const;
const EVENT_LOOP = { local: "the event loop" } as const;

/** Every function of `native/src/bindings.rs`, and those that the shim looks up besides. */
export const FUNCTIONS: Readonly<Record<string, DaemonFunction | LocalFunction>> = {
  virConnectOpenAuth: {
    ...ON_OPENING,
    subject: "OPENING",
    effect: "OPENS",
    isPointer: true,
  },
  virConnectClose: { ...ON_OPENING, subject: "CONNECTION", effect: "CLOSES" },
  virConnectDomainEventRegisterAny: {
    ...ON_OPENING,
    subject: "CONNECTION",
    effect: "REGISTERS",
  },
  virConnectDomainEventDeregisterAny: {
    ...ON_OPENING,
    subject: "CONNECTION",
    effect: "UNREGISTERS",
  },
  virConnectGetLibVersion: { ...NODE, occasion: "reconnection" },
  virConnectGetVersion: NODE,
  virConnectGetType: { ...NODE, isPointer: true },
  virNodeGetInfo: NODE,
  virNodeGetCPUStats: NODE,
  virNodeGetMemoryStats: NODE,

  virConnectGetAllDomainStats: { ...LIST, worlds: ["single", "bulk"], effect: "REPLIES" },
  // Nothing else tells the state with such a driver.
  virConnectListAllDomains: {
    ...LIST,
    worlds: ["listed"],
    collectors: ["state"],
    effect: "LISTS",
  },

  virDomainListGetStats: {
    subject: "DOMAINS",
    worlds: ["bulk"],
    collectors: BULK_COLLECTORS,
    effect: "REPLIES",
  },
  virDomainGetXMLDesc: {
    ...DOMAIN,
    collectors: [],
    occasion: "reconnection",
    isPointer: true,
  },
  virDomainGetCPUStats: { ...DOMAIN, worlds: ["single", "bulk"], collectors: ["cpu", "seed"] },
  virDomainGetInfo: { ...DOMAIN, collectors: ["cpu", "memory", "seed", "vcpu"] },
  virDomainGetMaxVcpus: { ...DOMAIN, collectors: ["cpu", "vcpu", "seed"] },
  virDomainGetVcpus: { ...DOMAIN, collectors: ["cpu", "vcpu"] },
  virDomainInterfaceStats: { ...DOMAIN, collectors: ["interface", "seed"] },
  virDomainMemoryStats: { ...WITH_MONITOR, collectors: ["memory", "paging", "seed"] },
  virDomainBlockStats: { ...WITH_MONITOR, collectors: ["block", "seed"] },
  virDomainBlockStatsFlags: { ...WITH_MONITOR, worlds: ["disk"], collectors: ["block", "seed"] },
  virDomainSnapshotNum: { ...DOMAIN, worlds: ["single", "bulk"], collectors: ["snapshot"] },
  virDomainListAllCheckpoints: { ...DOMAIN, collectors: ["snapshot"], effect: "LISTS" },
  virDomainGetJobStats: { ...WITH_MONITOR, worlds: ["bulk"], collectors: ["job"] },
  virDomainGetControlInfo: { ...DOMAIN, worlds: ["vcpu"], collectors: [] },
  virDomainIsActive: {
    ...DOMAIN,
    worlds: ["listed"],
    collectors: ["cpu", "memory", "seed", "vcpu"],
    occasion: "failed call",
  },

  virConnectListAllNetworks: { ...NETWORK, subject: "CONNECTION", effect: "LISTS" },
  virNetworkGetBridgeName: { ...NETWORK, isPointer: true },
  virNetworkGetAutostart: NETWORK,
  virNetworkIsActive: NETWORK,
  virNetworkIsPersistent: NETWORK,
  virNetworkGetDHCPLeases: NETWORK,
  virConnectListAllStoragePools: {
    subject: "CONNECTION",
    worlds: ["single"],
    collectors: ["storage_pool", "storage_volume"],
    effect: "LISTS",
  },
  virStoragePoolGetInfo: POOL,
  virStoragePoolGetAutostart: POOL,
  virStoragePoolIsPersistent: POOL,
  virStoragePoolNumOfVolumes: POOL,
  virStoragePoolListAllVolumes: { ...VOLUMES, subject: "POOL", effect: "LISTS" },
  virStorageVolGetInfo: { ...VOLUMES, subject: "VOLUME" },

  virInitialize: MEMORY,
  virGetVersion: { local: "the client library's own version" },
  virConnectSetKeepAlive: {
    local: "the event loop; what the daemon supports was asked on opening",
  },
  virConnectIsAlive: { local: "what libvirt's client knows of its socket" },
  virDomainRef: { ...REFERENCE, effect: "REFERS" },
  virDomainFree: { ...REFERENCE, effect: "FREES" },
  virNetworkFree: { ...REFERENCE, effect: "FREES" },
  virStoragePoolFree: { ...REFERENCE, effect: "FREES" },
  virStorageVolFree: { ...REFERENCE, effect: "FREES" },
  virDomainGetID: HANDLE,
  virDomainGetName: HANDLE,
  virDomainGetUUID: HANDLE,
  virNetworkGetName: HANDLE,
  virNetworkGetUUID: HANDLE,
  virStoragePoolGetName: HANDLE,
  virStoragePoolGetUUID: HANDLE,
  virStorageVolGetName: HANDLE,
  virDomainStatsRecordListFree: { ...MEMORY, effect: "FREES_REPLY" },
  virTypedParamsClear: MEMORY,
  virTypedParamsFree: MEMORY,
  virGetLastError: MEMORY,
  virSetErrorFunc: MEMORY,
  virEventRegisterDefaultImpl: EVENT_LOOP,
  virEventRunDefaultImpl: EVENT_LOOP,
};

/** Functions that are looked up by themselves, as not every release has them. */
export const LOOKED_UP: readonly string[] = ["virDomainListAllCheckpoints"];

/** The functions that reach the daemon, by name. */
export const DAEMON_FUNCTIONS: ReadonlyMap<string, DaemonFunction> = new Map(
  Object.entries(FUNCTIONS).flatMap(([name, row]) =>
    "subject" in row ? [[name, row] as const] : []
  ),
);

/** Whether a function is about domains, so that a fault may be about one of them. */
export function isAboutDomain({ subject }: DaemonFunction): boolean {
  return subject === "DOMAIN" || subject === "DOMAINS";
}

/** The names of the functions that the shim takes from libvirt. */
export function namesInBindings(bindings: string): readonly string[] {
  return [...bindings.matchAll(/^ {4}pub (vir\w+):\s+unsafe extern "C" fn\(/gm)]
    .map(([, name = ""]) => name);
}

/** The table as stand_in.c includes it. */
export function functionsHeader(): string {
  const rows = Object.entries(FUNCTIONS).map(([name, row]) => {
    const [subject, isPointer] = "subject" in row ? [row.subject, row.isPointer] : ["LOCAL", true];
    return `  X(${name}, ${subject}, ${isPointer === true ? 0 : -1}, ${row.effect ?? "NONE"})`;
  });
  return `#define FUNCTIONS(X) \\\n${rows.join(" \\\n")}\n`;
}
