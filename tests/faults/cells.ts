/**
 * The cells of the fault matrix: which fault of which function, when, and what a page may lack meanwhile.
 *
 * @module
 */

import { OPENING_CALL } from "../../src/libvirt/hypervisor.ts";
import { COLLECTORS } from "../../src/metrics/mod.ts";
import { callsOf } from "../../src/metrics/calls.ts";
import { DAEMON_FUNCTIONS, type DaemonFunction, isAboutDomain, type World } from "./functions.ts";
import { type Series, SUCCESS } from "./page.ts";
import type { Fault, FaultKind } from "./stand_in.ts";
import { TIMEOUT_MILLISECONDS, VICTIM } from "./subject.ts";

/** What happens in a cell, in words. */
export type Happening =
  | "hangs for ever"
  | "is late"
  | "fails once"
  | "fails always"
  | "loses the connection"
  | "finds the connection dead";

/** A field of the matrix. */
export interface Cell {
  readonly call: string;
  readonly row: DaemonFunction;
  readonly world: World;
  readonly happening: Happening;
  /** Whether it happens for one domain only. */
  readonly isAboutOne: boolean;
  /** Whether it is there already when the exporter starts. */
  readonly isAtStart: boolean;
}

const KINDS: Readonly<Record<Happening, FaultKind>> = {
  "hangs for ever": "hang",
  "is late": "delay",
  "fails once": "fail-once",
  "fails always": "fail",
  "loses the connection": "die",
  "finds the connection dead": "dead",
};

/** What can happen without a daemon at the other end of a socket. */
export const HAPPENINGS: readonly Happening[] = [
  "hangs for ever",
  "is late",
  "fails once",
  "fails always",
];

/** What can happen with one only. */
export const SOCKET_HAPPENINGS: readonly Happening[] = [
  "loses the connection",
  "finds the connection dead",
];

/** The functions without which an exporter does not begin. */
const AT_START: readonly string[] = [
  OPENING_CALL,
  "virConnectDomainEventRegisterAny",
  "virConnectGetAllDomainStats",
  "virDomainGetXMLDesc",
];

/** Longer than the pages that are got while the fault is there. */
const LATENESS_MILLISECONDS = 2.5 * TIMEOUT_MILLISECONDS;

/** The collectors that need nothing but definitions. */
const DEFINITION_COLLECTORS: ReadonlySet<string> = new Set(
  COLLECTORS.filter((one) => [...callsOf(one)].every((call) => call === "virDomainGetXMLDesc"))
    .map(({ name }) => name),
);

/** Collectors that need no monitor, whatever the driver. */
const WITHOUT_MONITOR: readonly string[] = ["interface", "snapshot", "state"];

/** All cells of these happenings. */
export function cellsOf(happenings: readonly Happening[]): readonly Cell[] {
  return [...DAEMON_FUNCTIONS].flatMap(([call, row]) =>
    row.worlds.flatMap((world) =>
      happenings.flatMap((happening) =>
        (isAboutDomain(row) ? [true, false] : [false]).flatMap((isAboutOne) =>
          [false, ...(AT_START.includes(call) && world === "single" ? [true] : [])].map(
            (isAtStart) => ({ call, row, world, happening, isAboutOne, isAtStart }),
          )
        )
      )
    )
  );
}

/** The cell in a few words, but for its function. */
export function describeCell({ row, world, happening, isAboutOne, isAtStart }: Cell): string {
  const scope = isAboutOne ? " for one domain" : isAboutDomain(row) ? " for all domains" : "";
  return `${happening}${scope}${isAtStart ? " at the start" : ""} (${world})`;
}

/** The faults that make a cell: its own, and what has to happen besides. */
export function faultsOf({ call, row, happening, isAboutOne, isAtStart }: Cell): {
  readonly own: Fault;
  readonly occasion: readonly Fault[];
} {
  const domain = isAboutOne ? VICTIM : undefined;
  const own = { kind: KINDS[happening], call, domain, milliseconds: LATENESS_MILLISECONDS };
  if (row.occasion === "reconnection" && !isAtStart) {
    return { own, occasion: [{ kind: "fail-once", call: "virConnectIsAlive" }] };
  }
  if (row.occasion === "failed call") {
    return { own, occasion: [{ kind: "fail", call: "virDomainGetCPUStats", domain }] };
  }
  return { own, occasion: [] };
}

/** Whether the happening is over as soon as it was felt, so that the next page is one after its end. */
export function isOverAtOnce({ happening }: Cell): boolean {
  return happening === "fails once" || SOCKET_HAPPENINGS.includes(happening);
}

/** Whether a connection is made anew in a cell. */
export function isReconnecting({ row, happening }: Cell): boolean {
  return row.occasion === "reconnection" || SOCKET_HAPPENINGS.includes(happening);
}

/** Whether the fault takes away the very thing without which there is nothing to show. */
export function takesAll({ call, row, happening, isAtStart }: Cell): boolean {
  const isList = call === "virConnectGetAllDomainStats" || call === "virConnectListAllDomains";
  // A connection that is lost just after it was made is made again only a second later.
  const isNew = row.occasion === "reconnection" || isAtStart;
  if (isNew && SOCKET_HAPPENINGS.includes(happening)) return true;
  return call === OPENING_CALL || (isAtStart && isList);
}

/** Whether a page may lack a series while the fault is there. */
export function mayMiss(cell: Cell, { domain, family, collector }: Series): boolean {
  const { call, row, happening, isAboutOne, isAtStart } = cell;
  if (takesAll(cell)) return true;
  if (SOCKET_HAPPENINGS.includes(happening)) return family !== SUCCESS;
  if (!isAboutDomain(row)) return row.collectors.includes(collector);
  if (call === "virDomainGetXMLDesc" && isAtStart) {
    // What instances and projects take of the host is known from definitions alone.
    const isOfDefinitions = domain !== undefined || ["node", "project"].includes(collector);
    return isAboutOne ? domain === VICTIM : isOfDefinitions;
  }
  if (domain === undefined || (isAboutOne && domain !== VICTIM) || family === SUCCESS) return false;
  if (happening.startsWith("fails")) return row.collectors.includes(collector);
  if (row.needsMonitor === true && WITHOUT_MONITOR.includes(collector)) return false;
  return !DEFINITION_COLLECTORS.has(collector);
}

/** Whether all that was asked about a domain must have been answered while the fault is there. */
export function mustSucceed({ row, happening, isAboutOne }: Cell, domain: string): boolean {
  if (SOCKET_HAPPENINGS.includes(happening)) return false;
  return !isAboutDomain(row) || (isAboutOne && domain !== VICTIM);
}
