import { type BenchmarkHypervisor, realGuests, testDriverWith } from "./hypervisors.ts";
import { type Memory, memoryOf } from "../testing/processes.ts";
import { threadNanoseconds } from "./processes.ts";
import { type Profile, profileOf } from "./profile.ts";
import { alternate, type Round } from "./rounds.ts";
import { mean, median, quantile } from "./statistics.ts";
import {
  type BaselineName,
  type ExporterName,
  startBaselineWay,
  startExporterWay,
  type Way,
} from "./ways.ts";

/** A hypervisor, and what it is scraped with. */
export interface Scenario {
  readonly driver: "test driver" | "QEMU guests";
  readonly instances: number;
  readonly rounds: number;
}

/** What a way takes for one scrape, in milliseconds. */
export interface WayResult {
  readonly name: string;
  readonly medianWall: number;
  readonly p99Wall: number;
  /** Processor times are means: garbage is collected at some scrapes only, and is a cost all the same. */
  readonly own: number;
  readonly daemon: number;
  readonly guests: number;
  /** How long the exporter took in relation to this way: the median over the rounds of each round's ratio. */
  readonly ratio: number;
  /** Of the exporter, after all rounds. */
  readonly memory: Memory;
}

/** What was measured on one hypervisor. */
export interface ScenarioResult extends Scenario {
  readonly ways: readonly WayResult[];
  /** Where the exporter's time went. */
  readonly profile: Profile;
}

/** Before the rounds that count: the exporter reads definitions first, and its code is compiled as it runs. */
const WARM_UP_ROUNDS = 5;

const BASELINES: Readonly<Record<Scenario["driver"], readonly BaselineName[]>> = {
  // Its bulk statistics stop at the state.
  "test driver": ["seed", "seed-kept", "floor"],
  "QEMU guests": ["seed", "seed-kept", "bulk", "bulk-all", "floor"],
};

/** Runs a scenario with the baselines of `program`. */
export async function runScenario(scenario: Scenario, program: string): Promise<ScenarioResult> {
  const { driver, instances, rounds } = scenario;
  const start = driver === "test driver" ? testDriverWith : realGuests;
  await using hypervisor = await start(instances);
  await using ways = await startWays(hypervisor, scenario, program);
  await alternate(ways.all, hypervisor.processes, WARM_UP_ROUNDS);
  const threads = (): ReadonlyMap<string, number> => threadNanoseconds(ways.exporter.processId);
  const before = threads();
  const results = await alternate(ways.all, hypervisor.processes, rounds);
  const exporterRounds = results[0] ?? [];
  const mainThread = Deno.readTextFileSync(`/proc/${ways.exporter.processId}/comm`).trimEnd();
  return {
    ...scenario,
    profile: profileOf(exporterRounds, before, threads(), mainThread),
    ways: ways.all.map((way, position) => summarize(way, results[position] ?? [], exporterRounds)),
  };
}

async function startWays(
  { uri }: BenchmarkHypervisor,
  { driver, instances }: Scenario,
  program: string,
): Promise<AsyncDisposable & { readonly exporter: Way; readonly all: readonly Way[] }> {
  const stack = new AsyncDisposableStack();
  try {
    const exporter = stack.use(await startExporterWay("exporter", uri, instances));
    const withDefaults = stack.use(await startExporterWay("exporter-defaults", uri, instances));
    const baselines = BASELINES[driver].map((name) =>
      stack.use(startBaselineWay(program, name, uri))
    );
    return {
      exporter,
      all: [exporter, withDefaults, ...baselines],
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

function summarize(
  { name, processId }: Way,
  rounds: readonly Round[],
  exporterRounds: readonly Round[],
): WayResult {
  const walls = rounds.map(({ wall }) => wall);
  const ratios = rounds.map(({ wall }, round) => (exporterRounds[round]?.wall ?? NaN) / wall);
  const milliseconds = (nanoseconds: number): number => nanoseconds / 1e6;
  return {
    name,
    medianWall: milliseconds(median(walls)),
    p99Wall: milliseconds(quantile(walls, 0.99)),
    own: milliseconds(mean(rounds.map(({ own }) => own))),
    daemon: milliseconds(mean(rounds.map(({ daemon }) => daemon))),
    guests: milliseconds(mean(rounds.map(({ guests }) => guests))),
    ratio: median(ratios),
    memory: memoryOf(processId),
  };
}

/** The result of one way of a scenario. */
export function resultOf(
  { ways }: ScenarioResult,
  name: BaselineName | ExporterName,
): WayResult {
  const found = ways.find((way) => way.name === name);
  if (found === undefined) throw new RangeError(`The way "${name}" was not measured`);
  return found;
}
