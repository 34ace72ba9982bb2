/**
 * What a page is made of.
 *
 * @module
 */

import type { PagePart, PageSize } from "../../scripts/fleet_result.ts";
import { gzipSync } from "node:zlib";
import { COLLECTORS } from "../../src/metrics/mod.ts";

/** How hard the exporter's gzip tries. */
const GZIP_LEVEL = 3;

function samplesOf(page: string): readonly string[] {
  return page.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

/** Measures a page. */
export function sizeOf(page: string): PageSize {
  const bytes = new TextEncoder().encode(page);
  return {
    series: samplesOf(page).length,
    bytes: bytes.length,
    gzipBytes: gzipSync(bytes, { level: GZIP_LEVEL }).length,
  };
}

function largestFirst(parts: ReadonlyMap<string, PagePart>): readonly PagePart[] {
  return [...parts.values()].toSorted((one, other) => other.bytes - one.bytes);
}

function add(parts: Map<string, PagePart>, name: string, bytes: number): void {
  const { series, bytes: before } = parts.get(name) ?? { series: 0, bytes: 0 };
  parts.set(name, { name, series: series + 1, bytes: before + bytes });
}

/** Which families a page has; the one with most bytes first. */
export function familiesOf(page: string): readonly PagePart[] {
  const families = new Map<string, PagePart>();
  for (const line of samplesOf(page)) {
    add(families, /^\w+/.exec(line)?.[0] ?? "", new TextEncoder().encode(line).length + 1);
  }
  return largestFirst(families);
}

const LABEL = /(\w+)="((?:[^"\\]|\\.)*)",?/g;

/** What the labels of a page take, with their values; the one with most bytes first. */
export function labelsOf(page: string): readonly PagePart[] {
  const labels = new Map<string, PagePart>();
  for (const line of samplesOf(page)) {
    for (const [text, name = ""] of line.matchAll(LABEL)) {
      add(labels, name, new TextEncoder().encode(text).length);
    }
  }
  return largestFirst(labels);
}

/** A page without its comments. */
export function withoutComments(page: string): string {
  return samplesOf(page).map((line) => `${line}\n`).join("");
}

/** A page in which an instance's names in Nova are labels of `libvirt_nova_instance_info` alone. */
export function withNamesOnce(page: string): string {
  return page.split("\n").map((line) =>
    line.startsWith("#") || line.startsWith("libvirt_nova_instance_info{")
      ? line
      : line.replaceAll(/,nova(?:name|project)="(?:[^"\\]|\\.)*"/g, "")
  ).join("\n");
}

/** A page without the samples of families that match. */
export function withoutFamilies(page: string, families: RegExp): string {
  return page.split("\n").filter((line) =>
    !families.test(/^(?:# (?:HELP|TYPE|UNIT) )?(\w+)/.exec(line)?.[1] ?? "")
  ).join("\n");
}

/** Puts the families of each collector together; those about the exporter itself belong to none. */
export function byCollector(families: readonly PagePart[]): readonly PagePart[] {
  const owners = new Map(
    COLLECTORS.flatMap(({ name, families: own, hostFamilies = [] }) =>
      [...own, ...hostFamilies].map((family) => [family.name, name] as const)
    ),
  );
  const parts = new Map<string, PagePart>();
  for (const { name: family, series, bytes } of families) {
    const name = owners.get(family) ?? "";
    const before = parts.get(name) ?? { series: 0, bytes: 0 };
    parts.set(name, { name, series: before.series + series, bytes: before.bytes + bytes });
  }
  return [...parts.values()].toSorted((one, other) => other.bytes - one.bytes);
}
