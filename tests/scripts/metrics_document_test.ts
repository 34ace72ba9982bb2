import assert from "node:assert/strict";
import { NO_COSTS } from "../../scripts/collector_costs.ts";
import { generateDocuments } from "../../scripts/generate_docs.ts";
import {
  defaultSeries,
  describeConversion,
  describeSource,
  metricsDocument,
  type MetricsFacts,
} from "../../scripts/metrics_document.ts";
import { countSeries } from "../../testing/sample_host.ts";
import { openMetricsFamily } from "../../src/metrics/exposition.ts";
import {
  type Collector,
  type Family,
  KIBIBYTES,
  MEBIBYTES,
  MILLISECONDS,
  NANOSECONDS,
  PERCENT,
} from "../../src/metrics/family.ts";
import { COLLECTORS } from "../../src/metrics/mod.ts";

function facts(
  collectors: readonly Collector[],
  changes: Partial<MetricsFacts> = {},
): MetricsFacts {
  return { collectors, own: [], series: new Map(), costs: NO_COSTS, migration: "", ...changes };
}

function findFamily(name: string): Family {
  const family = COLLECTORS.flatMap(({ families }) => families).find((one) => one.name === name);
  assert.ok(family !== undefined, name);
  return family;
}

Deno.test("docs/metrics.md has a row for each family of the collectors and of the exporter itself", async () => {
  const [metrics] = await generateDocuments();
  const end = metrics?.text.indexOf("\n## Coming from other exporters") ?? -1;
  const text = metrics?.text.slice(0, end < 0 ? undefined : end) ?? "";
  const names = Array.from(
    text.matchAll(/^\| `((?:libvirt_nova|process)_\w+)`/gm),
    ([, name = ""]) => name,
  );
  assert.equal(new Set(names).size, names.length);
  const expected = COLLECTORS.flatMap(({ families, hostFamilies = [] }) =>
    [...families, ...hostFamilies].map(({ name }) => name)
  );
  for (const name of [...expected, "libvirt_nova_up", "process_open_fds"]) {
    assert.ok(names.includes(name), name);
  }
});

Deno.test("metricsDocument() throws for a label that nobody has described", () => {
  const [first] = COLLECTORS;
  const family = first?.families[0];
  assert.ok(first !== undefined && family !== undefined);
  const labelSet = { ...family.labelSet, names: ["novaname", "shoe_size"] };
  assert.throws(
    () => metricsDocument(facts([{ ...first, families: [{ ...family, labelSet }] }])),
    /Label "shoe_size" is not described/,
  );
});

Deno.test("metricsDocument() tells measured costs, and which are not measured", () => {
  const collectors = COLLECTORS.filter(({ name }) => name === "cpu");
  assert.match(metricsDocument(facts(collectors)), /\| Time per instance \| not measured \|/);
  const cost = { wallMillisecondsPerInstance: 1.234, cpuMillisecondsPerInstance: 0.5 };
  const costs = { conditions: "On twenty guests", collectors: new Map([["cpu", cost]]) };
  const document = metricsDocument(facts(collectors, { costs }));
  assert.match(document, /\| Time per instance \| 1\.23 ms \|/);
  assert.match(document, /\| Processor time per instance \| 0\.50 ms \|/);
  assert.match(document, /On twenty guests/);
});

Deno.test("docs/metrics.md tells how many series an instance has, as counted", async () => {
  const series = await countSeries(COLLECTORS);
  const total = defaultSeries(COLLECTORS, series);
  const [metrics] = await generateDocuments();
  assert.match(
    metrics?.text ?? "",
    new RegExp(`\\*\\*${total} series for such an\\s+instance\\*\\*`),
  );
  for (const [name, { perInstance, perHost }] of series) {
    const section = metrics?.text.split(`\n### Collector \`${name}\`\n`)[1] ?? "";
    const [, counts = ""] = /\| Series per instance, per host +\| ([\d, ]+?) +\|/.exec(section) ??
      [];
    assert.equal(counts, `${perInstance}, ${perHost}`, name);
  }
});

Deno.test("docs/metrics.md says what is `unknown` in OpenMetrics", async () => {
  const [metrics] = await generateDocuments();
  const [, section = ""] = metrics?.text.split("\n## The two formats\n") ?? [];
  const [formats = ""] = section.split("\n## ");
  for (const { name, type } of COLLECTORS.flatMap(({ families }) => families)) {
    const isUnknown = openMetricsFamily({ name, type }).type === "unknown";
    assert.equal(formats.includes(`\`${name}\``), isUnknown, name);
  }
});

Deno.test("describeConversion() says what is done to libvirt's value", () => {
  for (
    const [conversion, expected] of [
      [NANOSECONDS, "nanoseconds / 1e9"],
      [MILLISECONDS, "milliseconds / 1e3"],
      [KIBIBYTES, "KiB × 1024"],
      [MEBIBYTES, "MiB × 1048576"],
      [PERCENT, "percent / 100"],
    ] as const
  ) {
    assert.equal(describeConversion(conversion), expected);
  }
});

Deno.test("describeSource() names fields, differences, quotients and elements", () => {
  for (
    const [name, expected] of [
      ["libvirt_nova_instance_rdbytes", "`block.N.rd.bytes`"],
      ["libvirt_nova_instance_block_read_seconds_total", "`block.N.rd.times` (nanoseconds / 1e9)"],
      ["libvirt_nova_instance_memory_used_kb", "`balloon.available` − `balloon.usable`"],
      [
        "libvirt_nova_instance_memory_used_ratio",
        "(`balloon.available` − `balloon.usable`) / `balloon.available`",
      ],
      ["libvirt_nova_instance_total_vcpu", "`<vcpu>` of the definition"],
      ["libvirt_nova_instance_info", "the definition"],
      ["libvirt_nova_instance_state_info", "libvirt's state"],
      ["libvirt_nova_instance_hypervisor_statistic_total", "`vm.*.sum`"],
    ] as const
  ) {
    assert.equal(describeSource(findFamily(name)), expected);
  }
});
