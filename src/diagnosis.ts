import type { Condition } from "./conditions.ts";
import { explainFailure } from "./libvirt/explain.ts";
import { type CallFailure, type Measurement, Verdict } from "./libvirt/hypervisor.ts";
import type { DomainRecord } from "./libvirt/snapshot.ts";
import type { CollectionState, IncompleteReason } from "./metrics/self.ts";

/** Conditions of a collection by key; see `ConditionLog`. */
export type Conditions = Map<string, Condition>;

/** `virErrorNumber` of a domain that no longer exists. Source: virterror.h. */
const NO_DOMAIN = 42;

/** Nothing is incomplete. */
export const NOTHING_INCOMPLETE: CollectionState["incomplete"] = {
  failed: 0,
  busy: 0,
  withheld: 0,
  quarantined: 0,
  late: 0,
  unread: 0,
};

const REASONS: Readonly<Partial<Record<number, IncompleteReason>>> = {
  [Verdict.failed]: "failed",
  [Verdict.busy]: "busy",
  [Verdict.withheld]: "withheld",
  [Verdict.quarantined]: "quarantined",
  [Verdict.late]: "late",
};

/** How many of the measured instances are incomplete and why; `unread` more are not on the page yet. */
export function countIncomplete(
  { verdicts }: Pick<Measurement, "verdicts">,
  unread: number,
): CollectionState["incomplete"] {
  const counts: Record<IncompleteReason, number> = { ...NOTHING_INCOMPLETE, unread };
  for (const verdict of verdicts) {
    const reason = REASONS[verdict];
    if (reason !== undefined) counts[reason]++;
  }
  return counts;
}

/** Whether a failure is one at all: that a domain has ended since it was listed is none. */
export function isFailure({ code }: CallFailure): boolean {
  return code !== NO_DOMAIN;
}

/** What is the matter with a failed call; `instance` is the name of one that it concerned. */
export function failureCondition(
  failure: CallFailure,
  instance: string | undefined,
): readonly [key: string, condition: Condition] {
  const { call, code, count } = failure;
  return [`call ${call} ${code}`, {
    level: "warn",
    message: "A libvirt call fails",
    fields: { call, code, count, instance, reason: explainFailure(failure) },
  }];
}

/** Instances that do not answer, and those that are not even asked. */
export function verdictConditions(
  records: readonly DomainRecord[],
  { verdicts }: Pick<Measurement, "verdicts">,
): Conditions {
  const conditions: Conditions = new Map();
  let withheld = 0;
  records.forEach(({ handle, name, uuid }, position) => {
    const verdict = verdicts[position];
    if (verdict === Verdict.withheld) withheld++;
    if (verdict !== Verdict.late && verdict !== Verdict.quarantined) return;
    conditions.set(`unanswered ${handle}`, {
      level: "warn",
      message: "An instance does not answer libvirt",
      fields: { instance: name, uuid },
    });
  });
  if (withheld > 0) {
    conditions.set("withheld", {
      level: "warn",
      message: "Not asking instances for what needs their monitor: too many calls are unanswered " +
        "(see --libvirt.max-abandoned) or the time is too short (see --libvirt.timeout)",
      fields: { instances: withheld },
    });
  }
  return conditions;
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
