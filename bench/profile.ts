import { PHASES } from "../src/metrics/self.ts";
import type { Round } from "./rounds.ts";
import { mean, median } from "./statistics.ts";

/** Something that takes a part of a scrape's time, and how much of it, in milliseconds. */
export interface Part {
  readonly name: string;
  readonly milliseconds: number;
}

/** Where the time of the exporter's scrapes goes. */
export interface Profile {
  /** Waiting for a page: these follow each other. */
  readonly wall: readonly Part[];
  /** Processor time, by what the exporter's threads are for. */
  readonly processor: readonly Part[];
}

/** Name of the part of the time between request and answer that the page does not tell of. */
export const HTTP = "HTTP";

const MAIN_THREAD = "JavaScript";
const OTHER_THREADS = "others";

/** What the threads are for, by the names that the shim and the runtime give them. */
const THREADS: Readonly<Record<string, string>> = {
  "libvirt-call": "libvirt's calls",
  "libvirt-survey": "coordination",
  "libvirt-events": "libvirt's events",
  "libvirt-close": "freeing",
  "libvirt-nudge": "libvirt's calls",
  "libvirt-open": "connecting",
  "HeapHelper": "garbage",
  "JITWorker": "compiling",
};

/**
 * Makes a profile of rounds.
 *
 * @param before processor time by thread before the rounds, in nanoseconds
 * @param after the same afterwards
 * @param mainThread the name of the thread that runs JavaScript
 */
export function profileOf(
  rounds: readonly Round[],
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
  mainThread: string,
): Profile {
  const phases = PHASES.map((phase) => ({
    name: phase,
    milliseconds: median(rounds.map((round) => round.phases.get(phase) ?? NaN)) / 1e6,
  }));
  const http = rounds.map((round) =>
    round.wall - [...round.phases.values()].reduce((sum, one) => sum + one, 0)
  );
  const threads = new Map<string, number>();
  for (const [thread, nanoseconds] of after) {
    const name = thread === mainThread ? MAIN_THREAD : THREADS[thread] ?? OTHER_THREADS;
    const used = (nanoseconds - (before.get(thread) ?? 0)) / rounds.length / 1e6;
    threads.set(name, (threads.get(name) ?? 0) + used);
  }
  // Threads that have ended since are in the sum of the process only.
  const known = [...threads.values()].reduce((sum, one) => sum + one, 0);
  const rest = Math.max(0, mean(rounds.map(({ own }) => own)) / 1e6 - known);
  threads.set(OTHER_THREADS, (threads.get(OTHER_THREADS) ?? 0) + rest);
  return {
    wall: [...phases, { name: HTTP, milliseconds: median(http) / 1e6 }],
    processor: [...threads].map(([name, milliseconds]) => ({ name, milliseconds })),
  };
}
