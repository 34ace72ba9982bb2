import { type DomainRecord, isActive, type Snapshot } from "../libvirt/snapshot.ts";
import {
  type Collector,
  type Family,
  type FamilyType,
  type HostFamily,
  type HostSample,
  identityLabels,
  type IdentityOptions,
  INSTANCE,
  type Label,
  type LabelSet,
  type StatisticsSource,
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
  texts: LabelCache<string>,
  format: ExpositionFormat,
): Generator<string> {
  let text = "";
  for (const { family, rows, valueOf } of instanceFamilies(collectors, snapshot, texts)) {
    let hasHeader = false;
    for (const row of rows) {
      const value = valueOf(row);
      if (value === undefined) continue;
      if (!hasHeader) text += renderHeader(family, format);
      hasHeader = true;
      text += `${family.name}{${row.labels}} ${renderValue(value)}\n`;
      if (text.length < TEXT_LENGTH) continue;
      yield text;
      text = "";
    }
  }
  text += renderPlainFamilies(hostFamilies(collectors, snapshot), format);
  if (text !== "") yield text;
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

/** Units that OpenMetrics knows. A family whose name ends with one has a line that tells it. */
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

/** A form of labels: their text on a page, or themselves. */
export type LabelForm = string | readonly Label[];

/** A family with what makes its samples: one for each row that has a value. */
export interface InstanceFamily<Form extends LabelForm> {
  readonly family: Family;
  readonly rows: readonly LabelledRow<Form>[];
  valueOf(row: RowPlace): number | undefined;
}

/** What one sample of each family of a label set belongs to. */
export interface RowPlace {
  /** Position of the domain in the snapshot. */
  readonly domain: number;
  /** The device's slot, or the part's position; 0 for an instance. */
  readonly device: number;
}

/** The same with its labels. */
export interface LabelledRow<Form extends LabelForm> extends RowPlace {
  readonly labels: Form;
}

/** The families about instances, in their order. */
export function* instanceFamilies<Form extends LabelForm>(
  collectors: readonly Collector[],
  snapshot: Snapshot,
  labels: LabelCache<Form>,
): Generator<InstanceFamily<Form>> {
  const rows = new Map<LabelSet, LabelledRow<Form>[]>();
  const isShown = ({ domain }: RowPlace): boolean => {
    const record = snapshot.domains[domain];
    return record !== undefined && isActive(record);
  };
  const allActive = snapshot.domains.every(isActive);
  for (const { families, inactive } of collectors) {
    for (const family of families) {
      const all = rows.get(family.labelSet) ?? labelledRows(family.labelSet, snapshot, labels);
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
 * Label sets of a domain in some form, kept for as long as its record lives: they are the same at every scrape. A label of a
 * set that the identity has already stands once.
 */
export class LabelCache<Form extends LabelForm> {
  readonly identity: IdentityOptions;
  readonly #form: (labels: readonly Label[]) => Form;
  readonly #made = new WeakMap<DomainRecord, Map<LabelSet, Map<string, Form | undefined>>>();

  constructor(identity: IdentityOptions, form: (labels: readonly Label[]) => Form) {
    this.identity = identity;
    this.#form = form;
  }

  /** The labels of a set under a key, which stands for all that `make` depends on besides the domain. */
  labels(
    labelSet: LabelSet,
    record: DomainRecord,
    key: string,
    make: () => readonly Label[] | undefined,
  ): Form | undefined {
    let ofRecord = this.#made.get(record);
    if (ofRecord === undefined) this.#made.set(record, ofRecord = new Map());
    let ofSet = ofRecord.get(labelSet);
    if (ofSet === undefined) ofRecord.set(labelSet, ofSet = new Map());
    if (ofSet.has(key)) return ofSet.get(key);
    const labels = make();
    const made = labels === undefined ? undefined : this.#form(this.#withIdentity(record, labels));
    ofSet.set(key, made);
    return made;
  }

  #withIdentity(record: DomainRecord, labels: readonly Label[]): readonly Label[] {
    const identity = identityLabels(record, this.identity);
    const names = new Set(identity.map(([name]) => name));
    return [...identity, ...labels.filter(([name]) => !names.has(name))];
  }
}

/** A cache of what stands on pages. */
export function createLabelTexts(identity: IdentityOptions): LabelCache<string> {
  return new LabelCache(identity, renderLabels);
}

function labelledRows<Form extends LabelForm>(
  labelSet: LabelSet,
  snapshot: Snapshot,
  cache: LabelCache<Form>,
): LabelledRow<Form>[] {
  const rows: LabelledRow<Form>[] = [];
  const add = (domain: number, device: number, labels: Form | undefined): void => {
    if (labels !== undefined) rows.push({ domain, device, labels });
  };
  switch (labelSet.scope) {
    case "instance":
      snapshot.domains.forEach((record, domain) => {
        add(domain, 0, cache.labels(labelSet, record, "", () => labelSet.labels(record)));
      });
      break;
    case "value":
      snapshot.domains.forEach((record, domain) => {
        const key = labelSet.key((field) => readField(snapshot, domain, field));
        if (key === undefined) return;
        add(domain, 0, cache.labels(labelSet, record, key, () => labelSet.labels(key)));
      });
      break;
    case "part":
      snapshot.domains.forEach((record, domain) => {
        const { description } = record;
        if (description === undefined) return;
        const seen = new Set<string>();
        for (let part = 0; part < labelSet.count(description); part++) {
          const make = (): readonly Label[] | undefined => labelSet.labels(description, part);
          const labels = cache.labels(labelSet, record, String(part), make);
          if (labels === undefined) continue;
          // Parts that nothing tells apart would be one series twice.
          const text = typeof labels === "string" ? labels : renderLabels(labels);
          if (seen.has(text)) continue;
          seen.add(text);
          add(domain, part, labels);
        }
      });
      break;
    case "device":
      for (const [domain, device, labels] of deviceLabels(labelSet, snapshot, cache)) {
        add(domain, device, labels);
      }
  }
  return rows;
}

function* deviceLabels<Form extends LabelForm>(
  labelSet: LabelSet & { readonly scope: "device" },
  snapshot: Snapshot,
  cache: LabelCache<Form>,
): Generator<readonly [domain: number, slot: number, labels: Form | undefined]> {
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
      cache.labels(labelSet, record, key, () => labelSet.labels(record, identity)),
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

/** The value of one instance that a family of instances with this source would have on the page. */
export function instanceValue(
  source: StatisticsSource,
  snapshot: Snapshot,
  domain: number,
): number | undefined {
  return statisticsReader(source, INSTANCE, snapshot)({ domain, device: 0 });
}

type Reader = (row: RowPlace) => number | undefined;

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
  { field, minus, over, conversion }: StatisticsSource,
  labelSet: LabelSet,
  snapshot: Snapshot,
): Reader {
  let read = fieldReader(field, labelSet, snapshot);
  if (minus !== undefined) {
    const subtract = (whole: number, part: number): number | undefined =>
      // A guest may say that it has more left than it has at all.
      part > whole ? undefined : whole - part;
    read = combine(read, fieldReader(minus, labelSet, snapshot), subtract);
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
