import { incompleteReason } from "../scrape/diagnosis.ts";
import { DomainCall, StatisticsGroup } from "../libvirt/hypervisor.ts";
import { type DomainRecord, isActive, type Snapshot } from "../libvirt/snapshot.ts";
import { USED_BYTES } from "../metrics/collectors/memory.ts";
import { reasonName, stateName } from "../metrics/domain_state.ts";
import { instanceValue } from "../metrics/exposition.ts";
import { KIBIBYTES, NANOSECONDS } from "../metrics/family.ts";
import type { Findings } from "../metrics/findings.ts";
import { hostMemoryBytes, hostNode, sumOf } from "../metrics/host.ts";
import { neededCalls } from "../metrics/mod.ts";
import { countOf } from "./units.ts";

/** For how long what a guest has said of its memory is shown. Nova has it say it every 10 seconds. */
const GUEST_FIGURES_SECONDS = 120;

/** How many instances a note names. */
const NAMED_INSTANCES = 3;

/** What a collection found, and when its values were asked for. */
export interface Observation {
  readonly findings: Findings;
  /** When the values were asked for, in seconds of a steady clock. */
  readonly steadySeconds: number;
  /** The same in Unix time. */
  readonly unixSeconds: number;
}

/** What a person sees of a hypervisor. Texts are as libvirt gave them. What is not known is undefined. */
export interface Overview {
  readonly host: HostFacts;
  /** Active ones first, the busiest of them on top. */
  readonly instances: readonly InstanceFacts[];
  /** Which values were asked for: without its collectors a value is known of no instance. */
  readonly asked: Readonly<Record<Subject, boolean>>;
  /** Seconds that rates are of; undefined without rates. */
  readonly rateSeconds: number | undefined;
  /** What is missing, in sentences. */
  readonly notes: readonly string[];
}

/** What is asked of libvirt for collectors that can be switched off. */
export type Subject = "cpu" | "memory" | "disk" | "network";

/** The host, and what of it is given to active instances. */
export interface HostFacts {
  /** Active ones; those that could not be shown are counted. */
  readonly instances: number;
  /** Instances that are shut off, if they were asked for. */
  readonly inactive: number;
  readonly virtualCpus: number | undefined;
  readonly cpus: number | undefined;
  /** Memory that active instances can have. */
  readonly allocatedBytes: number | undefined;
  readonly memoryBytes: number | undefined;
}

/** An instance. Rates are of the time between two collections. */
export interface InstanceFacts {
  /** Nova's name; libvirt's where there is none. */
  readonly name: string;
  readonly libvirtName: string;
  readonly project: string | undefined;
  readonly isActive: boolean;
  /** libvirt's word for its state. */
  readonly state: string | undefined;
  /** Why it is in that state, unless it runs. */
  readonly reason: string | undefined;
  /** Why some of its values are not known, in words; undefined when libvirt answered all that was asked. */
  readonly incomplete: string | undefined;
  readonly virtualCpus: number | undefined;
  /** Cores that it keeps busy. */
  readonly cores: number | undefined;
  /** What the guest said that it uses, less what it could free, unless that is old. */
  readonly usedBytes: number | undefined;
  /** What the balloon leaves to it; of one that is shut off, what it would get. */
  readonly memoryBytes: number | undefined;
  readonly readBytesPerSecond: number | undefined;
  readonly writtenBytesPerSecond: number | undefined;
  readonly receivedBytesPerSecond: number | undefined;
  readonly transmittedBytesPerSecond: number | undefined;
}

/**
 * What two observations show. Without the one before, or when it was of another run of an instance, there are no rates.
 */
