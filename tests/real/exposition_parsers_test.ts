// The pages of the executable, as the parsers see them that people use.
import assert from "node:assert/strict";
import {
  createTestFolder,
  requireExecutable,
  startExecutable,
  type TestFolder,
} from "../../testing/executable.ts";
import {
  type ExpositionFamily,
  parseExposition,
  valuesBySeries,
} from "../../testing/prometheus/exposition_parsers.ts";
import { DEMO_URI, HOSTILE_NAMES, writeNamedHypervisor } from "../../testing/hypervisor_files.ts";
import {
  ensureDebianPackages,
  PROMETHEUS_PACKAGES,
  reportProgress,
} from "../../testing/packages.ts";
import {
  ensurePrometheus3,
  INSTALLED_PROMETHEUS,
} from "../../testing/prometheus/newer_prometheus.ts";
import { promtoolCheckMetrics } from "../../testing/prometheus/prometheus.ts";
import { parsePage } from "../../testing/parse_page.ts";

const host = await ensureDebianPackages(PROMETHEUS_PACKAGES);

const OPENMETRICS = {
  accept: "application/openmetrics-text;version=1.0.0",
  contentType: "application/openmetrics-text; version=1.0.0; charset=utf-8",
};
const TEXT = { accept: "text/plain", contentType: "text/plain; version=0.0.4; charset=utf-8" };

/** What the exporter tells of itself, which changes with each page. */
const OWN_FAMILIES = /^(libvirt_nova_exporter|process)_/;

Deno.test("parseExposition() reads names, types, units, labels and values of both formats", async () => {
  const text = [
    "# HELP a_total What is\\ncounted",
    "# TYPE a_total counter",
    'a_total{b="q\\"b\\\\l\\n# EOF"} +Inf',
    "# TYPE c counter",
    "c NaN",
    "d 1e+06",
    "",
  ].join("\n");
  const labels = { b: 'q"b\\l\n# EOF' };
  const counted = { name: "a", type: "counter", help: "What is\ncounted" };
  assert.deepEqual(await parseExposition("text", text), [
    { ...counted, unit: "", samples: [{ name: "a_total", labels, value: Infinity }] },
    {
      name: "c",
      type: "counter",
      unit: "",
      help: "",
      samples: [{ name: "c", labels: {}, value: NaN }],
    },
    {
      name: "d",
      type: "unknown",
      unit: "",
      help: "",
      samples: [{ name: "d", labels: {}, value: 1e6 }],
    },
  ]);
  const openMetrics = [
    "# HELP a What is\\ncounted",
    "# TYPE a counter",
    'a_total{b="q\\"b\\\\l\\n# EOF"} +Inf',
    "# TYPE e_seconds gauge",
    "# UNIT e_seconds seconds",
    "e_seconds -1.5",
    "# TYPE f info",
    'f_info{g="ü"} 1',
    "# EOF",
    "",
  ].join("\n");
  assert.deepEqual(await parseExposition("openmetrics", openMetrics), [
    { ...counted, unit: "", samples: [{ name: "a_total", labels, value: Infinity }] },
    {
      name: "e_seconds",
      type: "gauge",
      unit: "seconds",
      help: "",
      samples: [{ name: "e_seconds", labels: {}, value: -1.5 }],
    },
    {
      name: "f",
      type: "info",
      unit: "",
      help: "",
      samples: [{ name: "f_info", labels: { g: "ü" }, value: 1 }],
    },
  ]);
});

