import type { CollectorCost } from "../scripts/collector_costs.ts";
import { SWITCHED_COLLECTORS } from "../src/metrics/mod.ts";
import { startExporterProcess } from "../testing/exporter_process.ts";
import { deployedEnvironment } from "../testing/deployed_environment.ts";
import { realGuests } from "./hypervisors.ts";
import { connectKeepAlive, type KeepAlive } from "./keep_alive.ts";
import { alternate, type Round } from "./rounds.ts";
import { mean, median } from "./statistics.ts";
import { NO_PHASES, tailOfComplete, type Way } from "./ways.ts";

/** Its values come from definitions, which are cached: a scrape for it alone asks for the list of domains only. */
const REFERENCE = "info";

/** What each collector costs by itself. */
export interface CollectorCostsResult {
  readonly instances: number;
  readonly rounds: number;
  /** By the collector's name. */
  readonly costs: ReadonlyMap<string, CollectorCost>;
}

/** Before the rounds that count: the exporter reads definitions first, and its code is compiled as it runs. */
const WARM_UP_ROUNDS = 5;

/**
 * Scrapes paused QEMU guests for one collector after the other (`collect[]`), in turns, and compares each with a scrape that
 * asks no guest for anything.
 */
export async function measureCollectorCosts(
  instances: number,
  rounds: number,
): Promise<CollectorCostsResult> {
  await using hypervisor = await realGuests(instances);
  const names = SWITCHED_COLLECTORS.map(({ name }) => name);
  await using exporter = await startExporterProcess(
    hypervisor.uri,
    ["--libvirt.timeout", "60s", ...names.map((name) => `--collector.${name}`)],
    { environment: deployedEnvironment() },
  );
  let connection: KeepAlive | undefined;
  const port = Number(exporter.target.split(":").at(-1));
  const ways = names.map((name): Way => ({
    name,
    processId: exporter.processId,
    round: async () => {
      // Not before: the exporter waits for a first request only so long.
      connection ??= await connectKeepAlive(port);
      const started = performance.now();
      const page = await connection.get(`/metrics?collect[]=${name}`);
      const nanoseconds = (performance.now() - started) * 1e6;
      tailOfComplete(page, instances);
      return { nanoseconds, phases: NO_PHASES };
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }));
  try {
    await alternate(ways, hypervisor.processes, WARM_UP_ROUNDS);
    const results = await alternate(ways, hypervisor.processes, rounds);
    const reference = results[names.indexOf(REFERENCE)] ?? [];
    const costs = names.map((name, position) =>
      [name, costOf(results[position] ?? [], reference, instances)] as const
    );
    return { instances, rounds, costs: new Map(costs) };
  } finally {
    connection?.[Symbol.dispose]();
  }
}

/** By how much a collector's scrapes differ from those for the reference; nothing, where noise makes it less. */
function costOf(
  rounds: readonly Round[],
  reference: readonly Round[],
  instances: number,
): CollectorCost {
  const wall = median(rounds.map(({ wall }, round) => wall - (reference[round]?.wall ?? NaN)));
  const processor = (of: readonly Round[]): number =>
    mean(of.map(({ own, daemon, guests }) => own + daemon + guests));
  const perInstance = (nanoseconds: number): number =>
    Math.max(0, Number((nanoseconds / 1e6 / instances).toPrecision(2)));
  return {
    wallMillisecondsPerInstance: perInstance(wall),
    cpuMillisecondsPerInstance: perInstance(processor(rounds) - processor(reference)),
  };
}

/** The text of the file that the documentation reads. */
export function renderCollectorCosts(
  { instances, rounds, costs }: CollectorCostsResult,
  machine: string,
): string {
  const conditions =
    `Costs are those of a scrape for the collector alone, with ${instances} paused QEMU guests of one disk and ` +
    `one interface, less those of a scrape for \`${REFERENCE}\`, which asks no guest; medians (time) and means ` +
    `(processor time of exporter, libvirtd and QEMU together) of ${rounds} scrapes in turns on ${machine}. ` +
    "Collectors whose values come with one call cost less together than the sum.";
  return `${JSON.stringify({ conditions, collectors: Object.fromEntries(costs) }, null, 2)}\n`;
}
