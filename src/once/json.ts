import type { Collection } from "../scrape/collection.ts";
import {
  hostFamilies,
  instanceFamilies,
  type InstanceFamily,
  LabelCache,
  type PlainFamily,
} from "../metrics/exposition.ts";
import type { FamilyType, Label } from "../metrics/family.ts";

/** A family as prom2json has it. Source: prom2json.go of prom2json 1.4. */
interface JsonFamily {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly metrics: readonly JsonMetric[];
}

interface JsonMetric {
  /** Not there when there are none. */
  readonly labels?: Readonly<Record<string, string>>;
  /** As text, for JSON has no infinities. */
  readonly value: string;
}

/** prom2json reads the text format, which has these types only. None of the exporter's families has the others. */
const TYPES: Readonly<Record<FamilyType, string>> = {
  counter: "COUNTER",
  gauge: "GAUGE",
  info: "GAUGE",
  unknown: "UNTYPED",
  histogram: "HISTOGRAM",
  summary: "SUMMARY",
};

/**
 * The families of a collection as prom2json gives a page: an array of families with their samples, here with one family a
 * line, in texts that follow each other. The last one ends with a line feed.
 */
export function* renderJson(collection: Collection): Generator<string> {
  let before = "[\n";
  for (const family of jsonFamilies(collection)) {
    if (family.metrics.length === 0) continue;
    yield before + JSON.stringify(family);
    before = ",\n";
  }
  yield before === "[\n" ? "[]\n" : "\n]\n";
}

function* jsonFamilies(collection: Collection): Generator<JsonFamily> {
  const { snapshot, collectors, labelTexts } = collection.findings;
  if (snapshot !== undefined) {
    const labels = new LabelCache(labelTexts.identity, (labels) => labels);
    for (const family of instanceFamilies(collectors, snapshot, labels)) {
      yield jsonOfInstances(family);
    }
    yield* hostFamilies(collectors, snapshot).map(jsonOfPlain);
  }
  yield* collection.selfFamilies.map(jsonOfPlain);
}

function jsonOfInstances(
  { family, rows, valueOf }: InstanceFamily<readonly Label[]>,
): JsonFamily {
  const metrics = rows.flatMap((row) => {
    const value = valueOf(row);
    return value === undefined ? [] : [jsonMetric(row.labels, value)];
  });
  return { name: family.name, help: family.help, type: TYPES[family.type], metrics };
}

function jsonOfPlain({ name, help, type, samples }: PlainFamily): JsonFamily {
  const metrics = samples.map(({ labels, value }) => jsonMetric(labels, value));
  return { name, help, type: TYPES[type], metrics };
}

function jsonMetric(labels: readonly Label[], value: number): JsonMetric {
  return {
    ...(labels.length === 0 ? {} : { labels: Object.fromEntries(labels) }),
    value: numberText(value),
  };
}

/** From which power of ten on Go writes an exponent, and below which. */
const EXPONENT_FROM = 6;
const EXPONENT_BELOW = -4;

/**
 * A number as Go's `fmt.Sprint` writes it and therefore prom2json: the shortest digits that stand for it, with an exponent
 * of two digits at least for large and small ones, such as `1.5e+09`.
 */
export function numberText(value: number): string {
  if (value === Infinity) return "+Inf";
  if (value === -Infinity) return "-Inf";
  const [digits = "", exponentText = ""] = value.toExponential().split("e");
  const exponent = Number(exponentText);
  const isPlain = Number.isNaN(value) || value === 0 ||
    (exponent >= EXPONENT_BELOW && exponent < EXPONENT_FROM);
  if (isPlain) return Object.is(value, -0) ? "-0" : String(value);
  const sign = exponent < 0 ? "-" : "+";
  return `${digits}e${sign}${String(Math.abs(exponent)).padStart(2, "0")}`;
}