export function overviewOf(before: Observation | undefined, now: Observation): Overview {
  const { findings } = now;
  const snapshot = findings.snapshot;
  const asked = subjectsOf(findings);
  if (snapshot === undefined) {
    return { host: NO_HOST, instances: [], asked, rateSeconds: undefined, notes: [] };
  }
  const seconds = before === undefined ? 0 : now.steadySeconds - before.steadySeconds;
  const earlier = seconds > 0 ? countersByHandle(before?.findings.snapshot) : new Map();
  const read = deviceCounters(snapshot);
  const instances = snapshot.domains.map((record, domain): InstanceFacts => {
    const rate = rateReader(earlier.get(record.handle), read(domain), seconds);
    return {
      ...identity(record),
      ...stateOf(snapshot, domain),
      incomplete: incompleteText(snapshot, record, domain),
      virtualCpus: record.description?.currentVirtualCpus,
      usedBytes: usedMemory(snapshot, domain, now.unixSeconds),
      memoryBytes: memoryOf(snapshot, domain),
      cores: rate("cpu"),
      readBytesPerSecond: rate("read"),
      writtenBytesPerSecond: rate("written"),
      receivedBytesPerSecond: rate("received"),
      transmittedBytesPerSecond: rate("transmitted"),
    };
  });
  return {
    host: hostFacts(findings, snapshot),
    instances: instances.sort(compareInstances),
    asked,
    rateSeconds: seconds > 0 ? seconds : undefined,
    notes: [...incompleteNotes(snapshot), ...unreadNotes(findings.unread)],
  };
}

const NO_HOST: HostFacts = {
  instances: 0,
  inactive: 0,
  virtualCpus: undefined,
  cpus: undefined,
  allocatedBytes: undefined,
  memoryBytes: undefined,
};

function subjectsOf({ collectors }: Findings): Overview["asked"] {
  const { groups, domainCalls } = neededCalls(collectors);
  const asks = (group: number, call: number): boolean =>
    (groups & group) !== 0 || (domainCalls & call) !== 0;
  return {
    cpu: asks(StatisticsGroup.cpu, DomainCall.cpuTime),
    memory: asks(StatisticsGroup.balloon, 0),
    disk: asks(StatisticsGroup.block, DomainCall.blockCounters),
    network: asks(StatisticsGroup.interface, 0),
  };
}

function hostFacts({ instances = 0 }: Findings, snapshot: Snapshot): HostFacts {
  const active = snapshot.domains.filter(isActive);
  return {
    instances,
    inactive: snapshot.domains.length - active.length,
    virtualCpus: sumOf(active.map(({ description }) => description?.currentVirtualCpus)),
    cpus: hostNode(snapshot)?.numbers["cpus"],
    allocatedBytes: sumOf(active.map(({ description }) => description?.memoryBytes)),
    memoryBytes: hostMemoryBytes(snapshot),
  };
}

function identity(
  record: DomainRecord,
): Pick<InstanceFacts, "name" | "libvirtName" | "project" | "isActive"> {
  const nova = record.description?.nova;
  return {
    name: nova?.name || record.name,
    libvirtName: record.name,
    project: nova?.projectName || undefined,
    isActive: isActive(record),
  };
}

function field(snapshot: Snapshot, domain: number, name: string): number | undefined {
  const number = snapshot.dictionary.number(name);
  return number === undefined ? undefined : snapshot.value(domain, number);
}

function stateOf(snapshot: Snapshot, domain: number): Pick<InstanceFacts, "state" | "reason"> {
  const code = field(snapshot, domain, "state.state");
  if (code === undefined) return { state: undefined, reason: undefined };
  const state = stateName(code);
  const reasonCode = field(snapshot, domain, "state.reason");
  const reason = reasonCode === undefined ? "unknown" : reasonName(code, reasonCode);
  const isShown = state !== "running" && reason !== "unknown";
  return { state, reason: isShown ? reason.replaceAll("_", " ") : undefined };
}

const INCOMPLETE: Readonly<Record<NonNullable<ReturnType<typeof incompleteReason>>, string>> = {
  failed: "libvirt refused a call about it",
  busy: "somebody else was asking its QEMU",
  withheld: "not asked: too many calls were unanswered, or there was no time",
  quarantined: "not asked: an earlier call about it is unanswered",
  late: "it did not answer in time",
  locked: "libvirt holds its lock",
  suspended: "its vhost-user interfaces are not asked for some minutes",
};

function incompleteText(
  snapshot: Snapshot,
  { definition }: DomainRecord,
  domain: number,
): string | undefined {
  const reason = incompleteReason(snapshot.verdict(domain));
  if (reason !== undefined) return INCOMPLETE[reason];
  return definition === "refused" ? "libvirt refused its definition" : undefined;
}

