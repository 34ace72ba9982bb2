/**
 * The parts of docs/prometheus.md about fleets, made of what the benchmark of a fleet has measured.
 *
 * @module
 */

import type { FleetResult, FleetStep, PageCosts, PageSize } from "./fleet_result.ts";
import { code, table } from "./markdown.ts";

/** The fleets that are extrapolated to. */
const FLEETS = [1_000, 10_000] as const;
const SECONDS_PER_DAY = 86_400;

/** A number with two significant digits and separators of thousands, such as `7,600,000`. */
export function rounded(value: number): string {
  return Number(value.toPrecision(2)).toLocaleString("en-US", { maximumFractionDigits: 20 });
}

/** A straight line. */
export interface Line {
  readonly slope: number;
  at(x: number): number;
}

/** The straight line that is nearest to points (least squares). Through one point, it begins at 0. */
export function fitLine(points: readonly (readonly [x: number, y: number])[]): Line {
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanX, meanY] = [mean(points.map(([x]) => x)), mean(points.map(([, y]) => y))];
  const spread = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  const slope = spread === 0
    ? meanY / meanX
    : points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0) / spread;
  return { slope, at: (x) => meanY + slope * (x - meanX) };
}

/** How many times as great y is as x, over all points (least squares). */
export function fitRatio(points: readonly (readonly [x: number, y: number])[]): number {
  return points.reduce((sum, [x, y]) => sum + x * y, 0) /
    points.reduce((sum, [x]) => sum + x * x, 0);
}

type Way = FleetStep["way"];
const WAYS: readonly Way[] = ["Prometheus", "VictoriaMetrics"];

/** Of the bytes that an agent sends for a sample where it keeps up: with less it is behind with what it has scraped. */
const SENT_SHARE = 0.8;

/** The size that was too much for a way, as the benchmark says. */
function reportedEnd({ ends }: FleetResult, way: Way): FleetResult["ends"][number] | undefined {
  return ends.find((end) => end.way === way);
}

/** Steps in which everything was scraped and sent on, of sizes that the machine carried. */
function wholeSteps(result: FleetResult, way: Way): readonly FleetStep[] {
  const end = reportedEnd(result, way)?.hosts ?? Infinity;
  const own = result.steps.filter((step) => step.way === way && step.hosts < end);
  const sent = own[0]?.sentBytesPerSample ?? 0;
  const whole = own.filter((step) =>
    step.missed <= 0.01 && step.sentBytesPerSample >= SENT_SHARE * sent
  );
  return whole.length > 0 ? whole : own;
}

/** Where a way ended: what the benchmark says, or the first step in which agents were behind. */
function endOf(result: FleetResult, way: Way): { hosts: number; reason: string } | undefined {
  const whole = wholeSteps(result, way);
  const behind = result.steps.find((step) => step.way === way && !whole.includes(step));
  return reportedEnd(result, way) ??
    (behind &&
      { hosts: behind.hosts, reason: "the agents had not sent all that they had scraped" });
}

function lineOf(result: FleetResult, way: Way, value: (step: FleetStep) => number): Line {
  return fitLine(wholeSteps(result, way).map((step) => [step.hosts, value(step)]));
}

function hostDashboard({ dashboards }: FleetStep): number {
  return dashboards["contrib/grafana/host.json"] ?? 0;
}

const gigabytes = (bytes: number): string => `${rounded(bytes / 1e9)} GB`;
const kilobytes = (bytes: number): string => `${rounded(bytes / 1e3)} kB`;
const seconds = (value: number): string => `${rounded(value)} s`;
const percent = (share: number): string => `${rounded(share * 100)} %`;

function bytesOnDisk({ density }: FleetResult, way: Way): number {
  const own = density.find((one) => one.way === way);
  return own === undefined ? NaN : own.sampleBytes + own.indexBytes;
}

function measuredTable({ steps }: FleetResult): string {
  return table(
    [
      "Engine",
      "Hypervisors",
      "Samples a second",
      "Series",
      "Processors",
      "Of other programs",
      "Memory",
      "Rules, once",
      "Host dashboard, once",
      "Scrapes missed",
    ],
    steps.map((step) => [
      step.way,
      `${step.hosts}`,
      rounded(step.samplesPerSecond),
      rounded(step.series),
      rounded(step.cores),
      // It is what is left of the machine's, so it may be a little less than nothing.
      rounded(Math.max(0, step.otherCores)),
      gigabytes(step.residentBytes),
      // Nothing was asked of an engine that had come to its end.
      ...[step.rulesSeconds, hostDashboard(step)].map((one) => one === 0 ? "" : seconds(one)),
      percent(step.missed),
    ]),
  );
}

