import { ok, strictEqual as equal } from "node:assert/strict";
import {
  askedByDashboards,
  askedRules,
  withoutThresholds,
  withoutTop,
} from "../../bench/fleet/asked_expressions.ts";

Deno.test("askedRules() and askedByDashboards() have the expressions of every file", async () => {
  const { alerts, records } = await askedRules();
  ok(alerts.some(({ origin }) => origin === "LibvirtNovaInstancesLost"));
  ok(records.some(({ origin }) => origin === "instance:libvirt_nova_up:seen"));
  ok(records.some(({ origin }) => origin === "novaproject:libvirt_nova_instances:count"));
  const queries = askedByDashboards({ host: "a" });
  for (const name of ["host", "project", "instance"]) {
    ok(queries.some(({ origin }) => origin.startsWith(`contrib/grafana/${name}.json`)), name);
  }
  ok(queries.every(({ expression }) => !expression.includes("$host")));
});

Deno.test("withoutThresholds() lets every value pass", () => {
  const cases: readonly (readonly [expression: string, expected: string])[] = [
    ["libvirt_nova_up == 0", "libvirt_nova_up > -Inf"],
    ["rate(x[5m]) > 0.95", "rate(x[5m]) > -Inf"],
    ["a / (b > 0) > 0.9", "a / (b > -Inf) > -Inf"],
    ["a > 0.8 * b", "a > 0.8 * b"],
    ["a >= 3\nand b", "a > -Inf\nand b"],
    ["up == 1 unless on (job) x", "up > -Inf unless on (job) x"],
  ];
  for (const [expression, expected] of cases) equal(withoutThresholds(expression), expected);
});

Deno.test("withoutTop() asks for all series", () => {
  equal(withoutTop("topk(10, rate(x[5m])) * on (a) b"), "(rate(x[5m])) * on (a) b");
});
