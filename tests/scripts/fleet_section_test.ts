import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { type FleetResult, type FleetStep, readFleet } from "../../scripts/fleet_result.ts";
import {
  fitLine,
  fitRatio,
  fleetCostsSection,
  fleetSection,
  rounded,
  sizingRule,
} from "../../scripts/fleet_section.ts";

function step(way: FleetStep["way"], hosts: number, missed = 0): FleetStep {
  return {
    way,
    hosts,
    intervalSeconds: 15,
    series: hosts * 6_000,
    samplesPerSecond: hosts * 400,
    missed,
    newSeriesPerSecond: hosts,
    cores: missed > 0 ? 2 : 0.1 + hosts / 500,
    simulatorCores: 0.1,
    otherCores: 0,
    residentBytes: 1e9 + hosts * 2e7,
    pageBytesPerSample: 10,
    sentBytesPerSample: way === "Prometheus" ? 0 : 5,
    rulesSeconds: hosts / 100,
    ruleFailures: 0,
    ruleIterationsMissed: 0,
    dashboards: { "contrib/grafana/host.json": hosts / 50 },
  };
}

const SIZE = { series: 6_000, bytes: 1e6, gzipBytes: 1e5 };

const RESULT: FleetResult = {
  machine: [["Processor", "2 cores, Example"], ["Memory", "8 GiB"]],
  instancesOfHost: 100,
  intervalSeconds: 15,
  ruleIntervalSeconds: 30,
  replacedPerHour: 0.05,
  seriesOfPage: 6_000,
  processors: 2,
  memoryBytes: 10e9,
  steps: [
    step("Prometheus", 50),
    step("Prometheus", 100),
    step("Prometheus", 200, 0.3),
    step("VictoriaMetrics", 50),
  ],
  ends: [{ way: "Prometheus", hosts: 200, reason: "30.0 % of the scrapes were missed" }],
  lost: [
    { way: "Prometheus", hosts: 20, intervalsAway: 4, hostsWithGap: 9, longestGapIntervals: 4 },
    {
      way: "VictoriaMetrics",
      hosts: 20,
      intervalsAway: 4,
      hostsWithGap: 0,
      longestGapIntervals: 0,
    },
  ],
  density: [
    { way: "Prometheus", samplesOfSeries: 180, sampleBytes: 1.5, indexBytes: 0.5 },
    { way: "VictoriaMetrics", samplesOfSeries: 180, sampleBytes: 0.5, indexBytes: 0.1 },
  ],
  costs: {
    guests: "QEMU guests",
    collectors: [{ name: "", series: 60, bytes: 1e4 }],
    families: [{ name: "a", series: 600, bytes: 2e5 }],
    labels: [{ name: "novaname", series: 5_400, bytes: 1e5 }],
    flags: [{ flags: "", ...SIZE }, { flags: "--no-collector.seed", ...SIZE, gzipBytes: 5e4 }],
    variants: [{ variant: "as it is", ...SIZE }],
    formats: [{ format: "text", isZipped: true, bytes: 1e5, processorSeconds: 0.01 }],
  },
};

Deno.test("fitLine() finds the straight line through points, or through one and the origin", () => {
  const line = fitLine([[1, 3], [2, 5], [3, 7]]);
  deepEqual([line.slope, line.at(10)], [2, 21]);
  const one = fitLine([[50, 100]]);
  deepEqual([one.slope, one.at(1_000)], [2, 2_000]);
});

Deno.test("fitRatio() finds the ratio that is nearest to points", () => {
  equal(fitRatio([[1, 2], [2, 4]]), 2);
  equal(fitRatio([[1, 3], [2, 4]]), 2.2);
});

Deno.test("rounded() keeps two significant digits", () => {
  const cases: readonly (readonly [value: number, text: string])[] = [
    [5_836_000, "5,800,000"],
    [96.7, "97"],
    [8.34, "8.3"],
    [0.01234, "0.012"],
    [1_000, "1,000"],
    [0, "0"],
  ];
  for (const [value, text] of cases) equal(rounded(value), text);
});

Deno.test("sizingRule() tells processors, memory and disk of each engine in one line", () => {
  const rule = sizingRule(RESULT);
  ok(!rule.includes("\n"));
  // The step that missed scrapes does not bend the line.
  ok(rule.includes("for Prometheus a processor for each 500 hypervisors"), rule);
  ok(rule.includes("2 GB of memory and 6.9 GB of disk a day; for VictoriaMetrics"), rule);
});

Deno.test("fleetSection() has what was measured, where it ended, what it means for larger fleets, and what was lost", () => {
  const section = fleetSection(RESULT);
  for (
    const part of [
      "| Prometheus | 200 | 80,000 |",
      "| Prometheus | 1,000 | 400,000 | 6,000,000 | 2.1 | 21 GB | 4 MB/s |  | 69 GB | 10 s | 20 s |",
      "| Prometheus | 10,000 | 4,000,000 |",
      "| VictoriaMetrics | 1,000 |",
      "Prometheus carried 100 hypervisors here, and ended with 200: 30.0 % of the scrapes were missed.",
      "2 processors are used up by 950 hypervisors, and 10 GB of memory by 450: memory would end it.",
      "VictoriaMetrics carried 50 hypervisors here, and no more were tried.",
      "9 of 20 hypervisors lacked up to 4 samples in a row",
      "none of 20 hypervisors lacked a sample",
    ]
  ) ok(section.includes(part), `${part}\n${section}`);
});

Deno.test("fleetSection() says whether other programs used the machine, and nothing of what an engine was not asked", () => {
  const alone = fleetSection(RESULT);
  ok(alone.includes("where nothing else ran"));
  const [first, ...others] = RESULT.steps;
  ok(first !== undefined);
  const steps = [
    { ...first, otherCores: 1.5 },
    ...others.map((one) => one.missed > 0 ? { ...one, rulesSeconds: 0, dashboards: {} } : one),
  ];
  const shared = fleetSection({ ...RESULT, steps });
  ok(shared.includes("which other programs used as well"));
  ok(!shared.includes("NaN"));
});

Deno.test("fleetCostsSection() compares labels, families, flags and formats", () => {
  const section = fleetCostsSection(RESULT);
  for (
    const part of [
      "| none: about the exporter itself | 1 % | 1 % |",
      "| `novaname` | 90 % | 10 % |",
      "| `a` | 10 % | 20 % |",
      "| `--no-collector.seed` | 6,000 | 1,000 kB | 50 kB | 50 % |",
      "| Text 0.0.4, gzip | 100 kB | 10 ms |",
    ]
  ) ok(section.includes(part), `${part}\n${section}`);
});

Deno.test("readFleet() reads a result of both engines with every part", async () => {
  const result = await readFleet();
  for (const way of ["Prometheus", "VictoriaMetrics"]) {
    for (const part of [result.steps, result.lost, result.density]) {
      ok(part.some((one) => one.way === way), way);
    }
  }
  ok((result.costs?.formats.length ?? 0) > 0);
});
