/**
 * What a page shows and what it lacks, for comparing pages before, during and after a fault.
 *
 * @module
 */

import { COLLECTORS } from "../../src/metrics/mod.ts";
import type { ParsedFamily } from "../../testing/parse_page.ts";

/** A series of a page: what it is about. */
export interface Series {
  readonly key: string;
  readonly family: string;
  readonly collector: string;
  /** libvirt's name of the domain; undefined for what is about the host. */
  readonly domain: string | undefined;
}

/** The family that says whether everything that was asked about an instance was answered. */
export const SUCCESS = "libvirt_nova_instance_scrape_success";

const COLLECTOR_OF: ReadonlyMap<string, string> = new Map(
  COLLECTORS.flatMap(({ name, families, hostFamilies = [] }) =>
    [...families, ...hostFamilies].map((family) => [family.name, name] as const)
  ),
);

/** A page by what it shows about instances and the host. What the exporter says about itself is not in it. */
export function seriesOf(
  families: ReadonlyMap<string, ParsedFamily>,
): ReadonlyMap<string, Series> {
  const series = new Map<string, Series>();
  for (const { name, samples } of families.values()) {
    const collector = COLLECTOR_OF.get(name);
    if (collector === undefined) continue;
    for (const { labels } of samples) {
      const key = `${name}${JSON.stringify(Object.entries(labels).sort())}`;
      series.set(key, { key, family: name, collector, domain: labels["libvirtname"] });
    }
  }
  return series;
}

/** What of `before` is not in `after`. */
export function missing(
  before: ReadonlyMap<string, Series>,
  after: ReadonlyMap<string, Series>,
): readonly Series[] {
  return [...before.values()].filter(({ key }) => !after.has(key));
}

/** Says in a few words which series these are. */
export function describeSeries(series: readonly Series[]): string {
  const collectors = new Map<string, Set<string>>();
  for (const { collector, domain = "the host" } of series) {
    collectors.set(collector, (collectors.get(collector) ?? new Set()).add(domain));
  }
  const byOwner = new Map<string, string[]>();
  for (const [collector, domains] of collectors) {
    const owner = domains.size > 1 ? `${domains.size} instances` : [...domains].join();
    byOwner.set(owner, [...(byOwner.get(owner) ?? []), collector]);
  }
  return [...byOwner].map(([owner, names]) => `${names.join(", ")} of ${owner}`).join(" and ");
}
