import calls from "../../native/calls.json" with { type: "json" };
import type { CallFailure, CallTime } from "../libvirt/hypervisor.ts";
import type { Collector } from "./family.ts";

/** What became of the calls that a collector needs. */
export interface CollectorOutcome {
  readonly name: string;
  /** Whether all of them were answered. */
  readonly success: boolean;
  /** Seconds that they took in all. */
  readonly seconds: number;
}

const DEFINITION = ["virDomainGetXMLDesc"];

/** A call, as the table that is shared with the shim tells of it. */
interface Call {
  /** Which bit asks for it. */
  readonly bit: number;
  /** libvirt's functions that may be called for it. */
  readonly functions: readonly string[];
  /** Whether the call waits for a guest's monitor, or for another call that uses it. */
  readonly monitor: boolean;
}

/** The libvirt functions that may be called for a collector. One that asks for nothing needs definitions only. */
export function callsOf(collector: Collector): ReadonlySet<string> {
  const functions = askedBy(collector).flatMap((call) => call.functions);
  return new Set(functions.length === 0 ? DEFINITION : functions);
}

/** Whether what a collector asks for has to wait for a guest's monitor. */
export function needsMonitor(collector: Collector): boolean {
  return askedBy(collector).some((call) => call.monitor);
}

function askedBy({ groups, domainCalls = 0, hostCalls = 0 }: Collector): readonly Call[] {
  const asked = (table: Readonly<Record<string, Call>>, bits: number): readonly Call[] =>
    Object.values(table).filter(({ bit }) => (bits & (1 << bit)) !== 0);
  return [
    ...asked(calls.groups, groups),
    ...asked(calls.domainCalls, domainCalls),
    ...asked(calls.hostCalls, hostCalls),
  ];
}

/** What became of each collector's calls. A call that several collectors need counts for each of them. */
export function collectorOutcomes(
  collectors: readonly Collector[],
  failures: readonly CallFailure[],
  callTimes: readonly CallTime[],
): readonly CollectorOutcome[] {
  return collectors.map((collector) => {
    const functions = callsOf(collector);
    return {
      name: collector.name,
      success: !failures.some(({ call }) => functions.has(call)),
      seconds: callTimes.reduce(
        (sum, { call, seconds }) => functions.has(call) ? sum + seconds : sum,
        0,
      ),
    };
  });
}
