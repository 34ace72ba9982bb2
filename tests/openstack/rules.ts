/**
 * What Prometheus makes of all the project's rules and alerts meanwhile.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import type { Prometheus } from "../../testing/prometheus/prometheus.ts";
import type { Answer } from "./cloud_client.ts";

const FOLDERS: readonly URL[] = ["alerts", "migration_rules", "rules"].map((name) =>
  new URL(`../../contrib/prometheus/${name}/`, import.meta.url)
);

/** The paths of all files with rules or alerts. */
export function ruleFiles(): readonly string[] {
  return FOLDERS.flatMap((folder) =>
    [...Deno.readDirSync(folder)].map(({ name }) => name)
      .filter((name) => /\.(rules|alerts)\.yml$/.test(name))
      .map((name) => fileURLToPath(new URL(name, folder)))
  ).sort();
}

/** What became of rules and alerts over the whole run. */
export interface RuleOutcome {
  /** How many rules record something. */
  readonly recording: number;
  /** How many alerts there are. */
  readonly alerting: number;
  /** Rules that could not be evaluated, with Prometheus' reason. */
  readonly broken: readonly string[];
  /** Alerts that have fired at any time, with the collector where they are about one. */
  readonly firing: readonly string[];
  /** The same of those that have been pending. */
  readonly pending: readonly string[];
  /** How many scrapes got no page in time. */
  readonly failedScrapes: number;
  /** How many pages had nothing of libvirt. */
  readonly emptyPages: number;
}

/** The alerts that are pending at the moment, each with its labels. */
export async function pendingAlerts(prometheus: Prometheus): Promise<readonly string[]> {
  const samples = await prometheus.query('ALERTS{alertstate="pending"}');
  return samples.map(({ labels }) => {
    const {
      __name__: _name,
      alertname,
      alertstate: _state,
      instance: _instance,
      job: _job,
      ...rest
    } = labels;
    return `${alertname} ${JSON.stringify(rest)}`;
  }).sort();
}

/** Asks Prometheus for it at the end of a run that took less than two hours. */
export async function ruleOutcome(prometheus: Prometheus): Promise<RuleOutcome> {
  const { data } = await prometheus.api("/api/v1/rules") as Answer;
  const rules: readonly Answer[] = data.groups.flatMap((group: Answer) => group.rules);
  const alerts = async (state: string): Promise<readonly string[]> => {
    const selector = `ALERTS{alertstate="${state}"}[2h]`;
    const samples = await prometheus.query(
      `count by (alertname, collector) (count_over_time(${selector}))`,
    );
    return samples.map(({ labels: { alertname, collector } }) =>
      collector === undefined ? `${alertname}` : `${alertname} of ${collector}`
    ).sort();
  };
  // Prometheus scrapes each second, so each sample counts once.
  const countZeros = async (metric: string): Promise<number> => {
    const [sample] = await prometheus.query(`sum(count_over_time((${metric} == 0)[2h:1s]))`);
    return sample?.value ?? 0;
  };
  return {
    recording: rules.filter(({ type }) => type === "recording").length,
    alerting: rules.filter(({ type }) => type === "alerting").length,
    broken: rules.filter(({ health }) => health !== "ok")
      .map(({ name, lastError }) => `${name}: ${lastError ?? "never evaluated"}`),
    firing: await alerts("firing"),
    pending: await alerts("pending"),
    failedScrapes: await countZeros("up"),
    emptyPages: await countZeros("libvirt_nova_up"),
  };
}
