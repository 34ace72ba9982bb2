import type { DomainDescription } from "../libvirt/domain_xml.ts";
import type { DomainRecord } from "../libvirt/snapshot.ts";

/** A label's name and value. */
export type Label = readonly [name: string, value: string];

/** Metric types of both text formats. */
export type FamilyType = "counter" | "gauge" | "histogram" | "summary" | "info" | "unknown";

/** What identifies the samples of a family: one sample for each instance, or for each of its devices. */
export type LabelSet =
  | {
    readonly scope: "instance";
    /** Label names, for the documentation. */
    readonly names: readonly string[];
    labels(domain: DomainRecord): readonly Label[];
  }
  | {
    readonly scope: "device";
    /** libvirt's group of statistics, which numbers the devices. */
    readonly group: "block" | "net";
    readonly names: readonly string[];
    /** Labels of one device; undefined when the definition does not know it (yet): then it has no samples. */
    labels(domain: DomainRecord, target: string): readonly Label[] | undefined;
  };

/** Where a value comes from. What libvirt did not give makes no sample. */
export type Source =
  /** A field of libvirt's statistics; of a device the part after its number (`rd.bytes`). */
  | { readonly field: string }
  /** The difference of two fields, when libvirt gave both. */
  | { readonly field: string; readonly minus: string }
  /** Something in the domain's definition; `path` says where, for the documentation. */
  | { readonly path: string; definition(domain: DomainDescription): number | undefined }
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

/** Families that are switched together, and the groups of libvirt's statistics that they need. */
export interface Collector {
  readonly name: string;
  /** Values of `StatisticsGroup`, added. */
  readonly groups: number;
  readonly families: readonly Family[];
}

/** The labels that every instance family has. */
export function identityLabels(domain: DomainRecord): readonly Label[] {
  const nova = domain.description?.nova;
  return [
    ["libvirtname", domain.name],
    ["novaname", nova?.name ?? ""],
    ["novaproject", nova?.projectName ?? ""],
  ];
}

/** One sample for each instance. */
export const INSTANCE: LabelSet = {
  scope: "instance",
  names: ["libvirtname", "novaname", "novaproject"],
  labels: identityLabels,
};