function usedMemory(snapshot: Snapshot, domain: number, now: number): number | undefined {
  const told = field(snapshot, domain, "balloon.last-update");
  // Where libvirt does not say when the guest told, it tells only what the guest tells now.
  if (told !== undefined && now - told > GUEST_FIGURES_SECONDS) return undefined;
  return instanceValue(USED_BYTES, snapshot, domain);
}

function memoryOf(snapshot: Snapshot, domain: number): number | undefined {
  const current = field(snapshot, domain, "balloon.current");
  if (current !== undefined) return KIBIBYTES.convert(current);
  return snapshot.domains[domain]?.description?.currentMemoryBytes;
}

/** Counters of one instance, by what they count and by device. */
type Counters = Readonly<Record<Counted, ReadonlyMap<string, number>>>;

type Counted = "cpu" | "read" | "written" | "received" | "transmitted";

const DEVICE_FIELDS = [
  ["read", "block.N", "rd.bytes"],
  ["written", "block.N", "wr.bytes"],
  ["received", "net.N", "rx.bytes"],
  ["transmitted", "net.N", "tx.bytes"],
] as const;

function countersByHandle(snapshot: Snapshot | undefined): ReadonlyMap<number, Counters> {
  if (snapshot === undefined) return new Map();
  const read = deviceCounters(snapshot);
  return new Map(snapshot.domains.map(({ handle }, domain) => [handle, read(domain)]));
}

/** How the counters of a domain are read. Devices go by name: a snapshot's slots are its own. */
function deviceCounters(snapshot: Snapshot): (domain: number) => Counters {
  const found = new Map<number, Record<Counted, Map<string, number>>>();
  const of = (domain: number): Record<Counted, Map<string, number>> => {
    const known = found.get(domain) ?? {
      cpu: new Map(),
      read: new Map(),
      written: new Map(),
      received: new Map(),
      transmitted: new Map(),
    };
    found.set(domain, known);
    return known;
  };
  for (const [counted, group, key] of DEVICE_FIELDS) {
    const numbers = snapshot.dictionary.deviceFields(group, key);
    for (const { domain, slot, name } of snapshot.namedDevices(group)) {
      const number = numbers[slot];
      const value = number === undefined ? undefined : snapshot.value(domain, number);
      if (value !== undefined) of(domain)[counted].set(name, value);
    }
  }
  return (domain) => {
    const counters = of(domain);
    const time = field(snapshot, domain, "cpu.time");
    if (time !== undefined) counters.cpu.set("", NANOSECONDS.convert(time));
    return counters;
  };
}

/** Rates of what both have counted; a device that began anew in between has none. */
function rateReader(
  before: Counters | undefined,
  now: Counters,
  seconds: number,
): (counted: Counted) => number | undefined {
  return (counted) => {
    const differences = Array.from(now[counted], ([device, value]) => {
      const earlier = before?.[counted].get(device);
      return earlier === undefined || value < earlier ? undefined : value - earlier;
    });
    const sum = sumOf(differences);
    return sum === undefined ? undefined : sum / seconds;
  };
}

const NAMES = new Intl.Collator("en", { numeric: true });

/**
 * What shows the same percentage is in the order of names, so that idle instances stay where they are: of Nova's names, which
 * several may share, and then of libvirt's.
 */
function compareInstances(left: InstanceFacts, right: InstanceFacts): number {
  const tenths = ({ cores }: InstanceFacts): number =>
    cores === undefined ? -1 : Math.round(cores * 1000);
  return Number(right.isActive) - Number(left.isActive) ||
    tenths(right) - tenths(left) ||
    NAMES.compare(left.name, right.name) ||
    NAMES.compare(left.libvirtName, right.libvirtName);
}

function incompleteNotes(snapshot: Snapshot): readonly string[] {
  const names = snapshot.domains
    .filter((_, domain) => !snapshot.isComplete(domain))
    .map((record) => identity(record).name)
    .sort(NAMES.compare);
  if (names.length === 0) return [];
  const named = names.slice(0, NAMED_INSTANCES).join(", ");
  const more = names.length - NAMED_INSTANCES;
  return [
    `libvirt did not answer all that was asked about ${countOf(names.length)}: ${named}${
      more > 0 ? ` and ${more} more` : ""
    }`,
  ];
}

function unreadNotes(unread: number): readonly string[] {
  if (unread === 0) return [];
  return [
    `The definition of ${countOf(unread)} not shown here could not be read yet`,
  ];
}
