/**
 * What the benchmark of a fleet measures, and the file that it writes.
 *
 * @module
 */

import { ROOT } from "../testing/set_up.ts";

/** Path of the file that the benchmark of a fleet writes, from the project's folder. */
export const FLEET_PATH = "docs/fleet.json";

/** How a fleet is scraped. */
export type Way = "Prometheus" | "VictoriaMetrics";

/** What a hundred-instance host is made of. */
export type Guests = "QEMU guests" | "test driver";

/** What a fleet of one size costs. Times are in seconds, of the processors and of the clock. */
export interface FleetStep {
  readonly way: Way;
  readonly hosts: number;
  readonly intervalSeconds: number;
  /** Of the engines, without what has ended. */
  readonly series: number;
  /** Samples of the hosts' pages; one that is scraped twice counts once. */
  readonly samplesPerSecond: number;
  /** Which share of the scrapes that there should have been were none, or failed. */
  readonly missed: number;
  /** Series that have begun in a second. */
  readonly newSeriesPerSecond: number;
  /** Processor time in a second, of all that scrape, store and evaluate. */
  readonly cores: number;
  readonly simulatorCores: number;
  /** What other programs took of the machine meanwhile. */
  readonly otherCores: number;
  readonly residentBytes: number;
  /** Bytes of pages in gzip, a sample. */
  readonly pageBytesPerSample: number;
  /** Bytes that agents send on, a sample that they have scraped; 0 for Prometheus, which keeps them. */
  readonly sentBytesPerSample: number;
  /** Processor time of all rules, evaluated once, of all shards. */
  readonly rulesSeconds: number;
  readonly ruleFailures: number;
  /** How often a group of rules was not evaluated because its last evaluation still went on. */
  readonly ruleIterationsMissed: number;
  /** By the dashboard's file: the processor time of its queries over the last minute, for all hosts. */
  readonly dashboards: Readonly<Record<string, number>>;
}

/** What it meant that one of those who share the hosts was lost and came back. */
export interface LostMember {
  readonly way: Way;
  readonly hosts: number;
  /** For how many scrape intervals it was away. */
  readonly intervalsAway: number;
  /** Hosts of which samples are missing. */
  readonly hostsWithGap: number;
  /** The most that are missing in a row of one host, in scrape intervals. */
  readonly longestGapIntervals: number;
}

/** What a sample takes on the disk. */
export interface Density {
  readonly way: Way;
  readonly samplesOfSeries: number;
  /** Of the samples alone, and of the index. */
  readonly sampleBytes: number;
  readonly indexBytes: number;
}

/** A part of a page. */
export interface PagePart {
  readonly name: string;
  readonly series: number;
  readonly bytes: number;
}

/** How large a page is. */
export interface PageSize {
  readonly series: number;
  readonly bytes: number;
  readonly gzipBytes: number;
}

/** What a format costs. */
export interface FormatCost {
  readonly format: "text" | "openMetrics";
  readonly isZipped: boolean;
  readonly bytes: number;
  /** Processor time of the exporter alone, for a scrape. */
  readonly processorSeconds: number;
}

/** The same, whatever the guests are. */
export interface PageParts {
  readonly collectors: readonly PagePart[];
  readonly families: readonly PagePart[];
  readonly labels: readonly PagePart[];
  /** By the flags of the exporter. */
  readonly flags: readonly (PageSize & { readonly flags: string })[];
  /** By what is left out of a page, or written otherwise. */
  readonly variants: readonly (PageSize & { readonly variant: string })[];
  /** What a page costs the exporter in each form. */
  readonly formats: readonly FormatCost[];
}

/** What of a page makes it dear, and what makes it cheaper. */
export interface PageCosts extends PageParts {
  readonly guests: Guests;
}

/** What was measured, as docs/fleet.json holds it. */
export interface FleetResult {
  readonly machine: readonly (readonly [part: string, value: string])[];
  readonly instancesOfHost: number;
  readonly intervalSeconds: number;
  readonly ruleIntervalSeconds: number;
  readonly replacedPerHour: number;
  readonly seriesOfPage: number;
  /** What the engines may take of the machine. */
  readonly processors: number;
  readonly memoryBytes: number;
  readonly steps: readonly FleetStep[];
  /** What ended the growth of each way. */
  readonly ends: readonly { readonly way: Way; readonly hosts: number; readonly reason: string }[];
  readonly lost: readonly LostMember[];
  readonly density: readonly Density[];
  readonly costs: PageCosts | undefined;
}

/** Reads what the benchmark has written. */
export async function readFleet(): Promise<FleetResult> {
  return JSON.parse(await Deno.readTextFile(`${ROOT}/${FLEET_PATH}`));
}
