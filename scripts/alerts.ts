import { parse } from "yaml";
import { COLLECTORS } from "../src/metrics/mod.ts";
import { code, codes, table } from "./markdown.ts";
import { familiesIn } from "./peer_families.ts";
import { ROOT } from "./set_up.ts";

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
      readonly alert: string;
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
    return groups.flatMap(({ rules }) => rules).map((rule): Alert => ({
      name: rule.alert,
      file,
      expression: rule.expr,
      after: rule.for,
      severity: rule.labels?.["severity"],
      annotations: rule.annotations ?? {},
    }));
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

/** The table of all alerts in docs/alerts.md. */
export function alertTable(alerts: readonly Alert[]): string {
  return table(
    ["Alert", "Severity", "Fires after", "Needs"],
    alerts.map(({ name, severity = "", after, expression }) => [
      `[${code(name)}](#${name.toLowerCase()})`,
      severity,
      after === undefined ? "at once" : after.replace(/^(\d+)m$/, "$1 minutes"),
      codes(switchedOffCollectors(expression).map((collector) => `--collector.${collector}`)),
    ]),
  );
}
