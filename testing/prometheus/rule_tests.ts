/**
 * Prometheus' own checks of rule files, and of the tests that are written for them.
 *
 * @module
 */

import {
  ensurePrometheus3,
  INSTALLED_PROMETHEUS,
  type PrometheusPrograms,
} from "./newer_prometheus.ts";
import { promtool } from "./prometheus.ts";

/** Files by their paths. */
export interface RuleFiles {
  /** Files with groups of recording and alerting rules. */
  readonly rules: readonly string[];
  /** Files for `promtool test rules`, which name the rule files that they test, relative to themselves. */
  readonly tests: readonly string[];
}

/**
 * Lets the `promtool` of Prometheus 2 and of Prometheus 3 check rule files, their lints included, and run the tests of
 * them. Call `ensureDebianPackages()` before.
 *
 * @throws {Error} when a file is at fault; its message has each failed check with what `promtool` says of it
 */
export async function checkRuleFiles({ rules, tests }: RuleFiles): Promise<void> {
  const versions: readonly (readonly [string, PrometheusPrograms])[] = [
    ["Prometheus 2", INSTALLED_PROMETHEUS],
    ["Prometheus 3", await ensurePrometheus3()],
  ];
  const failures: string[] = [];
  for (const [version, programs] of versions) {
    const run = async (parameters: readonly string[], file: string): Promise<void> => {
      const { code, lines } = await promtool([...parameters, file], undefined, programs);
      if (code === 0) return;
      failures.push([`${version}: promtool ${parameters.join(" ")} ${file}`, ...lines].join("\n"));
    };
    for (const file of rules) await run(["check", "rules", "--lint=all", "--lint-fatal"], file);
    for (const file of tests) await run(["test", "rules"], file);
  }
  if (failures.length > 0) throw new Error(failures.join("\n\n"));
}
