/**
 * Writes what tables of the program know better than anybody: docs/metrics.md, the tables of README.md, docs/flags.md and
 * docs/alerts.md, the figures of docs/prometheus.md, and Grafana's dashboards. With `--check` it writes nothing and ends with 1
 * when one of them differs.
 */
import type { Collector } from "../src/metrics/family.ts";
import { COLLECTORS } from "../src/metrics/mod.ts";
import type { ParsedFamily } from "../testing/parse_page.ts";
import { alertTable, readAlerts } from "./alerts.ts";
import { dashboardFiles } from "./dashboards/mod.ts";
import { readCollectorCosts } from "./collector_costs.ts";
import { code, formatMarkdown, replacePart, table } from "./markdown.ts";
import { byDefault, metricsDocument } from "./metrics_document.ts";
import { migrationSection } from "./migration_section.ts";
import { main, say } from "../testing/progress.ts";
import { countSeries, samplePage } from "../testing/sample_host.ts";
import { readFleet } from "./fleet_result.ts";
import { fleetCostsSection, fleetSection } from "./fleet_section.ts";
import { ROOT } from "../testing/set_up.ts";
import { ALL_FLAGS, type Flag } from "../src/config/flags.ts";

/** A file and what it should hold. */
export interface Document {
  /** Path from the project's folder. */
  readonly path: string;
  readonly text: string;
}

/**
 * What the generated documents should hold; what is written by hand, outside the markers, is as it is.
 *
 * @throws {StepError} when something that is documented lacks its words, or a document lacks a marker
 */
export async function generateDocuments(): Promise<readonly Document[]> {
  const series = await countSeries(COLLECTORS);
  const document = metricsDocument({
    collectors: COLLECTORS,
    own: await ownFamilies(),
    series,
    costs: await readCollectorCosts(),
    migration: migrationSection(),
  });
  return [
    { path: "docs/metrics.md", text: await formatMarkdown(document) },
    await documentWithPart("README.md", "metrics", collectorSummary(COLLECTORS)),
    await documentWithPart("docs/flags.md", "flags", flagTable(ALL_FLAGS)),
    await documentWithPart("docs/alerts.md", "alerts", alertTable(await readAlerts())),
    await prometheusDocument(),
    ...dashboardDocuments(),
  ];
}

/** A document that is written by hand but for the part between the markers of this name. */
async function documentWithPart(path: string, name: string, part: string): Promise<Document> {
  const text = await Deno.readTextFile(`${ROOT}/${path}`);
  return { path, text: replacePart(text, name, await formatMarkdown(part)) };
}

/** docs/prometheus.md with what was measured of a fleet. */
async function prometheusDocument(): Promise<Document> {
  const path = "docs/prometheus.md";
  const fleet = await readFleet();
  const text = replacePart(
    await Deno.readTextFile(`${ROOT}/${path}`),
    "fleet",
    await formatMarkdown(fleetSection(fleet)),
  );
  return {
    path,
    text: replacePart(text, "fleet-costs", await formatMarkdown(fleetCostsSection(fleet))),
  };
}

/** Grafana's dashboards as JSON. */
function dashboardDocuments(): readonly Document[] {
  return dashboardFiles().map(({ path, dashboard }) => ({
    path,
    text: `${JSON.stringify(dashboard, null, 2)}\n`,
  }));
}

/** The flags in the order of the help. */
export function flagTable(flags: readonly Flag[]): string {
  return table(
    ["Flag", "Default", "Meaning"],
    flags.map((flag) => {
      if ("valueName" in flag) {
        const byDefault = flag.default === undefined ? "" : code(flag.default);
        return [code(`--${flag.name} ${flag.valueName}`), byDefault, flag.description];
      }
      const names = [
        ...(flag.letter === undefined ? [] : [`-${flag.letter}`]),
        flag.negatable === true ? `--[no-]${flag.name}` : `--${flag.name}`,
      ];
      return [names.map(code).join(", "), flag.default ? "on" : "off", flag.description];
    }),
  );
}

/** The collectors in short, with links to their sections. */
export function collectorSummary(collectors: readonly Collector[]): string {
  return table(
    ["Collector", "About", "Default"],
    collectors.map((collector) => [
      `[${code(collector.name)}](docs/metrics.md#collector-${collector.name})`,
      collector.description,
      byDefault(collector),
    ]),
  );
}

/** The families about the exporter itself, from a page on which each of them has a sample. */
async function ownFamilies(): Promise<readonly ParsedFamily[]> {
  const page = await samplePage(COLLECTORS);
  const collected = new Set(
    COLLECTORS.flatMap(({ families, hostFamilies = [] }) =>
      [...families, ...hostFamilies].map(({ name }) => name)
    ),
  );
  return [...page.values()].filter(({ name }) => !collected.has(name));
}

if (import.meta.main) {
  await main(async () => {
    const isCheck = Deno.args.includes("--check");
    let outdated = 0;
    for (const { path, text } of await generateDocuments()) {
      const file = `${ROOT}/${path}`;
      const present = await Deno.readTextFile(file).catch(() => undefined);
      if (present === text) continue;
      outdated++;
      if (isCheck) say(`${path} is out of date: run "npm run docs"`);
      else {
        await Deno.mkdir(`${ROOT}/docs`, { recursive: true });
        await Deno.writeTextFile(file, text);
        say(`Wrote ${path}`);
      }
    }
    return isCheck && outdated > 0 ? 1 : 0;
  });
}
