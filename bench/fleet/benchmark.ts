/**
 * How far this machine carries a fleet of simulated hypervisors, and what each of them costs.
 *
 * @module
 */

import type {
  Density,
  FleetResult,
  FleetStep,
  Guests,
  LostMember,
  PageCosts,
  Way,
} from "../../scripts/fleet_result.ts";
import { say } from "../../testing/progress.ts";
import { pause, waitUntil } from "../../testing/wait_until.ts";
import { describeMachine } from "../machine.ts";
import { type FleetEngines, REPLICATION, startEngines } from "./collectors_of_a_fleet.ts";
import { measureDensity } from "./density.ts";
import { loseMember } from "./lost_member.ts";
import { measurePageCosts } from "./page_costs.ts";
import { type PageFiles, startHost, writePages } from "./page_source.ts";
import { readTemplate } from "./simulated_page.ts";
import { startFleet } from "./simulator.ts";
import { measureStep, valuesOf } from "./step.ts";

const INSTANCES = 100;
const INTERVAL_SECONDS = 15;
const RULE_INTERVAL_SECONDS = 30;
const REPLACED_PER_HOUR = 0.05;
const SIZES = [25, 50, 100, 200, 400, 800, 1_600] as const;
const WAYS: readonly Way[] = ["Prometheus", "VictoriaMetrics"];

const SIMULATED = { simulatedSeconds: INTERVAL_SECONDS, replacedPerHour: REPLACED_PER_HOUR };

/** The fleet of which a member is lost. */
const LOST_HOSTS = 20;
const LOST_INTERVAL_SECONDS = 5;

const MEASURED_SECONDS = 30;
/** How long all hosts may take to be scraped for the first time, which is dearer than each time after. */
const FIRST_SCRAPES_MILLISECONDS = 300_000;

/** More memory than this the engines may not take, so that nothing else on the machine has to go. */
const MEMORY_BYTES = 10e9;
/** What says that a size is too much. */
const MISSED_LIMIT = 0.01;
const BUSY_LIMIT = 0.9;

/** What is measured, each by itself. */
export const FLEET_PARTS = ["page", "Prometheus", "VictoriaMetrics", "lost", "density"] as const;

/** One of {@link FLEET_PARTS}. */
export type FleetPart = (typeof FLEET_PARTS)[number];

/** What a run is to do. */
export interface FleetOptions {
  readonly guests: Guests;
  /** No fleet is larger. */
  readonly atMost: number;
  readonly parts: readonly FleetPart[];
  /** The results of parts that are not measured now; undefined when there are none. */
  readonly before: FleetResult | undefined;
}

