/**
 * Everything that this project asks of an engine: the expressions of its rules, and the queries of its dashboards.
 *
 * @module
 */

import { parse } from "yaml";
import { ALERT_FILES } from "../../scripts/alerts.ts";
import { dashboardFiles } from "../../scripts/dashboards/mod.ts";
import { substitute, targetsOf } from "../../scripts/dashboards/targets.ts";
import { ROOT } from "../../testing/set_up.ts";

/** An expression in PromQL, and where it stands. */
export interface AskedExpression {
  readonly origin: string;
  readonly expression: string;
}

/** The rules of this project. */
export interface AskedRules {
  readonly alerts: readonly AskedExpression[];
  /** `origin` is the record's name. */
  readonly records: readonly AskedExpression[];
}

/** The files with rules, from the project's folder. */
export const RULE_FILES: readonly string[] = [
  ...ALERT_FILES.map((name) => `contrib/prometheus/alerts/${name}`),
  "contrib/prometheus/rules/rates.rules.yml",
];

interface RuleFile {
  readonly groups: readonly {
    readonly rules: readonly {
      readonly alert?: string;
      readonly record?: string;
      readonly expr: string;
    }[];
  }[];
}

/** Reads the expressions of all rules, but for those that imitate other exporters. */
export async function askedRules(): Promise<AskedRules> {
  const files = await Promise.all(
    RULE_FILES.map(async (file): Promise<RuleFile> =>
      parse(await Deno.readTextFile(`${ROOT}/${file}`))
    ),
  );
  const rules = files.flatMap(({ groups }) => groups).flatMap((group) => group.rules);
  const of = (kind: "alert" | "record"): readonly AskedExpression[] =>
    rules.flatMap((rule) => {
      const origin = rule[kind];
      return origin === undefined ? [] : [{ origin, expression: rule.expr }];
    });
  return { alerts: of("alert"), records: of("record") };
}

/** A comparison with a number, which hides what there is to compare while nothing is wrong. */
const THRESHOLD = /(==|!=|>=|<=|>|<)(?:\s+bool)?\s+\d+(?:\.\d+)?(?![\w.]|\s*[*/])/g;

/** The same expression, that lets every value pass. */
export function withoutThresholds(expression: string): string {
  return expression.replaceAll(THRESHOLD, "> -Inf");
}

/** The same expression, with all series instead of the ten greatest, of which two engines may choose others. */
export function withoutTop(expression: string): string {
  return expression.replaceAll(/\btopk\(10, /g, "(");
}

/**
 * The queries of all dashboards.
 *
 * @param values what stands in the place of Grafana's variables
 */
export function askedByDashboards(
  values: Readonly<Record<string, string>>,
): readonly AskedExpression[] {
  return dashboardFiles().flatMap(({ path, dashboard }) =>
    targetsOf(dashboard).map(({ panel, expression, legend }) => ({
      origin: `${path}, ${panel}, ${legend}`,
      expression: substitute(expression, values),
    }))
  );
}
