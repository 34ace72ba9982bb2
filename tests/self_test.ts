import assert from "node:assert/strict";
import { renderPlainFamilies } from "../src/metrics/exposition.ts";
import { type CollectionState, ERROR_KINDS, SelfMetrics } from "../src/metrics/self.ts";
import { type ParsedFamily, parsePage } from "./support/parse_page.ts";

const BUILD = { version: "1.2.3", runtime: "bun 1.4.5", architecture: "x64" };

const STATE: CollectionState = {
  isUp: true,
  instances: 3,
  filtered: 2,
  outcomes: [{ name: "cpu", success: true, seconds: 0.125 }, {
    name: "memory",
    success: false,
    seconds: 0.5,
  }],
  incomplete: { failed: 0, busy: 1, withheld: 0, quarantined: 2, late: 0, unread: 0 },
  phaseSeconds: { survey: 0.25, measure: 0.5 },
  timeoutSeconds: 2,
  logLines: { info: 3, warn: 1 },
  status: {
    connected: true,
    connectionAttempts: 4,
    connectionsOpened: 3,
    connectionsFailed: 1,
    connectionsLost: 2,
    abandonedMonitorCalls: 5,
    abandonedOtherCalls: 6,
    quarantined: 7,
  },
};

async function render(
  metrics: SelfMetrics,
  state: CollectionState = STATE,
): Promise<ReadonlyMap<string, ParsedFamily>> {
  return parsePage(renderPlainFamilies(await metrics.families(state), "text"));
}

function valueOf(
  families: ReadonlyMap<string, ParsedFamily>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  return families.get(`libvirt_nova_${name}`)?.samples.find((sample) =>
    Object.entries(labels).every(([label, value]) => sample.labels[label] === value)
  )?.value;
}

Deno.test("SelfMetrics shows the state of a collection", async () => {
  const families = await render(new SelfMetrics(BUILD));
  const expected: readonly (readonly [string, Record<string, string>, number])[] = [
    ["up", {}, 1],
    ["exporter_build_info", BUILD, 1],
    ["exporter_instances", {}, 3],
    ["exporter_instances_filtered", {}, 2],
    ["exporter_collector_success", { collector: "cpu" }, 1],
    ["exporter_collector_success", { collector: "memory" }, 0],
    ["exporter_collector_duration_seconds", { collector: "memory" }, 0.5],
    ["exporter_instances_incomplete", { reason: "quarantined" }, 2],
    ["exporter_instances_incomplete", { reason: "late" }, 0],
    ["exporter_scrape_duration_seconds", {}, 0.75],
    ["exporter_scrape_timeout_seconds", {}, 2],
    ["exporter_log_lines_total", { level: "info" }, 3],
    ["exporter_scrape_phase_duration_seconds", { phase: "measure" }, 0.5],
    ["exporter_connection_attempts_total", {}, 4],
    ["exporter_connections_opened_total", {}, 3],
    ["exporter_connections_failed_total", {}, 1],
    ["exporter_connections_lost_total", {}, 2],
    ["exporter_abandoned_calls", { need: "monitor" }, 5],
    ["exporter_abandoned_calls", { need: "none" }, 6],
    ["exporter_quarantined", {}, 7],
  ];
  for (const [name, labels, value] of expected) {
    assert.equal(valueOf(families, name, labels), value, name);
  }
});

Deno.test("SelfMetrics leaves out what is not known without libvirt", async () => {
  const families = await render(new SelfMetrics(BUILD), {
    ...STATE,
    isUp: false,
    instances: undefined,
    filtered: undefined,
    outcomes: [],
    status: undefined,
  });
  assert.equal(valueOf(families, "up"), 0);
  for (
    const name of [
      "instances",
      "instances_filtered",
      "instances_incomplete",
      "collector_success",
      "connection_attempts_total",
    ]
  ) {
    assert.equal(families.has(`libvirt_nova_exporter_${name}`), false, name);
  }
});

Deno.test("SelfMetrics counts from 0, so that a rate sees the first error", async () => {
  const metrics = new SelfMetrics(BUILD);
  const kinds = async (): Promise<(number | undefined)[]> => {
    const families = await render(metrics);
    return ERROR_KINDS.map((kind) => valueOf(families, "exporter_errors_total", { kind }));
  };
  assert.deepEqual(await kinds(), ERROR_KINDS.map(() => 0));
  metrics.countError("internal");
  metrics.countFailure("call", {
    call: "virDomainMemoryStats",
    code: 55,
    origin: 10,
    message: "",
    count: 3,
  });
  assert.deepEqual(await kinds(), [0, 0, 0, 0, 3, 0, 1]);
  const families = await render(metrics);
  const labels = { call: "virDomainMemoryStats", code: "55" };
  assert.equal(valueOf(families, "exporter_libvirt_errors_total", labels), 3);
});

Deno.test("SelfMetrics of two exporters in one process do not mix", async () => {
  const [one, other] = [new SelfMetrics(BUILD), new SelfMetrics(BUILD)];
  one.countCollection();
  one.countDefinitions(2, 1);
  one.countCalls([{ call: "virDomainGetCPUStats", count: 3, seconds: 0.25 }]);
  assert.equal(valueOf(await render(one), "exporter_collections_total"), 1);
  assert.equal(valueOf(await render(one), "exporter_definition_cache_hits_total"), 2);
  const call = { call: "virDomainGetCPUStats" };
  assert.equal(valueOf(await render(one), "exporter_libvirt_calls_total", call), 3);
  assert.equal(valueOf(await render(one), "exporter_libvirt_call_seconds_total", call), 0.25);
  assert.equal(valueOf(await render(other), "exporter_collections_total"), 0);
  assert.equal(valueOf(await render(other), "exporter_libvirt_calls_total", call), undefined);
});
