import type { FleetStep, Way } from "../../scripts/fleet_result.ts";
import { askedByDashboards, askedRules } from "./asked_expressions.ts";
import { dashboardFiles } from "../../scripts/dashboards/mod.ts";
import { residentBytes } from "../../testing/processes.ts";
import { getText } from "../../testing/prometheus/service.ts";
import { pause } from "../../testing/wait_until.ts";
import { processorNanoseconds } from "../processes.ts";
import type { FleetEngines } from "./collectors_of_a_fleet.ts";
import { type OwnMetrics, readOwnMetrics } from "./own_metrics.ts";
import type { SimulatedFleet } from "./simulator.ts";

/** Measures engines that have run for a while. */
export async function measureStep(
  engines: FleetEngines,
  fleet: SimulatedFleet,
  settings: {
    readonly intervalSeconds: number;
    readonly scrapesOfEach: number;
    readonly seriesOfPage: number;
    readonly seconds: number;
  },
): Promise<FleetStep> {
  const { intervalSeconds, scrapesOfEach, seriesOfPage } = settings;
  const before = await look(engines, fleet);
  await pause(settings.seconds * 1_000);
  const after = await look(engines, fleet);
  const seconds = (after.time - before.time) / 1_000;
  const pages = after.fleet.pages - before.fleet.pages;
  const expected = fleet.targets.length * scrapesOfEach * seconds / intervalSeconds;
  const scraped = pages * seriesOfPage;
  const grown = (family: string, labels?: RegExp): number =>
    after.own.sum(family, labels) - before.own.sum(family, labels);
  const failed = engines.way === "Prometheus"
    ? await downHosts(engines)
    : grown("vm_promscrape_scrapes_failed_total");
  const cores = (after.processor - before.processor) / 1e9 / seconds;
  const processorSeconds = (work: () => Promise<void>): Promise<number> =>
    processorSecondsOf(engines, cores, work);
  const rulesSeconds = await processorSeconds(() => askRules(engines));
  const dashboards: Record<string, number> = {};
  for (const { path } of dashboardFiles()) {
    dashboards[path] = await processorSeconds(() => askDashboard(engines, path, intervalSeconds));
  }
  return {
    way: engines.way,
    hosts: fleet.targets.length,
    intervalSeconds,
    series: activeSeries(engines.way, after.own),
    samplesPerSecond: scraped / scrapesOfEach / seconds,
    missed: Math.max(0, 1 - (pages - failed) / expected),
    newSeriesPerSecond: grown(
      engines.way === "Prometheus"
        ? "prometheus_tsdb_head_series_created_total"
        : "vm_new_timeseries_created_total",
    ) / seconds,
    otherCores: (after.busy - before.busy) / seconds -
      (after.processor - before.processor + after.simulator - before.simulator) / 1e9 / seconds,
    cores,
    simulatorCores: (after.simulator - before.simulator) / 1e9 / seconds,
    residentBytes: after.resident,
    pageBytesPerSample: (after.fleet.bytes - before.fleet.bytes) / scraped,
    sentBytesPerSample: grown("vmagent_remotewrite_conn_bytes_written_total") / scraped,
    rulesSeconds,
    ruleFailures: grown("prometheus_rule_evaluation_failures_total") +
      grown("vmalert_execution_errors_total"),
    ruleIterationsMissed: grown("prometheus_rule_group_iterations_missed_total") +
      grown("vmalert_iteration_missed_total"),
    dashboards,
  };
}

interface Look {
  readonly time: number;
  readonly processor: number;
  readonly simulator: number;
  /** Processor seconds of the whole machine. */
  readonly busy: number;
  readonly resident: number;
  readonly own: OwnMetrics;
  readonly fleet: Awaited<ReturnType<SimulatedFleet["statistics"]>>;
}

