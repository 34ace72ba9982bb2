import type { Part } from "./profile.ts";
import type { BenchmarkResult } from "./result.ts";
import { resultOf, type ScenarioResult, type WayResult } from "./scenario.ts";
import type { SoakResult } from "./soak.ts";
import { isMet, type Target, targetsOf } from "./targets.ts";
import type { BaselineName, ExporterName } from "./ways.ts";

const BYTES_PER_MEGABYTE = 1e6;

const INTRODUCTION = `\
# Performance

Written by \`npm run bench -- --write\`. Numbers have two significant digits: what a machine does
besides moves the third.

A scrape is measured from the request to the last byte of the page, over a kept-open HTTP
connection. It is compared with other ways to ask libvirt, which are bare programs
(\`bench/baseline/\`) that make the calls and throw the values away: no labels, no text, no HTTP.
`;

const WAYS: readonly (readonly [name: BaselineName | ExporterName, description: string])[] = [
  [
    "exporter",
    "the executable in the environment that its systemd unit sets, with the families that the others ask for (`seed`)",
  ],
  ["exporter-defaults", "the same with all collectors that are on by default"],
  [
    "seed",
    "as the exporters before: connects, asks every domain in sequence call by call, disconnects",
  ],
  ["seed-kept", "the same on one connection"],
  ["bulk", "one bulk call for all domains: state, cpu, balloon, vcpu, interface and block"],
  ["bulk-all", "one bulk call for all domains, with every group"],
  ["floor", "the very calls that the exporter makes, from as many threads"],
];

const METHOD = `\
The ways take turns, so that whatever else the machine does hits all of them. Times of a scrape are
medians, and the 99th percentile (of less than 100 turns the slowest); processor times are means per
scrape and count 10 ms after it too. "Exporter to this" is the median over all turns of how long the
exporter took in relation to this way in the same turn. Memory is that after the last turn.

Below each table is where the exporter's own time goes. The parts of the waiting follow each other: the
page tells how long its phases took, and HTTP is what is left between request and last byte. "libvirt"
among them is what \`floor\` takes for the same calls; survey, describe and measure together are these
calls and bringing their answers to TypeScript, render is all that makes them a page. The processor
time is told by thread.
`;

/** Everything that was measured, as Markdown. */
export function renderReport(result: BenchmarkResult): string {
  return [
    INTRODUCTION,
    table(["way", "what it does"], WAYS.map(([name, description]) => [`\`${name}\``, description])),
    METHOD,
    section("Targets", renderTargets(targetsOf(result))),
    ...result.scenarios.map((scenario) => section(headingOf(scenario), renderScenario(scenario))),
    section("Making a page", renderExposition(result)),
    section("Starting", renderStartUp(result)),
    ...(result.soak.length === 0
      ? []
      : [section("Memory over many scrapes", renderSoak(result.soak))]),
    section("Machine", table(["part", "here"], result.machine)),
  ].join("\n");
}

function section(heading: string, body: string): string {
  return `## ${heading}\n\n${body}`;
}

function renderTargets(targets: readonly Target[]): string {
  return table(
    ["target", "at most", "measured", ""],
    targets.map((target) => [
      target.description,
      limitOf(target),
      quantity(target.measured, target.unit),
      isMet(target) ? "met" : "missed",
    ]),
  );
}

function headingOf({ driver, instances }: ScenarioResult): string {
  return driver === "test driver"
    ? `libvirt's test driver with ${count(instances)} instances`
    : `libvirtd with ${count(instances)} paused QEMU guests`;
}

function renderScenario(scenario: ScenarioResult): string {
  const { driver, rounds, ways } = scenario;
  const hasDaemon = driver === "QEMU guests";
  const columns: readonly (readonly [string, (way: WayResult) => string])[] = [
    ["way", ({ name }) => `\`${name}\``],
    ["median", ({ medianWall }) => quantity(medianWall, "ms")],
    ["p99", ({ p99Wall }) => quantity(p99Wall, "ms")],
    ["exporter to this", ({ ratio }) => quantity(ratio, "")],
    ["own processor time", ({ own }) => quantity(own, "ms")],
    ...(hasDaemon
      ? [
        ["libvirtd's", ({ daemon }: WayResult) => quantity(daemon, "ms")],
        ["QEMU's", ({ guests }: WayResult) => quantity(guests, "ms")],
      ] as const
      : []),
    ["anonymous memory", ({ memory }) => megabytes(memory.anonymous)],
    ["peak resident", ({ memory }) => megabytes(memory.peakResident)],
  ];
  const note = hasDaemon
    ? `Of QEMU's processor time \`floor\` has the least: three round trips of each guest's monitor, ` +
      `two for its memory and one for its disk.`
    : "The driver lives in the process that asks: its processor time and its memory are part of " +
      "each way's own.";
  return `${count(rounds)} turns. ${note}\n\n` +
    table(
      columns.map(([heading]) => heading),
      ways.map((way) => columns.map(([, cell]) => cell(way))),
    ) + `\n${renderProfile(scenario)}`;
}