/** Measures the parts that are wanted, one after the other. */
export async function runFleet(options: FleetOptions): Promise<FleetResult> {
  const { guests, atMost, parts, before } = options;
  const folder = await Deno.makeTempDir({ prefix: "fleet_pages_" });
  try {
    const pages = await pagesOf(folder);
    const seriesOfPage = readTemplate(await Deno.readTextFile(pages.text)).lines
      .filter(({ value }) => value !== undefined).length;
    const ways = WAYS.filter((way) => parts.includes(way));
    const grown = await growFleets(
      ways,
      SIZES.filter((size) => size <= atMost),
      pages,
      seriesOfPage,
    );
    const kept = grownBefore(WAYS.filter((way) => !parts.includes(way)), before);
    return {
      machine: await describeMachine(),
      instancesOfHost: INSTANCES,
      intervalSeconds: INTERVAL_SECONDS,
      ruleIntervalSeconds: RULE_INTERVAL_SECONDS,
      replacedPerHour: REPLACED_PER_HOUR,
      seriesOfPage,
      processors: navigator.hardwareConcurrency,
      memoryBytes: MEMORY_BYTES,
      steps: [...kept.steps, ...grown.steps],
      ends: [...kept.ends, ...grown.ends],
      lost: parts.includes("lost") ? await loseMembers(pages) : before?.lost ?? [],
      density: parts.includes("density") ? await densities(pages) : before?.density ?? [],
      costs: parts.includes("page") ? await costsOf(guests) : before?.costs,
    };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** What was found out about one way. */
type Grown = Pick<FleetResult, "steps" | "ends">;

function grownBefore(ways: readonly Way[], before: FleetResult | undefined): Grown {
  return {
    steps: (before?.steps ?? []).filter((step) => ways.includes(step.way)),
    ends: (before?.ends ?? []).filter((end) => ways.includes(end.way)),
  };
}

/** Scrapes larger and larger fleets, each way until one is too much for it. */
async function growFleets(
  ways: readonly Way[],
  sizes: readonly number[],
  pages: PageFiles,
  seriesOfPage: number,
): Promise<Grown> {
  const steps: FleetStep[] = [];
  const ends: FleetResult["ends"][number][] = [];
  for (const hosts of sizes) {
    for (const way of ways) {
      if (ends.some((end) => end.way === way)) continue;
      const [step, reason] = await runSize(way, hosts, pages, seriesOfPage);
      if (step !== undefined) steps.push(step);
      say(`${JSON.stringify(step)} ${reason ?? ""}`);
      if (reason !== undefined) ends.push({ way, hosts, reason });
    }
  }
  return { steps, ends };
}

function densities(pages: PageFiles): Promise<readonly Density[]> {
  say("Measuring bytes on the disk");
  return Promise.all(WAYS.map((way) => measureDensity(way, pages, SIMULATED)));
}

/** The pages of a host of libvirt's test driver, which also has what a guest says of its memory: guests that never boot have not. */
async function pagesOf(folder: string): Promise<PageFiles> {
  await using hypervisor = await startHost("test driver", INSTANCES);
  return await writePages(folder, hypervisor.uri);
}

async function costsOf(guests: Guests): Promise<PageCosts> {
  say(`Measuring the pages of a host with ${INSTANCES} instances (${guests})`);
  await using hypervisor = await startHost(guests, INSTANCES);
  return { guests, ...await measurePageCosts(hypervisor.uri) };
}

/** Loses one member of each way, with so few hosts that nothing else can be the reason for a gap. */
async function loseMembers(pages: PageFiles): Promise<readonly LostMember[]> {
  say("Losing one of those who scrape");
  await using fleet = await startFleet({
    ...pages,
    ...SIMULATED,
    hosts: LOST_HOSTS,
    intervalSeconds: LOST_INTERVAL_SECONDS,
  });
  return await Promise.all(WAYS.map(async (way) => {
    await using engines = await startEngines(way, {
      targets: fleet.targets,
      intervalSeconds: LOST_INTERVAL_SECONDS,
      ruleIntervalSeconds: undefined,
      memoryBytes: MEMORY_BYTES / 4,
    });
    await waitUntil(
      "all hosts",
      async () => await hostsUp(engines) === LOST_HOSTS,
      FIRST_SCRAPES_MILLISECONDS,
      1_000,
    );
    return await loseMember(engines, LOST_INTERVAL_SECONDS);
  }));
}

/** Runs one size of fleet; returns what was measured, and the reason why it was too much. */
async function runSize(
  way: Way,
  hosts: number,
  pages: PageFiles,
  seriesOfPage: number,
): Promise<readonly [step: FleetStep | undefined, reason: string | undefined]> {
  say(`Scraping ${hosts} hypervisors: ${way}`);
  await using fleet = await startFleet({
    ...pages,
    hosts,
    ...SIMULATED,
    intervalSeconds: INTERVAL_SECONDS,
  });
  await using engines = await startEngines(way, {
    targets: fleet.targets,
    intervalSeconds: INTERVAL_SECONDS,
    ruleIntervalSeconds: RULE_INTERVAL_SECONDS,
    memoryBytes: MEMORY_BYTES,
  });
  const reached = await waitUntil(
    "all hosts",
    async () => await hostsUp(engines) === hosts,
    FIRST_SCRAPES_MILLISECONDS,
    1_000,
  ).catch(() => false);
  if (!reached) {
    return [
      undefined,
      `not all hosts had been scraped after ${FIRST_SCRAPES_MILLISECONDS / 1_000} s`,
    ];
  }
  // Until the records of all rules are there, which are new series too.
  await pause((RULE_INTERVAL_SECONDS + INTERVAL_SECONDS) * 1_000);
  const step = await measureStep(engines, fleet, {
    intervalSeconds: INTERVAL_SECONDS,
    scrapesOfEach: way === "Prometheus" ? 1 : REPLICATION,
    seriesOfPage,
    seconds: MEASURED_SECONDS,
  });
  return [step, endOf(step)];
}

async function hostsUp({ engines }: FleetEngines): Promise<number> {
  const counts = await Promise.all(
    engines.map((engine) => valuesOf(engine, "count(libvirt_nova_up == 1)")),
  );
  return counts.flat().reduce((sum, count) => sum + count, 0);
}

/** Why no larger fleet is tried; undefined when one may be. */
function endOf(step: FleetStep): string | undefined {
  const processors = navigator.hardwareConcurrency;
  const reasons = [
    ...(step.missed > MISSED_LIMIT
      ? [`${(step.missed * 100).toFixed(1)} % of the scrapes were missed`]
      : []),
    ...(step.cores + step.simulatorCores > BUSY_LIMIT * processors
      ? [`${(step.cores + step.simulatorCores).toFixed(1)} of ${processors} processors were busy`]
      : []),
    ...(step.residentBytes > MEMORY_BYTES
      ? [`the engines took ${(step.residentBytes / 1e9).toFixed(1)} GB`]
      : []),
    ...(step.ruleIterationsMissed > 0 ? [`rules took longer than ${RULE_INTERVAL_SECONDS} s`] : []),
    ...(step.ruleFailures > 0 ? [`${step.ruleFailures} evaluations of rules failed`] : []),
  ];
  return reasons.length === 0 ? undefined : reasons.join(" and ");
}
