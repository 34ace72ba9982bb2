import assert from "node:assert/strict";
import { DomainCall, HostCall, StatisticsGroup } from "../../src/libvirt/hypervisor.ts";
import { callsOf, collectorOutcomes, needsMonitor } from "../../src/metrics/calls.ts";
import { COLLECTORS } from "../../src/metrics/mod.ts";

Deno.test("callsOf() knows at least one libvirt function of every collector", () => {
  for (const collector of COLLECTORS) {
    const calls = callsOf(collector);
    assert.ok(calls.size > 0, collector.name);
    for (const call of calls) assert.match(call, /^vir[A-Z]\w+$/);
  }
});

Deno.test("no two calls of a kind are asked for by the same bit", () => {
  for (const kind of [StatisticsGroup, DomainCall, HostCall]) {
    const bits = Object.values(kind);
    assert.equal(bits.reduce((sum, bit) => sum | bit, 0), bits.reduce((sum, bit) => sum + bit, 0));
  }
});

Deno.test("needsMonitor() knows what waits for a guest", () => {
  const needing = COLLECTORS.filter(needsMonitor).map(({ name }) => name);
  for (const name of ["seed", "memory", "block", "vcpu", "job"]) {
    assert.ok(needing.includes(name), name);
  }
  for (const name of ["info", "cpu", "interface", "state", "perf", "node", "snapshot"]) {
    assert.ok(!needing.includes(name), name);
  }
});

Deno.test("collectorOutcomes() counts failures and times of calls for each collector that needs them", () => {
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
