import type { Problem } from "./conditions.ts";

/** What the exporter knows about itself and about the last collection, without asking libvirt. None of it is secret. */
export interface ExporterStatus {
  /** The exporter's version. */
  readonly version: string;
  /** The JavaScript runtime's name and version. */
  readonly runtime: string;
  /** Whether libvirt listed its domains; undefined before the first collection. */
  readonly isUp: boolean | undefined;
  /** Why libvirt did not list its domains; undefined when it did. */
  readonly reason: string | undefined;
  /** Active instances that are exported; undefined when that is not known. */
  readonly instances: number | undefined;
  /** Instances that are not on the page yet, because there was no time to read their definitions. */
  readonly unread: number;
  /** Instances that filters leave out. */
  readonly filtered: number;
  /** When the last collection ended. */
  readonly collectedAt: Date | undefined;
  /** What is the matter, the outage itself included; texts may hold names that come from outside. */
  readonly problems: readonly Problem[];
  /** What was the matter, the last first. */
  readonly pastProblems: readonly Problem[];
}

/** A hypervisor that may be probed, and what its last collection found. */
export interface TargetStatus {
  readonly name: string;
  /** Undefined while nobody has asked for it. */
  readonly status: ExporterStatus | undefined;
}
