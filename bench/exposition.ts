import { outputOf } from "../testing/command.ts";
import { ROOT } from "../testing/set_up.ts";

/** What making a page costs in one runtime. */
export interface ExpositionResult {
  readonly runtime: "Bun" | "Deno";
  /** Samples on the page. */
  readonly samples: number;
  readonly nanosecondsPerSample: number;
}

/** Makes pages of 2,000 instances in each runtime. */
export async function measureExposition(): Promise<readonly ExpositionResult[]> {
  const program = `${ROOT}/bench/exposition_program.ts`;
  const commands = [
    ["Bun", `${ROOT}/node_modules/.bin/bun`, [program]],
    ["Deno", Deno.execPath(), ["run", "--no-check", "-A", program]],
  ] as const;
  const results: ExpositionResult[] = [];
  for (const [runtime, command, args] of commands) {
    results.push({ runtime, ...JSON.parse(await outputOf(command, args)) });
  }
  return results;
}