Deno.test("parseExposition() throws the parser's reason for a page that breaks its format", async (t) => {
  const cases = [
    ["text", "a one\n", /could not convert string to float: 'one'/],
    ["openmetrics", "a 1\n", /Missing # EOF at end/],
    ["openmetrics", "a 1\n\n# EOF\n", /blank line/],
    ["openmetrics", "a 1\n# EOF\na 2\n", /after # EOF/],
    ["openmetrics", "# TYPE a counter\na 1\n# EOF\n", /Invalid|Clashing/i],
    ["openmetrics", "# TYPE a gauge\n# TYPE a_total gauge\n# TYPE a counter\n# EOF\n", /Clashing/],
    ["openmetrics", "# TYPE a gauge\n# UNIT a seconds\na 1\n# EOF\n", /Unit does not match/],
    ["openmetrics", "# TYPE a counter\na_total -1\n# EOF\n", /cannot be negative/],
  ] as const;
  for (const [format, page, reason] of cases) {
    await t.step(JSON.stringify(page), async () => {
      await assert.rejects(parseExposition(format, page), reason);
    });
  }
});

Deno.test("valuesBySeries() throws when a series stands twice, whatever the order of its labels", () => {
  const sample = (labels: Readonly<Record<string, string>>): Pick<ExpositionFamily, "samples"> => ({
    samples: [{ name: "a", labels, value: 1 }],
  });
  assert.equal(valuesBySeries([sample({ b: "1" }), sample({ b: "2" })]).size, 2);
  assert.throws(
    () => valuesBySeries([sample({ b: "1", c: "2" }), sample({ c: "2", b: "1" })]),
    /Series stands twice: a /,
  );
});

/** What each sample's family says of it, by the sample's name. */
function helpBySample(families: readonly ExpositionFamily[]): ReadonlyMap<string, string> {
  return new Map(
    families.flatMap(({ help, samples }) => samples.map(({ name }) => [name, help] as const))
      .sort(),
  );
}

/** Names of the samples of all counters that are named as such. */
function counterSamples(families: readonly ExpositionFamily[]): readonly string[] {
  const names = families.filter(({ type }) => type === "counter")
    .flatMap(({ samples }) => samples.map(({ name }) => name));
  return [...new Set(names)].filter((name) => name.endsWith("_total")).sort();
}

/** Holds the executable's pages of a hypervisor to all parsers, and both formats to each other. */
async function judgePages(t: Deno.TestContext, folder: TestFolder, uri: string): Promise<void> {
  await using exporter = await startExecutable(["--uri", uri], { folder });
  const get = async ({ accept, contentType }: typeof TEXT): Promise<string> => {
    const { status, headers, body } = await exporter.get("/metrics", { headers: { accept } });
    assert.deepEqual([status, headers.get("content-type")], [200, contentType]);
    return body;
  };
  const text = await get(TEXT);
  const families = await parseExposition("text", text);
  const values = valuesBySeries(families);

  await t.step("promtool of Prometheus 2 and 3 finds bad habits at most", async () => {
    for (const programs of [INSTALLED_PROMETHEUS, await ensurePrometheus3()]) {
      const { code, lines } = await promtoolCheckMetrics(text, programs);
      assert.ok(code === 0 || code === 3, lines.join("\n"));
    }
  });

  await t.step("the Python client reads in the text what stands there", () => {
    assert.ok(values.size > 0);
    assert.deepEqual(values, valuesBySeries(parsePage(text).values()));
  });

  await t.step("the Python client reads the same in OpenMetrics", async () => {
    const openMetrics = await parseExposition("openmetrics", await get(OPENMETRICS));
    const openMetricsValues = valuesBySeries(openMetrics);
    assert.deepEqual([...openMetricsValues.keys()], [...values.keys()]);
    assert.deepEqual(helpBySample(openMetrics), helpBySample(families));
    assert.deepEqual(counterSamples(openMetrics), counterSamples(families));
    const later = valuesBySeries(await parseExposition("text", await get(TEXT)));
    const still = [...values].filter(([series, value]) =>
      !OWN_FAMILIES.test(series) && later.get(series) === value
    );
    assert.ok(still.length > 0, "some values never change");
    for (const [series, value] of still) {
      assert.equal(openMetricsValues.get(series), value, series);
    }
  });
}

if (host.available) {
  requireExecutable();

  Deno.test("all parsers read the same in the pages of the demo hypervisor", async (t) => {
    await using folder = await createTestFolder();
    await judgePages(t, folder, DEMO_URI);
  });

  Deno.test("all parsers read the same in pages with hostile names", async (t) => {
    await using folder = await createTestFolder();
    await judgePages(t, folder, await writeNamedHypervisor(folder, HOSTILE_NAMES));
  });

  Deno.test("all parsers read the same in pages without instances", async (t) => {
    await using folder = await createTestFolder();
    await judgePages(t, folder, "test+unix:///nonexistent?socket=/nonexistent/sock");
  });

  Deno.test("hostile names reach the page as Nova and libvirt have them", async () => {
    await using folder = await createTestFolder();
    const uri = await writeNamedHypervisor(folder, HOSTILE_NAMES);
    await using exporter = await startExecutable(["--uri", uri], { folder });
    const { body } = await exporter.get("/metrics", { headers: { accept: TEXT.accept } });
    const samples = (await parseExposition("text", body))
      .filter(({ name }) => name === "libvirt_nova_instance_vcpu_count")
      .flatMap((family) => family.samples);
    const named = new Map(samples.map(({ labels }) => [labels["libvirtname"], labels["novaname"]]));
    assert.deepEqual(
      HOSTILE_NAMES.map((_, number) => named.get(`instance-${number}`)),
      HOSTILE_NAMES,
    );
  });
} else {
  reportProgress(`The tests with parsers of pages are left out: ${host.reason}`);
}
