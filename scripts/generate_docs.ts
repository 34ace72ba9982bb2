/**
 * Writes what tables of the program know better than anybody: docs/metrics.md, the tables of flags and metrics in
 * README.md, the table of docs/alerts.md, the figures of docs/prometheus.md, and Grafana's dashboards. With `--check` it
 * writes nothing and ends with 1 when one of them differs.
 */
import { ALL_FLAGS, type Flag } from "../src/config.ts";
import type { Collector, LabelSet } from "../src/metrics/family.ts";
import { COLLECTORS } from "../src/metrics/mod.ts";
import type { ParsedFamily } from "../tests/support/parse_page.ts";
import { alertTable, readAlerts } from "./alerts.ts";
import { dashboardFiles } from "./dashboards/mod.ts";
import { readCollectorCosts } from "./collector_costs.ts";
import { code, formatMarkdown, replacePart, table } from "./markdown.ts";
import { collectorTable, metricsDocument } from "./metrics_document.ts";
import { migrationSection } from "./migration_section.ts";
import { main, say } from "./progress.ts";
import { countSeries, samplePage, type SeriesCount } from "./sample_host.ts";
import { scaleSection } from "./scale_estimate.ts";
import { ROOT } from "./set_up.ts";

/** A file and what it should hold. */
export interface Document {
  /** Path from the project's folder. */
  readonly path: string;
  readonly text: string;
}

/**
 * What the generated documents should hold; of README.md the parts outside the markers are as they are.
 *
 * @throws {StepError} when something that is documented lacks its words, or README.md lacks a marker
 */
export async function generateDocuments(): Promise<readonly Document[]> {
  const readme = "README.md";
  const series = await countSeries(COLLECTORS);
  const document = metricsDocument({
    collectors: COLLECTORS,
    own: await ownFamilies(),
    series,
    costs: await readCollectorCosts(),
    migration: migrationSection(),
  });
  const text = replacePart(
    replacePart(
      await Deno.readTextFile(`${ROOT}/${readme}`),
      "flags",
      await formatMarkdown(flagTable(ALL_FLAGS)),
    ),
    "metrics",
    await formatMarkdown(readmeMetrics(COLLECTORS, series)),
  );
  return [
    { path: "docs/metrics.md", text: await formatMarkdown(document) },
    { path: readme, text },
    await documentWithPart("docs/alerts.md", "alerts", alertTable(await readAlerts())),
    await documentWithPart("docs/prometheus.md", "scale", await scaleSection()),
    ...dashboardDocuments(),
  ];
}

/** A document that is written by hand but for the part between the markers of this name. */
async function documentWithPart(path: string, name: string, part: string): Promise<Document> {
  const text = await Deno.readTextFile(`${ROOT}/${path}`);
  return { path, text: replacePart(text, name, await formatMarkdown(part)) };
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

/** README's part on metrics: the families of the collector `seed`, and the collectors in short. */
export function readmeMetrics(
  collectors: readonly Collector[],
  series: ReadonlyMap<string, SeriesCount>,
): string {
  const seed = collectors.filter(({ name }) => name === "seed");
  return `The families that the older exporters had, collector \`seed\`:

${summaryTable(seed)}
All collectors; [docs/metrics.md](docs/metrics.md) has their families:

${collectorTable(collectors, series, "docs/metrics.md")}`;
}

/** The families about instances, in short. */
export function summaryTable(collectors: readonly Collector[]): string {
  return table(
    ["Family", "Type", "Unit", "One sample for each"],
    collectors.flatMap(({ families }) =>
      families.map(({ name, type, unit, labelSet }) => [code(name), type, unit, owner(labelSet)])
    ),
  );
}

function owner(labelSet: LabelSet): string {
  return labelSet.scope === "instance" || labelSet.scope === "value" ? "instance" : labelSet.device;
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
