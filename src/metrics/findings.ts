import type { HypervisorStatus } from "../libvirt/hypervisor.ts";
import type { Snapshot } from "../libvirt/snapshot.ts";
import type { CollectorOutcome } from "./calls.ts";
import type { LabelCache } from "./exposition.ts";
import type { Collector } from "./family.ts";

/**
 * Why an instance's values are incomplete; see `Verdict` in hypervisor.ts. One that is `unread` is not on the page yet:
 * there was no time to read its definition. One that is `suspended` lacks only what is given up for a time.
 */
export const INCOMPLETE_REASONS = [
  "failed",
  "busy",
  "withheld",
  "quarantined",
  "late",
  "locked",
  "suspended",
  "unread",
] as const;

/** One of {@link INCOMPLETE_REASONS}. */
export type IncompleteReason = typeof INCOMPLETE_REASONS[number];

/** How many instances are incomplete, by reason. */
export type IncompleteCounts = Readonly<Record<IncompleteReason, number>>;

/** No instance is incomplete. */
export const NOTHING_INCOMPLETE: IncompleteCounts = {
  failed: 0,
  busy: 0,
  withheld: 0,
  quarantined: 0,
  late: 0,
  locked: 0,
  suspended: 0,
  unread: 0,
};

/** What one collection found. Everything on a page is made of it, and of the exporter's own counters. */
export interface Findings {
  /** Whether libvirt listed its domains. */
  readonly isUp: boolean;
  /** Why libvirt did not list its domains; undefined when it did. */
  readonly reason: string | undefined;
  /** Active instances that are exported; undefined when libvirt gave no list. */
  readonly instances: number | undefined;
  /** Domains that filters leave out; undefined when libvirt gave no list. */
  readonly filtered: number | undefined;
  /** Instances that are not on the page yet, because there was no time to read their definitions. */
  readonly unread: number;
  /** How old libvirt's list of domains is; undefined when libvirt gave no list. */
  readonly listAgeSeconds: number | undefined;
  readonly incomplete: IncompleteCounts;
  /** What became of the calls of each collector. */
  readonly outcomes: readonly CollectorOutcome[];
  /** The state of the connection; undefined when it is not known. */
  readonly status: HypervisorStatus | undefined;
  /** When the values were asked for, in milliseconds of `performance.now()`; undefined when libvirt gave no list. */
  readonly measuredAt: number | undefined;
  /** The values; undefined when libvirt gave no list. */
  readonly snapshot: Snapshot | undefined;
  readonly collectors: readonly Collector[];
  readonly labelTexts: LabelCache<string>;
}

/** What a collection finds that libvirt does not answer. */
export function nothingFound(
  { reason, status, labelTexts }: Pick<Findings, "reason" | "status" | "labelTexts">,
): Findings {
  return {
    isUp: false,
    reason,
    instances: undefined,
    filtered: undefined,
    unread: 0,
    listAgeSeconds: undefined,
    incomplete: NOTHING_INCOMPLETE,
    outcomes: [],
    status,
    measuredAt: undefined,
    snapshot: undefined,
    collectors: [],
    labelTexts,
  };
}
