import type { Dictionary } from "../libvirt/dictionary.ts";
import type { DomainRecord, Snapshot } from "../libvirt/snapshot.ts";
import type { Family, FamilyType, Label, LabelSet, Source } from "./family.ts";

/** Source: the Prometheus text exposition format, version 0.0.4. */
export const TEXT_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** A family with its samples spelled out, as the exporter's own metrics are. */
export interface PlainFamily {
  readonly name: string;
  readonly type: FamilyType;
  readonly help: string;
  readonly samples: readonly PlainSample[];
}

/** A sample; `name` differs from the family's for histograms and summaries. */
export interface PlainSample {
  readonly name: string;
  readonly labels: readonly Label[];
  readonly value: number;
}

/**
 * Label sets of a domain as text, kept for as long as its record lives: it is the same at every scrape.
 * The inner key of a device is its target, of an instance the empty string; undefined means no samples.
 */
export type LabelTexts = WeakMap<DomainRecord, Map<LabelSet, Map<string, string | undefined>>>;

/** Length from which a text is handed on: what one long text would hold at a time, garbage collection would too. */
const TEXT_LENGTH = 32 * 1024;

/**
 * The families of a snapshot in text format 0.0.4, in texts of moderate length. A family without samples is left out
 * whole, so an empty hypervisor has no texts.
 */
export function* renderFamilies(
  families: readonly Family[],
  snapshot: Snapshot,
  labelTexts: LabelTexts,
): Generator<string> {
  const rows = new Map<LabelSet, readonly LabelledRow[]>();
  for (const family of families) {
    const labelled = rows.get(family.labelSet) ??
      labelledRows(family.labelSet, snapshot, labelTexts);
    rows.set(family.labelSet, labelled);
    const valueOf = reader(family, snapshot);
    let header = renderHeader(family);
    let text = "";
    for (const row of labelled) {
      const value = valueOf(row);
      if (value === undefined) continue;
      text += `${header}${family.name}{${row.labels}} ${renderValue(value)}\n`;
      header = "";
      if (text.length < TEXT_LENGTH) continue;
      yield text;
      text = "";
    }
    if (text !== "") yield text;
  }
}

/** Families with their samples spelled out, in text format 0.0.4. */
export function renderPlainFamilies(families: readonly PlainFamily[]): string {
  let page = "";
  for (const family of families) {
    if (family.samples.length === 0) continue;
    page += renderHeader(family);
    for (const sample of family.samples) {
      const labels = sample.labels.length === 0 ? "" : `{${renderLabels(sample.labels)}}`;
      page += `${sample.name}${labels} ${renderValue(sample.value)}\n`;
    }
  }
  return page;
}

/** Label pairs without the braces, escaped as the format asks (backslash, quote, line feed). */
export function renderLabels(labels: readonly Label[]): string {
  return labels.map(([name, value]) => `${name}="${escapeLabelValue(value)}"`).join(",");
}

function renderHeader(family: Pick<Family, "name" | "type" | "help">): string {
  const help = family.help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
  const type = family.type === "info"
    ? "gauge"
    : family.type === "unknown"
    ? "untyped"
    : family.type;
  return `# HELP ${family.name} ${help}\n# TYPE ${family.name} ${type}\n`;
}

function escapeLabelValue(value: string): string {
  if (/[\\"\n]/.test(value)) {
    value = value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
  }
  return value.toWellFormed();
}

function renderValue(value: number): string {
  if (value === Infinity) return "+Inf";
  if (value === -Infinity) return "-Inf";
  return String(value);
}

/** What one sample of each family of a label set belongs to. */
interface LabelledRow {
  readonly domain: number;
  /** libvirt's index of the device; 0 for an instance. */
  readonly device: number;
  readonly labels: string;
}

function labelledRows(
  labelSet: LabelSet,
  snapshot: Snapshot,
  labelTexts: LabelTexts,
): readonly LabelledRow[] {
  const rows: LabelledRow[] = [];
  if (labelSet.scope === "instance") {
    snapshot.domains.forEach((record, domain) => {
      const labels = labelText(labelSet, record, "", labelTexts);
      if (labels !== undefined) rows.push({ domain, device: 0, labels });
    });
    return rows;
  }
  for (const { domain, index, target } of snapshot.devices(labelSet.group)) {
    const record = snapshot.domains[domain];
    if (record === undefined) continue;
    const labels = labelText(labelSet, record, target, labelTexts);
    if (labels !== undefined) rows.push({ domain, device: index, labels });
  }
  return rows;
}

function labelText(
  labelSet: LabelSet,
  record: DomainRecord,
  target: string,
  labelTexts: LabelTexts,
): string | undefined {
  let ofRecord = labelTexts.get(record);
  if (ofRecord === undefined) labelTexts.set(record, ofRecord = new Map());
  let ofSet = ofRecord.get(labelSet);
  if (ofSet === undefined) ofRecord.set(labelSet, ofSet = new Map());
  if (ofSet.has(target)) return ofSet.get(target);
  const labels = labelSet.scope === "instance"
    ? labelSet.labels(record)
    : labelSet.labels(record, target);
  const text = labels === undefined ? undefined : renderLabels(labels);
  ofSet.set(target, text);
  return text;
}

type Reader = (row: LabelledRow) => number | undefined;

/** How a family's values are read from a snapshot; fields are looked up once, not for each sample. */
function reader(family: Family, snapshot: Snapshot): Reader {
  const source: Source = family.source;
  if ("completeness" in source) return (row) => snapshot.isComplete(row.domain) ? 1 : 0;
  if ("definition" in source) {
    return (row) => {
      const description = snapshot.domains[row.domain]?.description;
      return description === undefined ? undefined : source.definition(description);
    };
  }
  const minuend = fieldReader(source.field, family.labelSet, snapshot);
  if (!("minus" in source)) return minuend;
  const subtrahend = fieldReader(source.minus, family.labelSet, snapshot);
  return (row) => {
    const whole = minuend(row);
    const part = subtrahend(row);
    return whole === undefined || part === undefined ? undefined : whole - part;
  };
}

function fieldReader(field: string, labelSet: LabelSet, snapshot: Snapshot): Reader {
  const dictionary: Dictionary = snapshot.dictionary;
  if (labelSet.scope === "instance") {
    const number = dictionary.number(field);
    if (number === undefined) return () => undefined;
    return (row) => snapshot.value(row.domain, number);
  }
  const numbers = dictionary.deviceFields(labelSet.group, field);
  return (row) => {
    const number = numbers[row.device];
    return number === undefined ? undefined : snapshot.value(row.domain, number);
  };
}
