import type { ExpositionResult } from "./exposition.ts";
import type { Machine } from "./machine.ts";
import type { ScenarioResult } from "./scenario.ts";
import type { SoakResult } from "./soak.ts";
import type { StartUpResult } from "./start_up.ts";

/** All that was measured; what was left out is empty. */
export interface BenchmarkResult {
  readonly machine: Machine;
  readonly scenarios: readonly ScenarioResult[];
  readonly exposition: readonly ExpositionResult[];
  readonly startUp: readonly StartUpResult[];
  readonly soak: readonly SoakResult[];
}
