import type { Condition } from "./conditions.ts";
import { filterFlags } from "./domain_filter.ts";
import {
  type CallFailure,
  type HostEntity,
  type Measurement,
  Verdict,
} from "../libvirt/hypervisor.ts";
import type { DomainRecord } from "../libvirt/snapshot.ts";
import {
  type IncompleteCounts,
  type IncompleteReason,
  NOTHING_INCOMPLETE,
} from "../metrics/findings.ts";
import type { DomainFilterOptions } from "../config/config.ts";

/** Conditions of a collection by key; see `ConditionLog`. */
export type Conditions = Map<string, Condition>;

/** `virErrorNumber` of a domain that no longer exists. Source: virterror.h. */
const NO_DOMAIN = 42;

const REASONS: Readonly<Partial<Record<number, Exclude<IncompleteReason, "unread">>>> = {
  [Verdict.failed]: "failed",
  [Verdict.busy]: "busy",
  [Verdict.withheld]: "withheld",
  [Verdict.quarantined]: "quarantined",
  [Verdict.late]: "late",
  [Verdict.locked]: "locked",
  [Verdict.suspended]: "suspended",
};

/** Why the values of a domain with this verdict are incomplete; undefined when they are complete, or the domain is gone. */
export function incompleteReason(
  verdict: number,
): Exclude<IncompleteReason, "unread"> | undefined {
  return REASONS[verdict];
}

/** How many of the measured instances are incomplete and why; `unread` more are not on the page yet. */
export function countIncomplete(
  { verdicts }: Pick<Measurement, "verdicts">,
  unread: number,
): IncompleteCounts {
  const counts: Record<IncompleteReason, number> = { ...NOTHING_INCOMPLETE, unread };
  for (const verdict of verdicts) {
    const reason = incompleteReason(verdict);
    if (reason !== undefined) counts[reason]++;
  }
  return counts;
}

/** Whether a call failed only because its domain has ended since it was listed. */
export function isOfEndedDomain({ code }: Pick<CallFailure, "code">): boolean {
  return code === NO_DOMAIN;
}

/** Says in one line why a call failed. */
export type Explain = (failure: CallFailure) => string;

/** Calls that failed in a collection, and what tells which instances or pools they were about. */
export interface CollectionFailures {
  /** Those of single definitions. */
  readonly described: readonly CallFailure[];
  /** Those of the measurement, alike ones together. */
  readonly measured: readonly CallFailure[];
  readonly records: readonly DomainRecord[];
  readonly measurement: Pick<Measurement, "verdicts" | "entities">;
}

/** What the numbers of the host's entities show to have failed: the entity is there, and the number that the call gives is not. */
const HOST_CALLS: Readonly<
  Record<string, readonly [kind: HostEntity["kind"], number: string] | undefined>
> = {
  virStoragePoolGetInfo: ["storage_pool", "state"],
  virStoragePoolNumOfVolumes: ["storage_pool", "volumes"],
  virStoragePoolIsPersistent: ["storage_pool", "persistent"],
  virStoragePoolGetAutostart: ["storage_pool", "autostart"],
  virStorageVolGetInfo: ["storage_volume", "capacity"],
  virNetworkIsActive: ["network", "active"],
  virNetworkIsPersistent: ["network", "persistent"],
  virNetworkGetAutostart: ["network", "autostart"],
};

/** What the log calls what a function is about, by the beginning of its name; anything else is an instance. */
const HOST_KINDS: readonly (readonly [beginning: string, kind: string])[] = [
  ["virStoragePool", "pool"],
  ["virStorageVol", "volume"],
  ["virNetwork", "network"],
];

/** The calls that failed, each kind once, with what they were about. */
export function failureConditions(
  failures: CollectionFailures,
  nameOf: (handle: number) => string,
  explain: Explain,
): Conditions {
  const { described, measured } = failures;
  const groups = new Map<string, { failure: CallFailure; count: number; names: Set<string> }>();
  const isLone = measured.filter(isOfDomains).length === 1;
  const failed = namesWith(failures, Verdict.failed);
  const add = (failure: CallFailure, names: readonly string[]): void => {
    const key = `call ${failure.call} ${failure.code}`;
    const group = groups.get(key) ?? { failure, count: 0, names: new Set<string>() };
    group.count += failure.count;
    for (const name of names) group.names.add(name);
    groups.set(key, group);
  };
  for (const failure of described) {
    if (!isOfEndedDomain(failure)) add(failure, namesOfDomains(failure, nameOf));
  }
  for (const failure of measured.filter((one) => !isOfEndedDomain(one))) {
    const named = namesOfDomains(failure, nameOf);
    // Where one call fails, those that failed are its own.
    const more = isLone && isOfDomains(failure) && failure.handles === undefined ? failed : [];
    add(failure, [...named, ...more, ...namesOfHost(failure, failures)]);
  }
  const conditions: Conditions = new Map(
    Array.from(groups, ([key, group]) => [key, conditionOf(group, explain)]),
  );
  const told = new Set([...groups.values()].flatMap(({ names }) => [...names]));
  const unexplained = failed.filter((name) => !told.has(name));
  if (unexplained.length > 0) {
    conditions.set("failed", {
      level: "warn",
      message: "libvirt refuses calls about further instances",
      affected: { kind: "instance", names: unexplained },
    });
  }
  return conditions;
}

