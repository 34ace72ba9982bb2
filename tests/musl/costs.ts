/**
 * What the executable for musl costs beside that for glibc.
 *
 * @module
 */

import { connectKeepAlive } from "../../bench/keep_alive.ts";
import { processorNanoseconds } from "../../bench/processes.ts";
import { replacePart, table } from "../../scripts/markdown.ts";
import { ROOT } from "../../testing/set_up.ts";
import { type ExporterProcess, startExporterProcess } from "../../testing/exporter_process.ts";
import { memoryOf } from "../../testing/processes.ts";
import { pause } from "../../testing/wait_until.ts";
import { deployedEnvironment } from "../../testing/deployed_environment.ts";
import { createMuslRoot, EXECUTABLE_INSIDE } from "./musl_root.ts";

/** What many scrapes took. */
export interface Costs {
  /** Milliseconds of a processor for each scrape. */
  readonly processorMilliseconds: number;
  /** Bytes of its own when it has had nothing to do for a moment. */
  readonly restedAnonymous: number;
  /** Bytes that were ever resident at most. */
  readonly peakResident: number;
}

/** Those of both executables. */
export interface BothCosts {
  readonly scrapes: number;
  readonly glibc: Costs;
  readonly musl: Costs;
}

/** Scrapes that are not counted: code is compiled meanwhile. */
const WARM_UP_SCRAPES = 500;
const REST_MILLISECONDS = 3_000;

/**
 * Scrapes the demo with both executables as they are deployed, turn by turn, so that what else the machine does is the same
 * to both.
 *
 * @param system the folder of `ensureMuslSystem()`
 */
export async function measureCosts(system: string, scrapes: number): Promise<BothCosts> {
  const environment = deployedEnvironment();
  await using root = await createMuslRoot(system);
  const demo = `${root.path}/demo.xml`;
  await Deno.copyFile(`${ROOT}/contrib/demo/hypervisor.xml`, demo);
  await using glibc = await startExporterProcess(`test://${demo}`, [], { environment });
  await using musl = await startExporterProcess("test:///demo.xml", [], {
    environment,
    through: root.through(),
    executable: EXECUTABLE_INSIDE,
  });
  const exporters = [glibc, musl];
  await scrapeInTurns(exporters, WARM_UP_SCRAPES);
  const times = (): readonly number[] =>
    exporters.map(({ processId }) => processorNanoseconds([processId]));
  const before = times();
  await scrapeInTurns(exporters, scrapes);
  const after = times();
  await pause(REST_MILLISECONDS);
  const [ofGlibc, ofMusl] = exporters.map(({ processId }, index): Costs => {
    const { anonymous, peakResident } = memoryOf(processId);
    const nanoseconds = (after[index] ?? NaN) - (before[index] ?? NaN);
    return {
      processorMilliseconds: nanoseconds / scrapes / 1e6,
      restedAnonymous: anonymous,
      peakResident,
    };
  });
  if (ofGlibc === undefined || ofMusl === undefined) throw new Error("An exporter is missing");
  return { scrapes, glibc: ofGlibc, musl: ofMusl };
}

async function scrapeInTurns(
  exporters: readonly ExporterProcess[],
  scrapes: number,
): Promise<void> {
  using stack = new DisposableStack();
  const connections = [];
  for (const { target } of exporters) {
    connections.push(stack.use(await connectKeepAlive(Number(target.split(":").at(-1)))));
  }
  for (let scrape = 0; scrape < scrapes; scrape++) {
    for (const connection of connections) await connection.get("/metrics");
  }
}

/** Puts the costs into the document. */
export function withCosts(document: string, { scrapes, glibc, musl }: BothCosts): string {
  const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`;
  const row = (name: string, figure: (costs: Costs) => string): readonly string[] => [
    name,
    figure(glibc),
    figure(musl),
  ];
  const text = table([`${scrapes.toLocaleString("en")} scrapes of the demo`, "glibc", "musl"], [
    row("processor time of a scrape", (costs) => `${costs.processorMilliseconds.toFixed(2)} ms`),
    row("memory of its own afterwards", (costs) => megabytes(costs.restedAnonymous)),
    row("most that was ever resident", (costs) => megabytes(costs.peakResident)),
  ]);
  return replacePart(document, "musl", text);
}