/** Where the exporter's time goes, the largest parts of its processor time first. */
function renderProfile(scenario: ScenarioResult): string {
  const { profile: { wall, processor } } = scenario;
  const libvirt = { name: "libvirt", milliseconds: resultOf(scenario, "floor").medianWall };
  const sorted = processor.filter(({ milliseconds }) => milliseconds > 0)
    .toSorted((left, right) => right.milliseconds - left.milliseconds);
  return table(["of a scrape", "is", "takes"], [
    ...rowsOf("waiting", wall),
    ...rowsOf("waiting, in survey to measure", [libvirt]),
    ...rowsOf("processor time", sorted),
  ]);
}

function rowsOf(heading: string, parts: readonly Part[]): readonly (readonly string[])[] {
  return parts.map(({ name, milliseconds }) => [heading, name, quantity(milliseconds, "ms")]);
}

function renderExposition({ exposition }: BenchmarkResult): string {
  return table(
    ["runtime", "samples", "per sample", "whole page"],
    exposition.map(({ runtime, samples, nanosecondsPerSample }) => [
      runtime,
      count(samples),
      quantity(nanosecondsPerSample, "ns"),
      quantity(samples * nanosecondsPerSample / 1e6, "ms"),
    ]),
  );
}

function renderStartUp({ startUp }: BenchmarkResult): string {
  return "From the start of the process to the last byte of its first answer; median of ten.\n\n" +
    table(
      ["hypervisor", "time"],
      startUp.map(({ hypervisor, medianMilliseconds }) => [
        hypervisor,
        quantity(medianMilliseconds, "ms"),
      ]),
    );
}

/** Memory over many scrapes, as Markdown. */
export function renderSoak(results: readonly SoakResult[]): string {
  return results.map(renderSoakOnce).join("\n");
}

function renderSoakOnce(result: SoakResult): string {
  const { way, scrapes, replaced, seconds, points, peakResident } = result;
  const how = way === "deployed" ? "As deployed" : "Without the settings of the unit";
  return `${how}: ${count(scrapes)} scrapes through a libvirtd, each right after the other, ` +
    `${count(scrapes / seconds)} a second, while ${count(replaced)} instances come and go. ` +
    `At most ${megabytes(peakResident)} were resident.\n\n` +
    table(
      ["scrapes", "anonymous memory", "highest since the row above", "after three idle seconds"],
      points.map((point) => [
        count(point.scrapes),
        megabytes(point.anonymous),
        megabytes(point.highestAnonymous),
        megabytes(point.restedAnonymous),
      ]),
    );
}

/** A table in Markdown, its columns aligned. */
export function table(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const widths = headings.map((heading, column) =>
    Math.max(3, ...[heading, ...rows.map((row) => row[column] ?? "")].map((cell) => cell.length))
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |\n`;
  return line(headings) + line(widths.map((width) => "-".repeat(width))) + rows.map(line).join("");
}

function megabytes(bytes: number): string {
  return quantity(bytes / BYTES_PER_MEGABYTE, "MB");
}

function count(value: number): string {
  return Math.round(value).toLocaleString("en");
}

/** A quantity with two significant digits; a ratio, which has no unit, with two decimals. */
function quantity(value: number, unit: string): string {
  if (unit === "") return value.toFixed(2);
  return `${
    Number(value.toPrecision(2)).toLocaleString("en", { maximumFractionDigits: 20 })
  } ${unit}`;
}

/** A limit as it was set. */
function limitOf({ limit, unit }: Target): string {
  return `${limit.toLocaleString("en")} ${unit}`.trimEnd();
}
