import { type DomainRecord, isActive, type Snapshot } from "../libvirt/snapshot.ts";
import {
  type Collector,
  type Family,
  type FamilyType,
  type HostFamily,
  type HostSample,
  identityLabels,
  type IdentityOptions,
  type Label,
  type LabelSet,
  type Source,
} from "./family.ts";

/** The text formats that a page can have. */
export type ExpositionFormat = "text" | "openmetrics";

/**
 * The formats' media types. Sources: the Prometheus text exposition format, version 0.0.4; the OpenMetrics
 * specification, version 1.0.0.
 */
export const CONTENT_TYPES: Readonly<Record<ExpositionFormat, string>> = {
  text: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
};

/** What stands at the end of a page. */
export const PAGE_END: Readonly<Record<ExpositionFormat, string>> = {
  text: "",
  openmetrics: "# EOF\n",
};

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

/** Length from which a text is handed on: what one long text would hold at a time, garbage collection would too. */
const TEXT_LENGTH = 32 * 1024;

/**
 * The families of a snapshot, in texts of moderate length. A family without samples is left out whole, so an empty
 * hypervisor has no texts.
 */
export function* renderCollectors(
  collectors: readonly Collector[],
  snapshot: Snapshot,
  labelTexts: LabelTexts,
  format: ExpositionFormat,
): Generator<string> {
  for (const { family, rows, valueOf } of instanceFamilies(collectors, snapshot, labelTexts)) {
    let header = renderHeader(family, format);
    let text = "";
    for (const row of rows) {
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
  const host = renderPlainFamilies(hostFamilies(collectors, snapshot), format);
  if (host !== "") yield host;
}

/** Families with their samples spelled out. */
export function renderPlainFamilies(
  families: readonly PlainFamily[],
  format: ExpositionFormat,
): string {
  let page = "";
  for (const family of families) {
    if (family.samples.length === 0) continue;
    page += renderHeader(family, format);
    for (const sample of family.samples) {
      const labels = sample.labels.length === 0 ? "" : `{${renderLabels(sample.labels)}}`;
      page += `${sample.name}${labels} ${renderValue(sample.value)}\n`;
    }
  }
  return page;
}

/** Label pairs without the braces, escaped as both formats ask (backslash, quote, line feed). */
export function renderLabels(labels: readonly Label[]): string {
  return labels.map(([name, value]) => `${name}="${escapeLabelValue(value)}"`).join(",");
}

/** The labels of a text that {@linkcode renderLabels} has made. */
export function readLabels(text: string): readonly Label[] {
  return Array.from(
    text.matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g),
    ([, name = "", value = ""]) => [
      name,
      value.replaceAll(/\\(.)/g, (_, character: string) => character === "n" ? "\n" : character),
    ],
  );
}

/** The families about the host that a snapshot has something to say about. */
export function hostFamilies(
  collectors: readonly Collector[],
  snapshot: Snapshot,
): readonly PlainFamily[] {
  const spellOut = (family: HostFamily): PlainFamily => ({
    ...family,
    samples: distinct(family.samples(snapshot)).map((sample) => ({ name: family.name, ...sample })),
  });
  return collectors.flatMap((collector) => (collector.hostFamilies ?? []).map(spellOut));
}

/**
 * The samples without those whose labels another has already: names that are no UTF-8, such as a volume's, may differ in
 * nothing but what cannot be shown.
 */
function distinct(samples: readonly HostSample[]): readonly HostSample[] {
  const seen = new Set<string>();
  return samples.filter(({ labels }) => {
    const text = renderLabels(labels);
    const isNew = !seen.has(text);
    seen.add(text);
    return isNew;
  });
}

/** Units that OpenMetrics knows as such: where a family's name ends with one, it is told. */
const UNITS = ["seconds", "bytes", "ratio"];

function renderHeader(
  family: Pick<Family, "name" | "type" | "help">,
  format: ExpositionFormat,
): string {
  if (format === "openmetrics") {
    const { name, type } = openMetricsFamily(family);
    const unit = UNITS.find((one) => name.endsWith(`_${one}`));
    return `# TYPE ${name} ${type}\n${unit === undefined ? "" : `# UNIT ${name} ${unit}\n`}` +
      `# HELP ${name} ${escapeLabelValue(family.help)}\n`;
  }
  const help = family.help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
  const type = family.type === "info"
    ? "gauge"
    : family.type === "unknown"
    ? "untyped"
    : family.type;
  return `# HELP ${family.name} ${help}\n# TYPE ${family.name} ${type}\n`;
}

/**
 * The name and the type that a family has in OpenMetrics, whose samples must be named as in the other format: a counter's
 * name there is that of its samples without `_total`, and one that has no `_total` cannot be a counter.
 */
export function openMetricsFamily(
  { name, type }: Pick<Family, "name" | "type">,
): { readonly name: string; readonly type: FamilyType } {
  const suffix = type === "counter" ? "_total" : type === "info" ? "_info" : "";
  if (!name.endsWith(suffix)) return { name, type: type === "counter" ? "unknown" : "gauge" };
  return { name: name.slice(0, name.length - suffix.length), type };
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

/** A family with what makes its samples: one for each row that has a value. */
export interface InstanceFamily {
  readonly family: Family;
  readonly rows: readonly LabelledRow[];
  valueOf(row: LabelledRow): number | undefined;
}

/** What one sample of each family of a label set belongs to. */
export interface LabelledRow {
  /** Position of the domain in the snapshot. */
  readonly domain: number;
  /** The device's slot, or the part's position; 0 for an instance. */
  readonly device: number;
  /** The labels as text. */
  readonly labels: string;
}

/** The families about instances, in their order. */
export function* instanceFamilies(
  collectors: readonly Collector[],
  snapshot: Snapshot,
  labelTexts: LabelTexts,
): Generator<InstanceFamily> {
  const rows = new Map<LabelSet, LabelledRow[]>();
  const isShown = ({ domain }: LabelledRow): boolean => {
    const record = snapshot.domains[domain];
    return record !== undefined && isActive(record);
  };
  const allActive = snapshot.domains.every(isActive);
  for (const { families, inactive } of collectors) {
    for (const family of families) {
      const all = rows.get(family.labelSet) ?? labelledRows(family.labelSet, snapshot, labelTexts);
      rows.set(family.labelSet, all);
      yield {
        family,
        rows: inactive === true || allActive ? all : all.filter(isShown),
        valueOf: reader(family, snapshot),
      };
    }
  }
}

/**
 * Label sets of a domain as text, kept for as long as its record lives: they are the same at every scrape. A label of a
 * set that the identity has already stands once.
 */
export class LabelTexts {
  readonly #identity: IdentityOptions;
  readonly #texts = new WeakMap<DomainRecord, Map<LabelSet, Map<string, string | undefined>>>();

  constructor(identity: IdentityOptions) {
    this.#identity = identity;
  }

  /** The text of a label set under a key, which stands for all that `make` depends on besides the domain. */
  text(
    labelSet: LabelSet,
    record: DomainRecord,
    key: string,
    make: () => readonly Label[] | undefined,
  ): string | undefined {
    let ofRecord = this.#texts.get(record);
    if (ofRecord === undefined) this.#texts.set(record, ofRecord = new Map());
    let ofSet = ofRecord.get(labelSet);
    if (ofSet === undefined) ofRecord.set(labelSet, ofSet = new Map());
    if (ofSet.has(key)) return ofSet.get(key);
    const further = make();
    const text = further === undefined ? undefined : this.#render(record, further);
    ofSet.set(key, text);
    return text;
  }

  #render(record: DomainRecord, further: readonly Label[]): string {
    const identity = identityLabels(record, this.#identity);
    const names = new Set(identity.map(([name]) => name));
    return renderLabels([...identity, ...further.filter(([name]) => !names.has(name))]);
  }
}

function labelledRows(
  labelSet: LabelSet,
  snapshot: Snapshot,
  labelTexts: LabelTexts,
): LabelledRow[] {
  const rows: LabelledRow[] = [];
  const add = (domain: number, device: number, labels: string | undefined): void => {
    if (labels !== undefined) rows.push({ domain, device, labels });
  };
  switch (labelSet.scope) {
    case "instance":
      snapshot.domains.forEach((record, domain) => {
        add(domain, 0, labelTexts.text(labelSet, record, "", () => labelSet.labels(record)));
      });
      break;
    case "value":
      snapshot.domains.forEach((record, domain) => {
        const key = labelSet.key((field) => readField(snapshot, domain, field));
        if (key === undefined) return;
        add(domain, 0, labelTexts.text(labelSet, record, key, () => labelSet.labels(key)));
      });
      break;
    case "part":
      snapshot.domains.forEach((record, domain) => {
        const { description } = record;
        if (description === undefined) return;
        const seen = new Set<string>();
        for (let part = 0; part < labelSet.count(description); part++) {
          const make = (): readonly Label[] | undefined => labelSet.labels(description, part);
          const text = labelTexts.text(labelSet, record, String(part), make);
          // Parts that nothing tells apart would be one series twice.
          if (text === undefined || seen.has(text)) continue;
          seen.add(text);
          add(domain, part, text);
        }
      });
      break;
    case "device":
      for (const [domain, device, text] of deviceTexts(labelSet, snapshot, labelTexts)) {
        add(domain, device, text);
      }
  }
  return rows;
}

function* deviceTexts(
  labelSet: LabelSet & { readonly scope: "device" },
  snapshot: Snapshot,
  labelTexts: LabelTexts,
): Generator<readonly [domain: number, slot: number, text: string | undefined]> {
  const { group, named, ownerName } = labelSet;
  const devices = named ? snapshot.namedDevices(group) : snapshot.numberedDevices(group);
  for (const { domain, slot, name } of devices) {
    const record = snapshot.domains[domain];
    if (record === undefined) continue;
    const path = snapshot.dictionary.path(group, slot);
    const owner = ownerName === undefined ? undefined : readText(snapshot, domain, ownerName(path));
    const identity = { name, path: owner === undefined ? path : [...path, owner] };
    const key = named ? name : identity.path.join(".");
    yield [
      domain,
      slot,
      labelTexts.text(labelSet, record, key, () => labelSet.labels(record, identity)),
    ];
  }
}

function readField(snapshot: Snapshot, domain: number, field: string): number | undefined {
  const number = snapshot.dictionary.number(field);
  return number === undefined ? undefined : snapshot.value(domain, number);
}

function readText(snapshot: Snapshot, domain: number, field: string): string | undefined {
  const number = snapshot.dictionary.number(field);
  return number === undefined ? undefined : snapshot.text(domain, number);
}

type Reader = (row: LabelledRow) => number | undefined;

/** How a family's values are read from a snapshot; fields are looked up once, not for each sample. */
function reader({ source, labelSet }: Family, snapshot: Snapshot): Reader {
  if ("completeness" in source) return (row) => snapshot.isComplete(row.domain) ? 1 : 0;
  if ("constant" in source) return () => source.constant;
  if ("field" in source) return statisticsReader(source, labelSet, snapshot);
  return (row) => {
    const record = snapshot.domains[row.domain];
    if (record === undefined) return undefined;
    if ("record" in source) return source.record(record);
    const { description } = record;
    if (description === undefined) return undefined;
    return "part" in source ? source.part(description, row.device) : source.definition(description);
  };
}

function statisticsReader(
  { field, minus, over, conversion }: Extract<Source, { readonly field: string }>,
  labelSet: LabelSet,
  snapshot: Snapshot,
): Reader {
  let read = fieldReader(field, labelSet, snapshot);
  if (minus !== undefined) {
    read = combine(read, fieldReader(minus, labelSet, snapshot), (whole, part) => whole - part);
  }
  if (over !== undefined) {
    const divide = (part: number, whole: number): number | undefined =>
      whole === 0 ? undefined : part / whole;
    read = combine(read, fieldReader(over, labelSet, snapshot), divide);
  }
  if (conversion === undefined) return read;
  return (row) => {
    const value = read(row);
    return value === undefined ? undefined : conversion.convert(value);
  };
}

function combine(
  left: Reader,
  right: Reader,
  calculate: (left: number, right: number) => number | undefined,
): Reader {
  return (row) => {
    const [first, second] = [left(row), right(row)];
    return first === undefined || second === undefined ? undefined : calculate(first, second);
  };
}

function fieldReader(field: string, labelSet: LabelSet, snapshot: Snapshot): Reader {
  const { dictionary } = snapshot;
  if (labelSet.scope !== "device") {
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
