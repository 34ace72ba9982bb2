import type { HostEntity } from "../libvirt/hypervisor.ts";
import type { Snapshot } from "../libvirt/snapshot.ts";
import {
  type Conversion,
  type FamilyType,
  type HostFamily,
  type HostSample,
  KIBIBYTES,
  type Label,
} from "./family.ts";

/** What a host family's samples are made of: a number of each entity of a kind. */
export interface EntityRow {
  readonly name: string;
  readonly type?: FamilyType;
  readonly help: string;
  readonly unit: string;
  /** The number's name in the entity. */
  readonly number: string;
  readonly conversion?: Conversion;
}

/**
 * Families with one sample for each entity of a kind that has the number.
 *
 * @param labels the entity's texts that become labels, by the label's name
 */
export function entityFamilies(
  kind: HostEntity["kind"],
  labels: Readonly<Record<string, string>>,
  rows: readonly EntityRow[],
): readonly HostFamily[] {
  return rows.map(({ name, type = "gauge", help, unit, number, conversion }) => ({
    name,
    type,
    help,
    unit,
    names: Object.keys(labels),
    source: `${kind} ${number}`,
    samples: (snapshot: Snapshot): readonly HostSample[] =>
      entitiesOf(snapshot, kind).flatMap((entity) => {
        const value = entity.numbers[number];
        if (value === undefined) return [];
        return [{
          labels: textLabels(entity, labels),
          value: conversion === undefined ? value : conversion.convert(value),
        }];
      }),
  }));
}

/** The entities of a kind. */
export function entitiesOf(
  { entities }: Snapshot,
  kind: HostEntity["kind"],
): readonly HostEntity[] {
  return entities.filter((entity) => entity.kind === kind);
}

/** The host itself; undefined when libvirt said nothing of it. */
export function hostNode(snapshot: Snapshot): HostEntity | undefined {
  return entitiesOf(snapshot, "node")[0];
}

/**
 * The memory of the host in bytes, from the same call as what is free of it. The other call adds up the NUMA nodes, which may
 * have less than the host: memory that was plugged in since, for one.
 */
export function hostMemoryBytes(snapshot: Snapshot): number | undefined {
  const numbers = hostNode(snapshot)?.numbers;
  const total = numbers?.["memory.total"];
  return total === undefined ? numbers?.["memory"] : KIBIBYTES.convert(total);
}

/** An entity's texts as labels; what libvirt did not say is empty. */
export function textLabels(
  { texts }: HostEntity,
  labels: Readonly<Record<string, string>>,
): readonly Label[] {
  return Object.entries(labels).map(([label, text]) => [label, texts[text] ?? ""]);
}

/** A sum of the numbers that are known; undefined when none is. */
export function sumOf(numbers: readonly (number | undefined)[]): number | undefined {
  const known = numbers.filter((number) => number !== undefined);
  return known.length === 0 ? undefined : known.reduce((sum, number) => sum + number, 0);
}

/** One sample, or none when the value is not known. */
export function sampleOf(
  value: number | undefined,
  labels: readonly Label[] = [],
): readonly HostSample[] {
  return value === undefined ? [] : [{ labels, value }];
}