function extrapolatedTable(result: FleetResult): string {
  return table(
    [
      "Engine",
      "Hypervisors",
      "Samples a second",
      "Series",
      "Processors",
      "Memory",
      "Pages over the network",
      "Sent on",
      "Disk a day",
      "Rules, once",
      "Host dashboard, once",
    ],
    WAYS.flatMap((way) =>
      FLEETS.map((hosts) => {
        const at = (value: (step: FleetStep) => number): number =>
          lineOf(result, way, value).at(hosts);
        const perHost = (value: (step: FleetStep) => number): number =>
          fitRatio(wholeSteps(result, way).map((step) => [step.hosts, value(step)]));
        const samples = at(({ samplesPerSecond }) => samplesPerSecond);
        const perSample = (value: (step: FleetStep) => number): number =>
          wholeSteps(result, way).map(value).at(-1) ?? NaN;
        const scraped = samples * (way === "Prometheus" ? 1 : 2);
        const sent = scraped * perSample(({ sentBytesPerSample }) => sentBytesPerSample);
        return [
          way,
          hosts.toLocaleString("en-US"),
          rounded(samples),
          rounded(at(({ series }) => series)),
          rounded(at(({ cores }) => cores)),
          gigabytes(at(({ residentBytes }) => residentBytes)),
          `${
            rounded(
              scraped * perSample(({ pageBytesPerSample }) => pageBytesPerSample) / 1e6,
            )
          } MB/s`,
          sent === 0 ? "" : `${rounded(sent / 1e6)} MB/s`,
          gigabytes(samples * SECONDS_PER_DAY * bytesOnDisk(result, way)),
          seconds(hosts * perHost(({ rulesSeconds }) => rulesSeconds)),
          seconds(hosts * perHost(hostDashboard)),
        ];
      })
    ),
  );
}

/** The rule by which to size, in one line. */
export function sizingRule(result: FleetResult): string {
  const part = (way: Way): string => {
    const perProcessor = 1 / lineOf(result, way, ({ cores }) => cores).slope;
    const memory = 100 * lineOf(result, way, ({ residentBytes }) => residentBytes).slope;
    const disk = 100 * result.seriesOfPage / result.intervalSeconds * SECONDS_PER_DAY *
      bytesOnDisk(result, way);
    return `for ${way} a processor for each ${rounded(perProcessor)} hypervisors, ` +
      `and for each 100 of them ${gigabytes(memory)} of memory and ${
        gigabytes(disk)
      } of disk a day`;
  };
  return `**Sizing: ${part("Prometheus")}; ${part("VictoriaMetrics")}.**`;
}

/** With how many hypervisors what there is has been used up. */
function limitOf(line: Line, available: number): number {
  return (available - line.at(0)) / line.slope;
}

function endSentences(result: FleetResult): string {
  const { steps, processors, memoryBytes } = result;
  return WAYS.map((way) => {
    const end = endOf(result, way);
    const carried = steps.filter((step) => step.way === way && step.hosts !== end?.hosts)
      .map(({ hosts }) => hosts).at(-1);
    const byProcessors = limitOf(lineOf(result, way, ({ cores }) => cores), processors);
    const byMemory = limitOf(
      lineOf(result, way, ({ residentBytes }) => residentBytes),
      memoryBytes,
    );
    return `${way} carried ${carried ?? "none"} hypervisors here` +
      (end === undefined
        ? ", and no more were tried."
        : `, and ended with ${end.hosts}: ${end.reason}.`) +
      ` On its lines ${processors} processors are used up by ${
        rounded(byProcessors)
      } hypervisors, and ` +
      `${gigabytes(memoryBytes)} of memory by ${rounded(byMemory)}: ` +
      `${byMemory < byProcessors ? "memory" : "processors"} would end it.`;
  }).join(" ");
}

function lostSentences({ lost }: FleetResult): string {
  return lost.map(({ way, hosts, intervalsAway, hostsWithGap, longestGapIntervals }) => {
    const who = way === "Prometheus"
      ? "one of two shards of Prometheus"
      : "one of three members of vmagent's cluster, with a replication factor of 2,";
    return hostsWithGap === 0
      ? `When ${who} was gone for ${intervalsAway} scrapes, none of ${hosts} hypervisors lacked a sample.`
      : `When ${who} was gone for ${intervalsAway} scrapes, ${hostsWithGap} of ${hosts} hypervisors ` +
        `lacked up to ${longestGapIntervals} samples in a row.`;
  }).join(" ");
}

/** More of a processor than this is not the system's own. */
const OTHERS_LIMIT = 0.1;

/** Whether the machine was the benchmark's own, as the end of the sentence that names it. */
function othersSentence({ steps }: FleetResult): string {
  return steps.some(({ otherCores }) => otherCores > OTHERS_LIMIT)
    ? `  which other programs used as well, as the table says. Processor time is what a program took, whoever else took
  some; scrapes are missed sooner, and so it ends sooner, than on a machine of its own.`
    : "  where nothing else ran.";
}

