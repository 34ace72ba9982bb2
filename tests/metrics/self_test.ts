import assert from "node:assert/strict";
import { createLabelTexts } from "../../src/metrics/exposition.ts";
import { USUAL_IDENTITY } from "../../src/metrics/family.ts";
import { nothingFound } from "../../src/metrics/findings.ts";
import { renderPlainFamilies } from "../../src/metrics/exposition.ts";
import { END_REASONS, ERROR_KINDS, SelfMetrics } from "../../src/metrics/self.ts";
import { type Families, parsePage, valueOf } from "../../testing/parse_page.ts";
import { type Findings } from "../../src/metrics/findings.ts";

const BUILD = { version: "1.2.3", runtime: "bun 1.4.5", architecture: "x64" };

const OPTIONS = { build: BUILD, timeoutSeconds: 2, logLines: { info: 3, warn: 1 } };

const PHASE_SECONDS = { survey: 0.25, measure: 0.5 };

const FINDINGS: Findings = {
  ...nothingFound({
    reason: undefined,
    status: undefined,
    labelTexts: createLabelTexts(USUAL_IDENTITY),
  }),
  isUp: true,
  instances: 3,
  listAgeSeconds: 7.5,
  filtered: 2,
  outcomes: [{ name: "cpu", success: true, seconds: 0.125 }, {
    name: "memory",
    success: false,
    seconds: 0.5,
  }],
  incomplete: {
    failed: 0,
    busy: 1,
    withheld: 0,
    quarantined: 2,
    late: 0,
    locked: 4,
    suspended: 0,
    unread: 0,
  },
  status: {
    connected: true,
    connectionAttempts: 4,
    connectionsOpened: 3,
    connectionsFailed: 1,
    connectionsLost: 2,
    abandonedMonitorCalls: 5,
    abandonedOtherCalls: 6,
    quarantined: 7,
    endedInstances: { destroyed: 9, failed: 3 },
  },
};

async function render(
  metrics: SelfMetrics,
  findings: Findings = FINDINGS,
): Promise<Families> {
  return parsePage(renderPlainFamilies(await metrics.families(findings, PHASE_SECONDS), "text"));
}

Deno.test("SelfMetrics shows the state of a collection", async () => {
  const families = await render(new SelfMetrics(OPTIONS));
  const expected: readonly (readonly [string, Record<string, string>, number])[] = [
    ["up", {}, 1],
    ["exporter_build_info", BUILD, 1],
    ["exporter_instances", {}, 3],
    ["exporter_list_age_seconds", {}, 7.5],
    ["exporter_instances_incomplete", { reason: "locked" }, 4],
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
    ["exporter_instances_ended_total", { reason: "destroyed" }, 9],
    ["exporter_instances_ended_total", { reason: "failed" }, 3],
  ];
  for (const [name, labels, value] of expected) {
    assert.equal(valueOf(families, `libvirt_nova_${name}`, labels), value, name);
  }
});

Deno.test("SelfMetrics leaves out what is not known without libvirt", async () => {
  const families = await render(new SelfMetrics(OPTIONS), {
    ...FINDINGS,
    isUp: false,
    instances: undefined,
    filtered: undefined,
    outcomes: [],
    status: undefined,
  });
  assert.equal(valueOf(families, "libvirt_nova_up"), 0);
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

Deno.test("SelfMetrics shows every reason for an end from the start, and none where nobody counts them", async () => {
  const { endedInstances: _, ...uncounted } = FINDINGS.status ?? assert.fail();
  const reasonsOf = async (status: Findings["status"]): Promise<unknown> => {
    const families = await render(new SelfMetrics(OPTIONS), { ...FINDINGS, status });
    return families.get("libvirt_nova_exporter_instances_ended_total")?.samples
      .map(({ labels, value }) => [labels["reason"], value]);
  };
  assert.deepEqual(
    await reasonsOf({ ...uncounted, endedInstances: {} }),
    END_REASONS.map((reason) => [reason, 0]),
  );
  assert.equal(await reasonsOf(uncounted), undefined);
});

Deno.test("SelfMetrics counts from 0, so that a rate sees the first error", async () => {
  const metrics = new SelfMetrics(OPTIONS);
  const kinds = async (): Promise<(number | undefined)[]> => {
    const families = await render(metrics);
    return ERROR_KINDS.map((kind) =>
      valueOf(families, "libvirt_nova_exporter_errors_total", { kind })
    );
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
  assert.equal(valueOf(families, "libvirt_nova_exporter_libvirt_errors_total", labels), 3);
});

Deno.test("SelfMetrics of two exporters in one process do not mix", async () => {
  const [one, other] = [new SelfMetrics(OPTIONS), new SelfMetrics(OPTIONS)];
  one.countCollection();
  one.countDefinitions(2, 1);
  one.countCalls([{ call: "virDomainGetCPUStats", count: 3, seconds: 0.25 }]);
  assert.equal(valueOf(await render(one), "libvirt_nova_exporter_collections_total"), 1);
  assert.equal(valueOf(await render(one), "libvirt_nova_exporter_definition_cache_hits_total"), 2);
  const call = { call: "virDomainGetCPUStats" };
  assert.equal(valueOf(await render(one), "libvirt_nova_exporter_libvirt_calls_total", call), 3);
  assert.equal(
    valueOf(await render(one), "libvirt_nova_exporter_libvirt_call_seconds_total", call),
    0.25,
  );
  assert.equal(valueOf(await render(other), "libvirt_nova_exporter_collections_total"), 0);
  assert.equal(
    valueOf(await render(other), "libvirt_nova_exporter_libvirt_calls_total", call),
    undefined,
  );
});
