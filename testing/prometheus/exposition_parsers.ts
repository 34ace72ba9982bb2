/**
 * The parsers that people read pages with, as judges of this exporter's pages.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { type ParsedFamily } from "../parse_page.ts";
import { reportProgress } from "../packages.ts";
import { outputOf, runCommand } from "../command.ts";
import { ensurePythonPackages } from "../python_packages.ts";

/** Formats that {@link parseExposition} reads. */
export type ExpositionFormat = "text" | "openmetrics";

/**
 * A family as the Python client sees it. A counter's name goes without `_total`, whichever format it comes from; the
 * samples are named as on the page.
 */
export interface ExpositionFamily extends ParsedFamily {
  /** Empty when the page says none, as text always does. */
  readonly unit: string;
}

const CLIENT_PACKAGE = "prometheus_client";
const CLIENT_VERSION = "0.26.0";
const CACHE_DIRECTORY = fileURLToPath(
  new URL(`../../.cache/${CLIENT_PACKAGE}/`, import.meta.url),
);
const SCRIPT = fileURLToPath(new URL("parse_exposition.py", import.meta.url));
const INSTALLATION_BOUND_MILLISECONDS = 300_000;

/**
 * Returns the folder with Prometheus' Python client, and installs it with pip at the first call (65 kB). It stays in the
 * project's `.cache/prometheus_client`.
 *
 * @throws {Error} when it cannot be installed; the message has pip's reason
 */
async function ensurePythonClient(): Promise<string> {
  return await ensurePythonPackages(
    {
      folder: `${CACHE_DIRECTORY}${CLIENT_VERSION}`,
      requirements: [`${CLIENT_PACKAGE}==${CLIENT_VERSION}`],
    },
    ([program, ...words]) => {
      reportProgress("Installing Prometheus' Python client for the tests of pages");
      return outputOf(program, words, { boundMilliseconds: INSTALLATION_BOUND_MILLISECONDS });
    },
  );
}

/** A family in the script's JSON, where values are Python's texts. */
interface WrittenFamily extends Omit<ExpositionFamily, "samples"> {
  readonly samples: readonly {
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly value: string;
  }[];
}

function parseValue(text: string): number {
  return text === "nan" ? NaN : Number(text.replace("inf", "Infinity"));
}

/**
 * Reads a page with the parsers of Prometheus' Python client, the strictest there are for OpenMetrics.
 *
 * @throws {Error} with the parser's reason when it does not accept the page
 */
export async function parseExposition(
  format: ExpositionFormat,
  page: string,
): Promise<readonly ExpositionFamily[]> {
  const { code, output, errorOutput } = await runCommand("python3", [SCRIPT, format], {
    input: page,
    environment: { PYTHONPATH: await ensurePythonClient(), PYTHONDONTWRITEBYTECODE: "1" },
  });
  if (code !== 0) {
    const reason = errorOutput.trimEnd().split("\n").at(-1);
    throw new Error(`The Python client's ${format} parser does not accept the page: ${reason}`);
  }
  const families: readonly WrittenFamily[] = JSON.parse(output);
  return families.map((family) => ({
    ...family,
    samples: family.samples.map((sample) => ({ ...sample, value: parseValue(sample.value) })),
  }));
}

/**
 * The values of a page by its series, written as name and labels in the order of their names, so that pages in different
 * formats can be compared.
 *
 * @throws {Error} when a series stands twice
 */
export function valuesBySeries(
  families: Iterable<Pick<ParsedFamily, "samples">>,
): ReadonlyMap<string, number> {
  const values = new Map<string, number>();
  for (const { name, labels, value } of [...families].flatMap(({ samples }) => samples)) {
    const series = `${name} ${JSON.stringify(Object.entries(labels).sort())}`;
    if (values.has(series)) throw new Error(`Series stands twice: ${series}`);
    values.set(series, value);
  }
  return new Map([...values].sort());
}
