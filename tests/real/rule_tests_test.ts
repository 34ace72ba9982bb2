import { match, ok, rejects } from "node:assert/strict";
import { createTestFolder, type TestFolder } from "../../testing/executable.ts";
import {
  ensureDebianPackages,
  PROMETHEUS_PACKAGES,
  reportProgress,
} from "../../testing/packages.ts";
import { checkRuleFiles } from "../../testing/prometheus/rule_tests.ts";

const host = await ensureDebianPackages(PROMETHEUS_PACKAGES);

/** JSON is YAML too. */
async function writeRules(folder: TestFolder, ...rules: readonly unknown[]): Promise<string> {
  return await folder.write(
    "rules.yml",
    JSON.stringify({ groups: [{ name: "exporter", interval: "1m", rules }] }),
  );
}

/** A test that the alert fires when `up` has been 0 for two minutes. */
async function writeTest(folder: TestFolder, alert: string): Promise<string> {
  return await folder.write(
    "rules_test.yml",
    JSON.stringify({
      "rule_files": ["rules.yml"],
      "evaluation_interval": "1m",
      tests: [{
        interval: "1m",
        "input_series": [{ series: "up", values: "0 0 0 0" }],
        "alert_rule_test": [{
          "eval_time": "2m",
          alertname: alert,
          "exp_alerts": [{ "exp_labels": {} }],
        }],
      }],
    }),
  );
}

const DOWN = { alert: "Down", expr: "up == 0", for: "1m" };

if (host.available) {
  Deno.test("checkRuleFiles() accepts rules that are right and do what their tests say", async () => {
    await using folder = await createTestFolder();
    const rules = [await writeRules(folder, DOWN, { record: "job:up:sum", expr: "sum(up)" })];
    await checkRuleFiles({ rules, tests: [await writeTest(folder, "Down")] });
  });

  Deno.test("checkRuleFiles() throws one error that names each file and what is wrong with it", async () => {
    await using folder = await createTestFolder();
    const rules = [await writeRules(folder, { ...DOWN, expr: "up ==" })];
    const tests = [await writeTest(folder, "Down")];
    await rejects(checkRuleFiles({ rules, tests }), ({ message }: Error) => {
      for (const version of ["Prometheus 2", "Prometheus 3"]) {
        ok(message.includes(`${version}: promtool check rules`), message);
        ok(message.includes(`${version}: promtool test rules ${tests[0]}`), message);
      }
      match(message, /unexpected end of input/);
      return true;
    });
  });

  Deno.test("checkRuleFiles() throws for an alert that does not fire, and for rules that stand twice", async (t) => {
    await t.step("an alert that does not fire", async () => {
      await using folder = await createTestFolder();
      const rules = [await writeRules(folder, { ...DOWN, for: "1h" })];
      const tests = [await writeTest(folder, "Down")];
      await rejects(checkRuleFiles({ rules, tests }), /alertname: Down.*/);
    });
    await t.step("rules that stand twice", async () => {
      await using folder = await createTestFolder();
      const rule = { record: "job:up:sum", expr: "sum(up)" };
      const rules = [await writeRules(folder, rule, rule)];
      await rejects(checkRuleFiles({ rules, tests: [] }), /duplicate rule/);
    });
  });
} else {
  reportProgress(`The tests of rules are left out: ${host.reason}`);
}