function conditionOf(
  { failure, count, names }: {
    readonly failure: CallFailure;
    readonly count: number;
    readonly names: ReadonlySet<string>;
  },
  explain: Explain,
): Condition {
  const { call, code } = failure;
  const kind = HOST_KINDS.find(([beginning]) => call.startsWith(beginning))?.[1] ?? "instance";
  return {
    level: "warn",
    message: "A libvirt call fails",
    fields: { call, code, count, reason: explain(failure) },
    affected: { kind, names: [...names] },
  };
}

function isOfDomains(failure: CallFailure): boolean {
  return !isOfEndedDomain(failure) && failure.handle !== undefined;
}

function namesOfDomains(
  { handle, handles }: CallFailure,
  nameOf: (handle: number) => string,
): readonly string[] {
  if (handles !== undefined) return Array.from(handles, nameOf);
  return handle === undefined ? [] : [nameOf(handle)];
}

function namesOfHost(
  { call, subjects }: CallFailure,
  { measurement: { entities } }: CollectionFailures,
): readonly string[] {
  if (subjects !== undefined) return subjects;
  const [kind, number] = HOST_CALLS[call] ?? [];
  if (kind === undefined || number === undefined) return [];
  return entities.filter((entity) => entity.kind === kind && entity.numbers[number] === undefined)
    .map(({ texts }) =>
      [texts["pool"], texts["name"]].filter((text) => text !== undefined).join("/")
    );
}

function namesWith(
  { records, measurement: { verdicts } }: Pick<CollectionFailures, "records"> & {
    readonly measurement: Pick<Measurement, "verdicts">;
  },
  verdict: number,
): readonly string[] {
  return records.filter((_, position) => verdicts[position] === verdict).map(({ name }) => name);
}

/** libvirt's list of domains is late or refused. Names the instances that it waits for, where they are known. */
export function listConditions(
  failure: CallFailure | undefined,
  records: readonly DomainRecord[],
  measurement: Pick<Measurement, "verdicts">,
  explain: Explain,
): Conditions {
  if (failure === undefined) return new Map();
  return new Map([["list", {
    level: "warn",
    message: "libvirt does not list its domains, going on with the last list",
    fields: { call: failure.call, code: failure.code, reason: explain(failure) },
    affected: { kind: "instance", names: namesWith({ records, measurement }, Verdict.locked) },
  }]]);
}

/** Instances that do not answer, and those that are not even asked. */
export function verdictConditions(
  records: readonly DomainRecord[],
  measurement: Pick<Measurement, "verdicts">,
): Conditions {
  const conditions: Conditions = new Map();
  records.forEach(({ handle, name, uuid }, position) => {
    const verdict = measurement.verdicts[position];
    if (verdict !== Verdict.late && verdict !== Verdict.quarantined) return;
    conditions.set(`unanswered ${handle}`, {
      level: "warn",
      message: "An instance does not answer libvirt",
      fields: { instance: name, uuid },
    });
  });
  const group = (key: string, verdict: number, message: string): void => {
    const names = namesWith({ records, measurement }, verdict);
    if (names.length === 0) return;
    conditions.set(key, { level: "warn", message, affected: { kind: "instance", names } });
  };
  group(
    "withheld",
    Verdict.withheld,
    "Not asking instances for what needs their monitor: too many calls are unanswered " +
      "(see --libvirt.max-abandoned) or the time is too short (see --libvirt.timeout)",
  );
  group(
    "suspended",
    Verdict.suspended,
    "Not asking for interfaces of a virtual switch (vhost-user) for some minutes: " +
      "it did not answer in time",
  );
  return conditions;
}

/**
 * Filters that leave out all instances. They may be wrong.
 *
 * @param exported how many instances they leave on the page, or will once they are read
 * @param filtered how many they leave out
 */
export function filterConditions(
  filter: DomainFilterOptions,
  { exported, filtered }: { readonly exported: number; readonly filtered: number },
): Conditions {
  if (exported > 0 || filtered === 0) return new Map();
  const flags = filterFlags(filter).join(", ");
  return new Map([["filters", {
    level: "warn",
    message: "No instance passes the filters",
    fields: { instances: filtered, reason: `${filtered} left out by ${flags}` },
  }]]);
}

/** Definitions that cannot be understood. */
export function definitionConditions(
  problems: readonly { readonly record: DomainRecord; readonly problem: string }[],
): Conditions {
  return new Map(problems.map(({ record, problem }) => [`definition ${record.handle}`, {
    level: "warn",
    message: "Cannot understand the definition of an instance",
    fields: { instance: record.name, uuid: record.uuid, reason: problem },
  }]));
}
