import type { Density, Way } from "../../scripts/fleet_result.ts";
import { getText } from "../../testing/prometheus/service.ts";
import { runCommand } from "../../testing/command.ts";
import { pause, waitUntil } from "../../testing/wait_until.ts";
import { type FleetEngines, startEngines } from "./collectors_of_a_fleet.ts";
import { readOwnMetrics } from "./own_metrics.ts";
import type { PageFiles } from "./page_source.ts";
import { startFleet } from "./simulator.ts";

const HOSTS = 2;
const SECONDS = 180;
/** A scrape each second, between which as much happens as between those of the fleet. */
const INTERVAL_SECONDS = 1;

/**
 * Scrapes few hosts so often that each series has as many samples as a chunk of Prometheus holds, and more, and then has
 * the engine write all to the disk as it does after hours.
 */
export async function measureDensity(
  way: Way,
  pages: PageFiles,
  simulated: { readonly simulatedSeconds: number; readonly replacedPerHour: number },
): Promise<Density> {
  await using fleet = await startFleet({
    ...pages,
    ...simulated,
    hosts: HOSTS,
    intervalSeconds: INTERVAL_SECONDS,
  });
  await using engines = await startEngines(way, {
    targets: fleet.targets,
    intervalSeconds: INTERVAL_SECONDS,
    ruleIntervalSeconds: undefined,
    memoryBytes: 2e9,
  });
  await pause(SECONDS * 1_000);
  return way === "Prometheus" ? await blocks(engines) : await parts(engines);
}

/** The blocks that a snapshot makes of what Prometheus has in memory. */
async function blocks(engines: FleetEngines): Promise<Density> {
  let [samples, series, chunkBytes, indexBytes] = [0, 0, 0, 0];
  for (const [shard, engine] of engines.engines.entries()) {
    const response = await fetch(`${engine}/api/v1/admin/tsdb/snapshot`, { method: "POST" });
    const { data: { name } }: { readonly data: { readonly name: string } } = await response.json();
    const folder = `${engines.dataFolders[shard]}/data/snapshots/${name}`;
    for (const { name: block } of Deno.readDirSync(folder)) {
      const { stats }: {
        readonly stats: { readonly numSamples: number; readonly numSeries: number };
      } = JSON.parse(await Deno.readTextFile(`${folder}/${block}/meta.json`));
      samples += stats.numSamples;
      series += stats.numSeries;
      chunkBytes += await folderBytes(`${folder}/${block}/chunks`);
      indexBytes += Deno.statSync(`${folder}/${block}/index`).size;
    }
  }
  return {
    way: "Prometheus",
    samplesOfSeries: samples / series,
    sampleBytes: chunkBytes / samples,
    indexBytes: indexBytes / samples,
  };
}

async function folderBytes(path: string): Promise<number> {
  const { output } = await runCommand("du", ["--bytes", "--summarize", path]);
  return Number(output.split("\t")[0]);
}

const MERGE_BOUND_MILLISECONDS = 120_000;

/** The parts that VictoriaMetrics has once it has merged all that there is. */
async function parts(engines: FleetEngines): Promise<Density> {
  const [engine = ""] = engines.engines;
  // Nothing comes any more, so that the merge comes to an end.
  for (const member of engines.members) await member.stop();
  await getText(`${engine}/internal/force_flush`);
  await getText(`${engine}/internal/force_merge`);
  const own = await waitUntil(
    "the merge to end",
    async () => {
      const metrics = readOwnMetrics([(await getText(`${engine}/metrics`)).text]);
      const merging = metrics.sum("vm_active_force_merges") + metrics.sum("vm_active_merges");
      return merging === 0 && metrics.sum("vm_rows", /storage\/inmemory/) === 0
        ? metrics
        : undefined;
    },
    MERGE_BOUND_MILLISECONDS,
    1_000,
  );
  const samples = own.sum("vm_rows", /type="storage\//);
  const series = own.sum("vm_new_timeseries_created_total");
  return {
    way: "VictoriaMetrics",
    samplesOfSeries: samples / series,
    sampleBytes: own.sum("vm_data_size_bytes", /type="storage\//) / samples,
    indexBytes: own.sum("vm_data_size_bytes", /type="indexdb\//) / samples,
  };
}
