import assert from "node:assert/strict";
import { callsOf, collectorOutcomes } from "../src/metrics/calls.ts";
import { COLLECTORS } from "../src/metrics/mod.ts";

Deno.test("callsOf() knows at least one libvirt function of every collector", () => {
  for (const collector of COLLECTORS) {
    const calls = callsOf(collector);
    assert.ok(calls.size > 0, collector.name);
    for (const call of calls) assert.match(call, /^vir[A-Z]\w+$/);
  }
});

Deno.test("collectorOutcomes() lays a failure and the time of calls at the door of who needs them", () => {
  const collectors = COLLECTORS.filter(({ name }) => ["cpu", "memory", "info"].includes(name));
  const failure = { code: 38, origin: 10, message: "no", count: 1 };
  const outcomes = collectorOutcomes(
    collectors,
    [{ ...failure, call: "virDomainGetCPUStats" }],
    [
      { call: "virDomainGetCPUStats", count: 2, seconds: 0.25 },
      { call: "virDomainListGetStats", count: 2, seconds: 0.5 },
      { call: "virDomainMemoryStats", count: 1, seconds: 0.125 },
    ],
  );
  assert.deepEqual(outcomes, [
    { name: "info", success: true, seconds: 0 },
    { name: "cpu", success: false, seconds: 0.25 },
    { name: "memory", success: true, seconds: 0.625 },
  ]);
});
