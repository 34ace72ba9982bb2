import type { DomainRecord, MeasuredDevice, Snapshot } from "../libvirt/snapshot.ts";
import type { DomainDescription } from "../libvirt/domain_description.ts";

/** A label's name and value. */
export type Label = readonly [name: string, value: string];

/** Metric types of both text formats. */
export type FamilyType = "counter" | "gauge" | "histogram" | "summary" | "info" | "unknown";

/** Reads a field of one domain. */
export type FieldReader = (field: string) => number | undefined;

/**
 * What identifies the samples of a family, besides the identity labels that every instance family has: one sample for
 * each instance, for each device that libvirt gave statistics of, or for each part that the definition names. Labels are made
 * once for an instance and then kept for as long as its definition is.
 */
export type LabelSet =
  | {
    readonly scope: "instance";
    /** Names of the further labels, for the documentation. */
    readonly names: readonly string[];
    /** Further labels; undefined where the instance has no sample. */
    labels(domain: DomainRecord): readonly Label[] | undefined;
  }
  | {
    /** As `instance`, for labels that depend on values: `key` is all of the values that the labels depend on. */
    readonly scope: "value";
    readonly names: readonly string[];
    key(read: FieldReader): string | undefined;
    labels(key: string): readonly Label[] | undefined;
  }
  | {
    readonly scope: "device";
    /** The dictionary's group, such as `block.N`. */
    readonly group: string;
    /** What a device is called in the documentation. */
    readonly device: string;
    /** Whether libvirt names the devices; those without a name have no samples then. */
    readonly named: boolean;
    /**
     * The text field with the name of the device that this one belongs to, from its path; it is the last of the path that
     * `labels` gets.
     */
    readonly ownerName?: (path: readonly string[]) => string;
    readonly names: readonly string[];
    /** Labels of one device; undefined when the definition does not know it (yet): then it has no samples. */
    labels(domain: DomainRecord, device: DeviceIdentity): readonly Label[] | undefined;
  }
  | {
    readonly scope: "part";
    readonly device: string;
    readonly names: readonly string[];
    /** How many parts, such as disks, a definition has. */
    count(domain: DomainDescription): number;
    /** Labels of the part at this position; undefined where it has no samples. */
    labels(domain: DomainDescription, position: number): readonly Label[] | undefined;
  };

/** What a device's labels are made from. */
export interface DeviceIdentity extends Pick<MeasuredDevice, "name"> {
  /** The numbers and names in its fields, such as `["0", "1"]`, and then the owner's name where there is one. */
  readonly path: readonly string[];
}

/** How a value of libvirt becomes one in the family's unit. */
export interface Conversion {
  /** libvirt's unit, for the documentation. */
  readonly from: string;
  convert(value: number): number;
}

/** Nanoseconds to seconds. */
export const NANOSECONDS: Conversion = { from: "nanoseconds", convert: (value) => value / 1e9 };
/** Milliseconds to seconds. */
export const MILLISECONDS: Conversion = { from: "milliseconds", convert: (value) => value / 1e3 };
/** KiB to bytes. */
export const KIBIBYTES: Conversion = { from: "KiB", convert: (value) => value * 1024 };
/** MiB to bytes. */
export const MEBIBYTES: Conversion = { from: "MiB", convert: (value) => value * 1_048_576 };
/** Percent to a ratio. */
export const PERCENT: Conversion = { from: "percent", convert: (value) => value / 100 };

/**
 * A field of libvirt's statistics; of a device the part after its number (`rd.bytes`). `minus` is taken from it and the
 * rest is divided by `over`, when libvirt gave them all. A rest below 0 is no sample, nor is one divided by 0.
 */
export interface StatisticsSource {
  readonly field: string;
  readonly minus?: string;
  readonly over?: string;
  readonly conversion?: Conversion;
}

