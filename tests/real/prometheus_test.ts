// Deno's named deepEqual() and equal() are the loose ones.
import {
  deepStrictEqual as deepEqual,
  match,
  ok,
  rejects,
  strictEqual as equal,
  throws,
} from "node:assert/strict";
import { type ParsedFamily } from "../../testing/parse_page.ts";
import { createTestFolder, startExecutable } from "../../testing/executable.ts";
import {
  ensurePrometheus3,
  INSTALLED_PROMETHEUS,
} from "../../testing/prometheus/newer_prometheus.ts";
import { HOSTILE_NAMES, writeNamedHypervisor } from "../../testing/hypervisor_files.ts";
import {
  ensureDebianPackages,
  PROMETHEUS_PACKAGES,
  reportProgress,
} from "../../testing/packages.ts";
import { isAlive } from "../../testing/processes.ts";
import {
  parseQueryAnswer,
  type PrometheusSample,
  promtool,
  promtoolCheckMetrics,
  startPrometheus,
} from "../../testing/prometheus/prometheus.ts";
import { startRecordingProxy } from "./recording_proxy.ts";

const host = await ensureDebianPackages(PROMETHEUS_PACKAGES);

const OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT = "text/plain; version=0.0.4; charset=utf-8";

/** What Prometheus adds to each target by itself. */
const OWN_SERIES = /^(up|scrape_\w+)$/;

/** Each series as one text, so that sets of them can be compared. */
function seriesOf(samples: readonly Pick<PrometheusSample, "labels">[]): readonly string[] {
  return samples.filter(({ labels }) => !OWN_SERIES.test(labels["__name__"] ?? ""))
    .map(({ labels: { job: _job, instance: _instance, ...labels } }) =>
      JSON.stringify(Object.entries(labels).filter(([, value]) => value !== "").sort())
    ).sort();
}

/** The series that a page has, named as Prometheus does. */
function pageSeries(families: ReadonlyMap<string, ParsedFamily>): readonly string[] {
  return seriesOf(
    [...families.values()].flatMap(({ samples }) =>
      samples.map(({ name, labels }) => ({ labels: { "__name__": name, ...labels } }))
    ),
  );
}

Deno.test("parseQueryAnswer() reads vectors, scalars and values beyond all numbers", () => {
  const vector = `{"status":"success","data":{"resultType":"vector","result":[
    {"metric":{"__name__":"up","job":"exporter"},"value":[1.5,"1"]},
    {"metric":{},"value":[1.5,"-Inf"]},{"metric":{},"value":[1.5,"NaN"]}]}}`;
  deepEqual(parseQueryAnswer("up", vector), [
    { labels: { "__name__": "up", job: "exporter" }, value: 1 },
    { labels: {}, value: -Infinity },
    { labels: {}, value: NaN },
  ]);
  const scalar = `{"status":"success","data":{"resultType":"scalar","result":[1.5,"7"]}}`;
  deepEqual(parseQueryAnswer("7", scalar), [{ labels: {}, value: 7 }]);
});

Deno.test("parseQueryAnswer() throws Prometheus' own reason when the query is refused", () => {
  const refusal = `{"status":"error","errorType":"bad_data","error":"parse error here"}`;
  throws(() => parseQueryAnswer("up{", refusal), /refuses the query "up\{": parse error here/);
});

if (host.available) {
  Deno.test("startPrometheus() scrapes its targets, answers queries, and leaves nothing behind", async () => {
    await using server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      () => new Response("# TYPE harness_answer gauge\nharness_answer 42\n"),
    );
    const prometheus = await startPrometheus({ targets: [`127.0.0.1:${server.addr.port}`] });
    try {
      const samples = await prometheus.waitFor(
        "harness_answer",
        ({ length }) => length > 0,
        20_000,
      );
      equal(samples[0]?.value, 42);
      equal(samples[0]?.labels["job"], "exporter");
      deepEqual((await prometheus.query("scalar(up)")).map(({ value }) => value), [1]);
      await rejects(prometheus.query("up{"), /refuses the query/);
      await rejects(prometheus.waitFor("up", () => false, 1), /last answer was \[\{"labels"/);
    } finally {
      await prometheus.stop();
    }
    await prometheus.stop();
    ok(!isAlive(prometheus.processId));
  });

  Deno.test("startPrometheus() shows the log when Prometheus does not start", async () => {
    const scrapeSettings = { "no_such_setting": true };
    await rejects(startPrometheus({ targets: [], scrapeSettings }), /no_such_setting not found/);
  });

  Deno.test("each version of Prometheus takes all series of a page, whatever it negotiates", async (t) => {
    const prometheus3 = await ensurePrometheus3();
    match((await promtool(["--version"], undefined, prometheus3)).lines[0] ?? "", /version 3\./);
    await using folder = await createTestFolder();
    const uri = await writeNamedHypervisor(folder, HOSTILE_NAMES);
    await using exporter = await startExecutable(["--uri", uri], { folder });
    const isUp = (samples: readonly PrometheusSample[]): boolean => samples[0]?.value === 1;
    const cases = [
      { name: "Prometheus 2", programs: INSTALLED_PROMETHEUS, contentType: OPENMETRICS },
      { name: "Prometheus 3", programs: prometheus3, contentType: OPENMETRICS },
      {
        name: "Prometheus 3 that asks for text",
        programs: prometheus3,
        scrapeSettings: { "scrape_protocols": ["PrometheusText0.0.4"] },
        contentType: TEXT,
      },
      {
        name: "Prometheus 3 that prefers protocol buffers",
        programs: prometheus3,
        scrapeSettings: {
          "scrape_protocols": ["PrometheusProto", "OpenMetricsText1.0.0", "PrometheusText0.0.4"],
        },
        contentType: OPENMETRICS,
      },
      {
        name: "Prometheus 3 that wants no compression",
        programs: prometheus3,
        scrapeSettings: { "enable_compression": false },
        contentType: OPENMETRICS,
        contentEncoding: undefined,
      },
    ];
    for (const { name, contentType, ...options } of cases) {
      await t.step(name, async () => {
        await using proxy = await startRecordingProxy(`127.0.0.1:${exporter.ports[0]}`);
        await using prometheus = await startPrometheus({ ...options, targets: [proxy.target] });
        await prometheus.waitFor("up", isUp, 20_000);
        await prometheus.waitFor("libvirt_nova_up", isUp, 20_000);
        const page = pageSeries(await exporter.scrape());
        ok(page.length > 0);
        deepEqual(seriesOf(await prometheus.query('{job="exporter"}')), page);
        const contentEncoding = "contentEncoding" in options ? options.contentEncoding : "gzip";
        const [negotiation] = proxy.negotiations;
        deepEqual(negotiation, { ...negotiation, contentType, contentEncoding });
      });
    }
  });

  Deno.test("promtoolCheckMetrics() tells good pages from bad habits and from invalid pages", async () => {
    const help = "# HELP a_total What is counted\n";
    deepEqual(await promtoolCheckMetrics(`${help}# TYPE a_total counter\na_total 1\n`), {
      code: 0,
      lines: [],
    });
    const habits = await promtoolCheckMetrics("# TYPE a counter\na 1\n");
    equal(habits.code, 3);
    match(habits.lines.join("\n"), /no help text/);
    equal((await promtoolCheckMetrics("a{ 1\n")).code, 1);
  });
} else {
  reportProgress(`The tests with a real Prometheus are left out: ${host.reason}`);
}