/** The part with the figures of a fleet. */
export function fleetSection(result: FleetResult): string {
  const { machine, instancesOfHost, intervalSeconds, ruleIntervalSeconds } = result;
  const { replacedPerHour, seriesOfPage } = result;
  const parts = new Map(machine);
  return `${sizingRule(result)}

A hypervisor has ${instancesOfHost} instances with one disk and one network interface each, and is scraped each
${intervalSeconds} seconds with the collectors that are on by default: ${
    rounded(seriesOfPage)
  } series.

${measuredTable(result)}
${endSentences(result)}

Extrapolated along the straight line through what was measured; rules and the dashboard in proportion:

${extrapolatedTable(result)}
- **How it was measured.** \`npm run bench -- --fleet\` on ${parts.get("Processor")} with ${
    parts.get("Memory")
  },
${othersSentence(result)}
  One program serves the pages of all
  hypervisors. They are made of a page that the exporter wrote of ${instancesOfHost} instances of libvirt's test driver: each has
  names of its own, and values that move as those of idle, light and busy instances do;
  ${percent(replacedPerHour)} of the instances are replaced in an hour.
- **Prometheus** runs in two shards by \`hashmod\`, each with its own data and the rules of its hosts.
  **VictoriaMetrics** is three vmagents in cluster mode that scrape each host twice, one
  VictoriaMetrics that keeps one sample of the two, and one vmalert. Processors and memory are those of
  all of them together, without the program that serves the pages.
- **Rules** and **dashboards** are told in seconds of one processor: all expressions of the rules
  evaluated once, and the queries of the host's dashboard for all hosts and one minute. The rules were
  evaluated each ${ruleIntervalSeconds} s as well, which is part of the processors.
- **Churn.** What is replaced makes ${
    rounded(100 * lineOf(result, "Prometheus", (step) => step.newSeriesPerSecond).slope)
  } new series a second for each 100 hypervisors, with those that
  rules record.
- **Disk** is at ${
    WAYS.map((way) => `${rounded(bytesOnDisk(result, way))} bytes (${way})`).join(" and ")
  } a sample with
  its part of the index, measured on series of ${
    rounded(Math.min(...result.density.map(({ samplesOfSeries }) => samplesOfSeries)))
  } samples or more.
- **A member lost.** ${lostSentences(result)}
`;
}

function share(part: number, whole: number): string {
  return percent(part / whole);
}

function comparedTable(
  heading: string,
  rows: readonly (PageSize & { readonly name: string })[],
): string {
  const [first] = rows;
  return table(
    [heading, "Series", "Page", "In gzip", "Of the first, in gzip"],
    rows.map(({ name, series, bytes, gzipBytes }) => [
      name,
      rounded(series),
      kilobytes(bytes),
      kilobytes(gzipBytes),
      share(gzipBytes, first?.gzipBytes ?? NaN),
    ]),
  );
}

/** The part about what a large fleet costs. */
export function fleetCostsSection({ costs, instancesOfHost }: FleetResult): string {
  if (costs === undefined) return "";
  const [whole] = costs.flags;
  const { series: allSeries, bytes: allBytes } = whole ?? { series: NaN, bytes: NaN };
  const shares = (heading: string, rows: PageCosts["families"], none: string): string =>
    table(
      [heading, "Series", "Bytes"],
      rows.map(({ name, series, bytes }) => [
        name === "" ? none : code(name),
        share(series, allSeries),
        share(bytes, allBytes),
      ]),
    );
  return `The page of a host with ${instancesOfHost} instances (${costs.guests}, paused), by what takes most of its text: collectors,
families, and labels with their values. A label makes no series more where the others tell them apart already.

${shares("Collector", costs.collectors, "none: about the exporter itself")}
${shares("Family", costs.families, "")}
${shares("Label", costs.labels, "")}
What flags of the exporter save, before anything is collected:

${
    comparedTable(
      "Flags",
      costs.flags.map(({ flags, ...size }) => ({
        name: flags === "" ? "none" : code(flags),
        ...size,
      })),
    )
  }
What would be saved by leaving out a part of the page:

${comparedTable("Page", costs.variants.map(({ variant, ...size }) => ({ name: variant, ...size })))}
What a page costs the exporter, libvirt's time left out, and what crosses the network:

${
    table(
      ["Format", "Bytes", "Processor time"],
      costs.formats.map(({ format, isZipped, bytes, processorSeconds }) => [
        `${format === "text" ? "Text 0.0.4" : "OpenMetrics 1.0.0"}${isZipped ? ", gzip" : ""}`,
        kilobytes(bytes),
        `${rounded(processorSeconds * 1e3)} ms`,
      ]),
    )
  }`;
}
