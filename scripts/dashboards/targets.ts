import type { Dataquery as AnyQuery } from "@grafana/grafana-foundation-sdk/cog";
import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import type { Dataquery } from "@grafana/grafana-foundation-sdk/prometheus";

/** A query of a dashboard. */
export interface DashboardTarget {
  /** Title of its panel. */
  readonly panel: string;
  /** PromQL with Grafana's variables in it. */
  readonly expression: string;
  readonly legend: string;
}

/** Whether a query is one for Prometheus, as all of this project's are. */
function isForPrometheus(query: AnyQuery): query is AnyQuery & Dataquery {
  return "expr" in query;
}

/** All queries of a dashboard, in the order of its panels. */
export function targetsOf({ panels = [] }: Dashboard): readonly DashboardTarget[] {
  return panels.flatMap((panel) => {
    const queries = "targets" in panel ? panel.targets ?? [] : [];
    return queries.filter(isForPrometheus).map(({ expr, legendFormat = "" }) => ({
      panel: panel.title ?? "",
      expression: expr,
      legend: legendFormat,
    }));
  });
}

/** Puts values in the place of Grafana's variables: `$name` and `${name}`. */
export function substitute(text: string, values: Readonly<Record<string, string>>): string {
  return text.replaceAll(
    /\$(?:\{(\w+)\}|(\w+))/g,
    (found: string, braced: string | undefined, bare: string | undefined) =>
      values[braced ?? bare ?? ""] ?? found,
  );
}