/** Where a value comes from. What libvirt did not give makes no sample. */
export type Source =
  | StatisticsSource
  /** Something in the domain's definition; `path` says where, for the documentation. */
  | { readonly path: string; definition(domain: DomainDescription): number | undefined }
  /** Something in the definition of the part at this position. */
  | { readonly path: string; part(domain: DomainDescription, position: number): number | undefined }
  /** Something else about the domain. */
  | { readonly description: string; record(domain: DomainRecord): number | undefined }
  /** 1 wherever there are labels. */
  | { readonly constant: 1 }
  /** 1 when all that was asked about the domain was answered, else 0. */
  | { readonly completeness: true };

/** A family of instance metrics: one row, and the only place where its name stands. */
export interface Family {
  readonly name: string;
  readonly type: FamilyType;
  readonly help: string;
  /** Unit of the values, for the documentation. */
  readonly unit: string;
  readonly labelSet: LabelSet;
  readonly source: Source;
}

/** Makes a row whose values are those of one field. */
export type FieldRow = (
  name: string,
  help: string,
  unit: string,
  field: string,
  conversion?: Conversion,
) => Family;

/**
 * Makes rows of counters of one label set.
 *
 * @param fields the beginning that all field names share
 */
export function counterRows(labelSet: LabelSet, fields = ""): FieldRow {
  return fieldRows("counter", labelSet, fields);
}

/** Makes rows of gauges, as {@linkcode counterRows} does. */
export function gaugeRows(labelSet: LabelSet, fields = ""): FieldRow {
  return fieldRows("gauge", labelSet, fields);
}

function fieldRows(type: FamilyType, labelSet: LabelSet, fields: string): FieldRow {
  return (name, help, unit, field, conversion) => ({
    name,
    type,
    help,
    unit,
    labelSet,
    source: {
      field: `${fields}${field}`,
      ...(conversion === undefined ? {} : { conversion }),
    },
  });
}

/** A family about the host: one row, as {@link Family} is. */
export interface HostFamily {
  readonly name: string;
  readonly type: FamilyType;
  readonly help: string;
  readonly unit: string;
  /** Label names, for the documentation. */
  readonly names: readonly string[];
  /** What it is made from, for the documentation. */
  readonly source: string;
  samples(snapshot: Snapshot): readonly HostSample[];
}

/** A sample of a host family. */
export interface HostSample {
  readonly labels: readonly Label[];
  readonly value: number;
}

/** Families that are switched together, and what they need to be asked of libvirt. */
export interface Collector {
  /** One word; the flag is `--collector.NAME`. */
  readonly name: string;
  /** What it is about, for the help: no capital at the beginning, no full stop. */
  readonly description: string;
  /** Whether it is on unless the command line says otherwise; undefined when it cannot be switched off. */
  readonly byDefault: boolean | undefined;
  /** Whether instances that are shut off have its families, too. */
  readonly inactive?: true;
  /** Values of `StatisticsGroup`, added. */
  readonly groups: number;
  /** Values of `DomainCall`, added. */
  readonly domainCalls?: number;
  /** Values of `HostCall`, added. */
  readonly hostCalls?: number;
  readonly families: readonly Family[];
  readonly hostFamilies?: readonly HostFamily[];
}

/** Which labels beyond the usual three identify an instance. */
export interface IdentityOptions {
  readonly projectId: boolean;
  readonly uuid: boolean;
  readonly user: boolean;
}

/** The usual labels only. */
export const USUAL_IDENTITY: IdentityOptions = { projectId: false, uuid: false, user: false };

/** The labels that every instance family has. */
export function identityLabels(
  domain: DomainRecord,
  options: IdentityOptions = USUAL_IDENTITY,
): readonly Label[] {
  const nova = domain.description?.nova;
  const labels: Label[] = [
    ["libvirtname", domain.name],
    ["novaname", nova?.name ?? ""],
    ["novaproject", nova?.projectName ?? ""],
  ];
  if (options.projectId) labels.push(["project_id", nova?.projectId ?? ""]);
  if (options.uuid) labels.push(["uuid", domain.uuid]);
  if (options.user) labels.push(["user", nova?.userName ?? ""]);
  return labels;
}

/** The names of the labels that every instance family has. */
export const IDENTITY_NAMES: readonly string[] = ["libvirtname", "novaname", "novaproject"];

/** One sample for each instance. */
export const INSTANCE: LabelSet = { scope: "instance", names: [], labels: () => [] };
