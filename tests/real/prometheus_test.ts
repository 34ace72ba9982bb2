import { deepEqual, equal, match, ok, rejects, throws } from "node:assert/strict";
import { ensureDebianPackages, reportProgress } from "./packages.ts";
import { isAlive } from "./processes.ts";
import { parseQueryAnswer, promtoolCheckMetrics, startPrometheus } from "./prometheus.ts";

const host = await ensureDebianPackages();

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
