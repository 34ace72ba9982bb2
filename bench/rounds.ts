import { say } from "../testing/progress.ts";
import { processorNanoseconds } from "./processes.ts";
import { IncompletePageError, type Scrape, type Way } from "./ways.ts";

/** What one scrape took, in nanoseconds. */
export interface Round {
  readonly wall: number;
  readonly phases: Scrape["phases"];
  /** Processor time of the program that scraped. */
  readonly own: number;
  /** Processor time of libvirt's daemon; 0 without one. */
  readonly daemon: number;
  /** Processor time of all QEMU processes. */
  readonly guests: number;
}

/** The processes behind a hypervisor. */
export interface HypervisorProcesses {
  readonly daemon: readonly number[];
  readonly guests: readonly number[];
}

/** After a scrape: what it sets off besides (closing a connection, collecting garbage) is its own cost too. */
const SETTLING_MILLISECONDS = 10;

/**
 * Lets each way scrape once, then each again, and so on: whatever else the machine does meanwhile hits all of them. Each
 * round begins with another way.
 *
 * @returns the rounds of each way, in the order of the ways
 */
export async function alternate(
  ways: readonly Way[],
  processes: HypervisorProcesses,
  rounds: number,
): Promise<readonly (readonly Round[])[]> {
  const results: Round[][] = ways.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < ways.length; turn++) {
      const position = (round + turn) % ways.length;
      const way = ways[position];
      if (way === undefined) throw new RangeError(`No way at ${position}`);
      results[position]?.push(await measureComplete(way, processes));
    }
  }
  return results;
}

/** How often a round is made again whose page lacks something: one guest may be busy for once, but not all the time. */
const MAXIMUM_REPETITIONS = 3;

async function measureComplete(way: Way, processes: HypervisorProcesses): Promise<Round> {
  for (let repetition = 0;; repetition++) {
    try {
      return await measure(way, processes);
    } catch (error) {
      if (!(error instanceof IncompletePageError) || repetition === MAXIMUM_REPETITIONS) {
        throw error;
      }
      say(`"${way.name}" scrapes once more: ${error.message}`);
    }
  }
}

async function measure(way: Way, processes: HypervisorProcesses): Promise<Round> {
  const groups = [[way.processId], processes.daemon, processes.guests];
  const before = groups.map(processorNanoseconds);
  const { nanoseconds: wall, phases } = await way.round();
  await new Promise((resolve) => setTimeout(resolve, SETTLING_MILLISECONDS));
  const [own = NaN, daemon = NaN, guests = NaN] = groups.map((group, index) =>
    processorNanoseconds(group) - (before[index] ?? NaN)
  );
  return { wall, phases, own, daemon, guests };
}
