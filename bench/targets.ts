import type { BenchmarkResult } from "./result.ts";
import { resultOf, type Scenario, type ScenarioResult, type WayResult } from "./scenario.ts";
import type { SoakResult } from "./soak.ts";
import type { BaselineName } from "./ways.ts";

/** What the exporter is meant to achieve, and what it did. */
export interface Target {
  readonly description: string;
  readonly limit: number;
  readonly measured: number;
  readonly unit: string;
}

/** Says whether a target is met. */
export function isMet({ limit, measured }: Target): boolean {
  return measured <= limit;
}

const BYTES_PER_MEGABYTE = 1e6;

/** More than this in time per instance is not linear growth. */
const GROWTH_LIMIT = 1.25;

/** Memory at the end of many scrapes in relation to that when code has been compiled and caches are full; more is a leak. */
const FLAT_LIMIT = 1.1;

/** The targets that the result says something about. */
export function targetsOf(result: BenchmarkResult): readonly Target[] {
  return [
    ...testDriverTargets(result),
    ...guestTargets(result),
    ...result.exposition.map(({ runtime, nanosecondsPerSample }) => ({
      description: `Making a page in ${runtime}, for each sample`,
      limit: 1_000,
      measured: nanosecondsPerSample,
      unit: "ns",
    })),
    ...result.startUp.map(({ hypervisor, medianMilliseconds }) => ({
      description: `From the start to the first answer, ${hypervisor}`,
      limit: 300,
      measured: medianMilliseconds,
      unit: "ms",
    })),
    ...soakTargets(result),
  ];
}

function testDriverTargets(result: BenchmarkResult): readonly Target[] {
  const middle = find(result, "test driver", 2_000);
  const large = find(result, "test driver", 10_000);
  const targets = [middle, large].flatMap((scenario) =>
    scenario === undefined ? [] : [wallTarget(scenario, "seed", 1 / 8)]
  );
  if (large === undefined) return targets;
  const exporter = resultOf(large, "exporter");
  targets.push({
    description: "Memory with 10,000 instances, without what libvirt's test driver itself takes",
    limit: 150,
    measured: (exporter.memory.anonymous - resultOf(large, "floor").memory.anonymous) /
      BYTES_PER_MEGABYTE,
    unit: "MB",
  });
  if (middle === undefined) return targets;
  const perInstance = ({ instances }: Scenario, { medianWall }: WayResult): number =>
    medianWall / instances;
  targets.push({
    description: "Time per instance with 10,000 instances, of that with 2,000",
    limit: GROWTH_LIMIT,
    measured: perInstance(large, exporter) / perInstance(middle, resultOf(middle, "exporter")),
    unit: "",
  });
  return targets;
}

function guestTargets(result: BenchmarkResult): readonly Target[] {
  const scenario = find(result, "QEMU guests", 20);
  if (scenario === undefined) return [];
  const exporter = resultOf(scenario, "exporter");
  const behind = ({ daemon, guests }: WayResult): number => daemon + guests;
  return [
    wallTarget(scenario, "seed", 0.6),
    wallTarget(scenario, "floor", 1.15),
    wallTarget(scenario, "bulk-all", 0.5),
    {
      description: `Processor time of libvirtd and QEMU with 20 QEMU guests, of that of "bulk-all"`,
      limit: 0.5,
      measured: behind(exporter) / behind(resultOf(scenario, "bulk-all")),
      unit: "",
    },
    {
      description: `Processor time of the exporter with 20 QEMU guests, of that of "floor"`,
      limit: 2,
      measured: exporter.own / resultOf(scenario, "floor").own,
      unit: "",
    },
  ];
}

function soakTargets({ soak }: BenchmarkResult): readonly Target[] {
  return soak.flatMap((result) => {
    const last = result.points.at(-1);
    const flat = flatTarget(result);
    // What is kept small is the memory of what is deployed.
    if (result.way !== "deployed" || last === undefined) return flat;
    return [
      {
        description: `Memory after ${last.scrapes.toLocaleString("en")} scrapes`,
        limit: 40,
        measured: last.anonymous / BYTES_PER_MEGABYTE,
        unit: "MB",
      },
      ...flat,
    ];
  });
}

function flatTarget({ way, points }: SoakResult): readonly Target[] {
  const [settled, last] = [points[0], points.at(-1)];
  if (settled === undefined || last === undefined || settled === last) return [];
  const how = way === "deployed" ? "" : ", without the settings of the unit";
  const [from, to] = [settled, last].map(({ scrapes }) => scrapes.toLocaleString("en"));
  return [{
    description: `Memory after ${to} scrapes, of that after ${from}${how}`,
    limit: FLAT_LIMIT,
    measured: last.anonymous / settled.anonymous,
    unit: "",
  }];
}

function wallTarget(scenario: ScenarioResult, name: BaselineName, limit: number): Target {
  const { instances, driver } = scenario;
  return {
    description: `Time with ${instances.toLocaleString("en")} ${
      driver === "test driver" ? "instances of the test driver" : driver
    }, of that of "${name}"`,
    limit,
    measured: resultOf(scenario, name).ratio,
    unit: "",
  };
}

function find(
  { scenarios }: BenchmarkResult,
  driver: Scenario["driver"],
  instances: number,
): ScenarioResult | undefined {
  return scenarios.find((one) => one.driver === driver && one.instances === instances);
}
