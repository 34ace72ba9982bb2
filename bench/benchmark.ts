import { say } from "../testing/progress.ts";
import { ROOT } from "../testing/set_up.ts";
import { measureExposition } from "./exposition.ts";
import { describeMachine } from "./machine.ts";
import type { BenchmarkResult } from "./result.ts";
import { runScenario, type Scenario, type ScenarioResult } from "./scenario.ts";
import { soak } from "./soak.ts";
import { measureStartUp } from "./start_up.ts";

/** The demo's hypervisor. */
const DEMO_URI = `test://${encodeURI(ROOT)}/contrib/demo/hypervisor.xml`;

/** What to measure. */
export interface BenchmarkOptions {
  /** A minute's worth: one scenario of each kind, and no soak. */
  readonly quick: boolean;
  /** Whether to start QEMU guests. */
  readonly withGuests: boolean;
  /** The program of `bench/baseline/`. */
  readonly baseline: string;
}

const SCENARIOS: readonly Scenario[] = [
  { driver: "test driver", instances: 200, rounds: 200 },
  { driver: "test driver", instances: 2_000, rounds: 60 },
  { driver: "test driver", instances: 10_000, rounds: 12 },
  { driver: "QEMU guests", instances: 5, rounds: 200 },
  { driver: "QEMU guests", instances: 20, rounds: 100 },
  { driver: "QEMU guests", instances: 50, rounds: 40 },
];

const QUICK_SCENARIOS: readonly Scenario[] = [
  { driver: "test driver", instances: 2_000, rounds: 10 },
  { driver: "QEMU guests", instances: 20, rounds: 20 },
];

/** It takes twenty minutes. */
const SOAK_SCRAPES = 200_000;

/** Measures everything, one thing after the other. */
export async function runBenchmarks(options: BenchmarkOptions): Promise<BenchmarkResult> {
  const { quick, withGuests, baseline } = options;
  const scenarios: ScenarioResult[] = [];
  for (const scenario of quick ? QUICK_SCENARIOS : SCENARIOS) {
    const { driver, instances } = scenario;
    if (driver === "QEMU guests" && !withGuests) continue;
    say(
      `Scraping ${instances} ${driver === "test driver" ? "instances of the test driver" : driver}`,
    );
    scenarios.push(await runScenario(scenario, baseline));
  }
  say("Making pages");
  const exposition = await measureExposition();
  say("Starting");
  const startUp = await measureStartUp([["test:///default", "test:///default"], [
    "the demo",
    DEMO_URI,
  ]]);
  const withSoak = withGuests && !quick;
  if (withSoak) say(`Scraping ${SOAK_SCRAPES} times while instances come and go`);
  return {
    machine: await describeMachine(),
    scenarios,
    exposition,
    startUp,
    soak: withSoak ? await soak(SOAK_SCRAPES) : [],
  };
}
