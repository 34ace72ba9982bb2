import assert from "node:assert/strict";
import { countSeries, samplePage } from "../../testing/sample_host.ts";
import { COLLECTORS } from "../../src/metrics/mod.ts";

/** Above this the exporter would be dear for Prometheus where nobody has asked for more. */
const MAXIMUM_DEFAULT_SERIES = 60;

Deno.test("the collectors that are on by default have fewer than 60 series for an instance", async () => {
  const series = await countSeries(COLLECTORS);
  const total = COLLECTORS.filter(({ byDefault }) => byDefault !== false)
    .reduce((sum, { name }) => sum + (series.get(name)?.perInstance ?? 0), 0);
  assert.ok(total > 12, `${total} are fewer than the collector seed has`);
  assert.ok(total < MAXIMUM_DEFAULT_SERIES, `${total} series`);
});

Deno.test("the sample has a series of every collector", async () => {
  for (const [name, { perInstance, perHost }] of await countSeries(COLLECTORS)) {
    assert.ok(perInstance + perHost > 0, name);
  }
});

Deno.test("countSeries() counts the same whether collectors are alone or together", async () => {
  const together = await countSeries(COLLECTORS);
  for (const collector of COLLECTORS) {
    const alone = await countSeries([collector]);
    assert.deepEqual(alone.get(collector.name), together.get(collector.name), collector.name);
  }
});

Deno.test("all families about the exporter itself have samples on the sample's page", async () => {
  const page = await samplePage(COLLECTORS);
  for (
    const name of [
      "libvirt_nova_up",
      "libvirt_nova_exporter_collector_success",
      "libvirt_nova_exporter_collector_duration_seconds",
      "libvirt_nova_exporter_instances_filtered",
      "libvirt_nova_exporter_libvirt_calls_total",
      "libvirt_nova_exporter_libvirt_call_seconds_total",
      "libvirt_nova_exporter_libvirt_errors_total",
      "libvirt_nova_exporter_collection_age_seconds",
    ]
  ) {
    assert.ok((page.get(name)?.samples.length ?? 0) > 0, name);
  }
});