async function look(engines: FleetEngines, fleet: SimulatedFleet): Promise<Look> {
  const processes = engines.processIds();
  return {
    time: performance.now(),
    processor: processorNanoseconds(processes),
    simulator: processorNanoseconds([fleet.processId]),
    busy: busySeconds(),
    resident: processes.reduce((sum, processId) => sum + residentBytes(processId), 0),
    own: readOwnMetrics(await engines.ownMetrics()),
    fleet: await fleet.statistics(),
  };
}

/** The first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq and steal, in hundredths of a second. */
function busySeconds(): number {
  const [line = ""] = Deno.readTextFileSync("/proc/stat").split("\n", 1);
  const [user = 0, nice = 0, system = 0, , , interrupts = 0, soft = 0] = line.split(/\s+/).slice(1)
    .map(Number);
  return (user + nice + system + interrupts + soft) / 100;
}

function activeSeries(way: Way, own: OwnMetrics): number {
  return way === "Prometheus"
    ? own.sum("prometheus_tsdb_head_series")
    : own.sum("vm_cache_entries", /type="storage\/hour_metric_ids"/);
}

/** Hosts whose last scrape failed, as shards see them. */
async function downHosts({ engines }: FleetEngines): Promise<number> {
  let down = 0;
  for (const engine of engines) {
    const [value = 0] = await valuesOf(engine, "count(up == 0)");
    down += value;
  }
  return down;
}

/** The values of an instant query's answer. */
export async function valuesOf(engine: string, expression: string): Promise<readonly number[]> {
  const query = new URLSearchParams({ query: expression, nocache: "1" });
  const { text } = await getText(`${engine}/api/v1/query?${query}`);
  const { data, error }: {
    readonly error?: string;
    readonly data?: { readonly result: readonly { readonly value: readonly [number, string] }[] };
  } = JSON.parse(text);
  if (data === undefined) throw new Error(`The engine refuses "${expression}": ${error}`);
  return data.result.map(({ value: [, value] }) => Number(value));
}

/** The processor time of the engines for some work, in seconds, beyond what they take all the time. */
async function processorSecondsOf(
  engines: FleetEngines,
  background: number,
  work: () => Promise<void>,
): Promise<number> {
  const processes = engines.processIds();
  const [before, started] = [processorNanoseconds(processes), performance.now()];
  await work();
  const seconds = (performance.now() - started) / 1_000;
  return Math.max(0, (processorNanoseconds(processes) - before) / 1e9 - background * seconds);
}

/** Asks for all expressions of rules once. */
async function askRules({ engines }: FleetEngines): Promise<void> {
  const { alerts, records } = await askedRules();
  for (const { origin, expression } of [...alerts, ...records]) {
    await askEach(engines, "query", origin, { query: expression });
  }
}

/** Asks for the queries of one dashboard once, over the last minute, with all that they may choose chosen. */
async function askDashboard(
  { engines }: FleetEngines,
  file: string,
  intervalSeconds: number,
): Promise<void> {
  const end = Math.floor(Date.now() / 1_000);
  const asked = askedByDashboards({
    host: ".*",
    project: "38bd8e984a3e435a87e950a441ee55aa",
    uuid: "00000000-0000-4000-8000-000000000001",
    libvirtname: "instance-00000001",
    "__rate_interval": `${4 * intervalSeconds}s`,
  });
  for (const { origin, expression } of asked.filter((one) => one.origin.startsWith(`${file},`))) {
    await askEach(engines, "query_range", origin, {
      query: expression,
      start: `${end - 60}`,
      end: `${end}`,
      step: `${intervalSeconds}`,
    });
  }
}

async function askEach(
  engines: readonly string[],
  path: "query" | "query_range",
  origin: string,
  parameters: Readonly<Record<string, string>>,
): Promise<void> {
  const query = new URLSearchParams({ ...parameters, nocache: "1" });
  for (const engine of engines) {
    const { status, text } = await getText(`${engine}/api/v1/${path}?${query}`);
    if (status !== 200) throw new Error(`${origin}: ${text}`);
  }
}
