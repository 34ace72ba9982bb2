import { parse } from "yaml";
import { COLLECTORS } from "../src/metrics/mod.ts";
import { code, codes, table } from "./markdown.ts";
import { familiesIn } from "./peer_families.ts";
import { ROOT } from "../testing/set_up.ts";

/** An alert as Prometheus reads it. */
export interface Alert {
  readonly name: string;
  /** The file that it stands in, without its folder. */
  readonly file: string;
  readonly expression: string;
  /** How long the expression must hold, such as `5m`; undefined where it fires at once. */
  readonly after: string | undefined;
  readonly severity: string | undefined;
  readonly annotations: Readonly<Record<string, string>>;
}

/** The parts of a rule file that are read here. */
interface RuleFile {
  readonly groups: readonly {
    readonly rules: readonly {
      /** Left out where the rule records what alerts of the file need. */
      readonly alert?: string;
      readonly expr: string;
      readonly for?: string;
      readonly labels?: Readonly<Record<string, string>>;
      readonly annotations?: Readonly<Record<string, string>>;
    }[];
  }[];
}

/** Where the alerts are, from the project's folder. */
export const ALERTS_FOLDER = "contrib/prometheus/alerts";

/** The files with alerts, in the order in which they are documented. */
export const ALERT_FILES = [
  "exporter.alerts.yml",
  "instances.alerts.yml",
  "hosts.alerts.yml",
] as const;

/** Reads all alerts. */
export async function readAlerts(): Promise<readonly Alert[]> {
  const lists = await Promise.all(ALERT_FILES.map(async (file) => {
    const text = await Deno.readTextFile(`${ROOT}/${ALERTS_FOLDER}/${file}`);
    const { groups }: RuleFile = parse(text);
    return groups.flatMap(({ rules }) => rules).flatMap(
      ({ alert, expr, for: after, labels, annotations = {} }): readonly Alert[] =>
        alert === undefined ? [] : [{
          name: alert,
          file,
          expression: expr,
          after,
          severity: labels?.["severity"],
          annotations,
        }],
    );
  }));
  return lists.flat();
}

/** The collectors that an expression needs and that are off by default. */
export function switchedOffCollectors(expression: string): readonly string[] {
  const families = new Set(familiesIn(expression));
  return COLLECTORS.filter(({ byDefault, families: own, hostFamilies = [] }) =>
    byDefault === false && [...own, ...hostFamilies].some(({ name }) => families.has(name))
  ).map(({ name }) => name);
}

/** How long an expression must hold, in words: `1 minute`, `5 minutes`; another unit stands as it is written. */
function firesAfter(after: string | undefined): string {
  if (after === undefined) return "at once";
  return after === "1m" ? "1 minute" : after.replace(/^(\d+)m$/, "$1 minutes");
}

/** The table of all alerts in docs/alerts.md. */
export function alertTable(alerts: readonly Alert[]): string {
  return table(
    ["Alert", "Severity", "Fires after", "Needs"],
    alerts.map(({ name, severity = "", after, expression }) => [
      `[${code(name)}](#${name.toLowerCase()})`,
      severity,
      firesAfter(after),
      codes(switchedOffCollectors(expression).map((collector) => `--collector.${collector}`)),
    ]),
  );
}
