import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { parse } from "yaml";
import {
  ALERT_FILES,
  ALERTS_FOLDER,
  alertTable,
  readAlerts,
  switchedOffCollectors,
} from "../../scripts/alerts.ts";
import { familiesIn } from "../../scripts/peer_families.ts";
import { ROOT } from "../../testing/set_up.ts";
import { knownFamilies } from "../../testing/known_families.ts";

const ALERTS = await readAlerts();
const RATES = `${ROOT}/contrib/prometheus/rules/rates`;

/** The parts of a file for `promtool test rules` that are read here. */
interface RuleTests {
  readonly tests: readonly {
    readonly "alert_rule_test"?: readonly {
      readonly alertname: string;
      readonly "exp_alerts": readonly unknown[];
    }[];
    readonly "promql_expr_test"?: readonly { readonly expr: string }[];
  }[];
}

async function readTests(file: string): Promise<RuleTests["tests"]> {
  const tests: RuleTests = parse(await Deno.readTextFile(file));
  return tests.tests;
}

Deno.test("readAlerts() reads the alerts of all files, each with a name of its own", () => {
  equal(new Set(ALERTS.map(({ name }) => name)).size, ALERTS.length);
  deepEqual([...new Set(ALERTS.map(({ file }) => file))], [...ALERT_FILES]);
});

Deno.test("every alert reads families that there are", async () => {
  const known = await knownFamilies();
  for (const { name, expression } of ALERTS) {
    deepEqual(familiesIn(expression).filter((family) => !known.has(family)), [], name);
  }
});

Deno.test("every alert has a severity, texts, and an annotation that leads to its section", () => {
  for (const { name, severity = "", annotations } of ALERTS) {
    match(severity, /^(critical|warning)$/, name);
    match(annotations["summary"] ?? "", /^.{20,}[^.]$/, name);
    match(annotations["description"] ?? "", /\.$/, name);
    equal(annotations["runbook"], `docs/alerts.md#${name.toLowerCase()}`);
  }
});

Deno.test("every alert about an instance names it, its project and its host", () => {
  for (const { name, file, annotations } of ALERTS) {
    if (file !== "instances.alerts.yml") continue;
    const { summary = "", description = "" } = annotations;
    for (const label of ["novaname", "libvirtname"]) {
      ok(summary.includes(`$labels.${label}`), name);
    }
    for (const label of ["novaname", "libvirtname", "novaproject", "instance"]) {
      ok(description.includes(`$labels.${label}`), name);
    }
  }
});

Deno.test("every alert has a test in which it fires and one in which it does not", async () => {
  const tests = await Promise.all(
    ALERT_FILES.map((file) =>
      readTests(`${ROOT}/${ALERTS_FOLDER}/${file.replace(".alerts.yml", "_test.yml")}`)
    ),
  );
  const expectations = tests.flat().flatMap((test) => test["alert_rule_test"] ?? []);
  for (const { name } of ALERTS) {
    const own = expectations.filter(({ alertname }) => alertname === name);
    ok(own.some(({ exp_alerts: alerts }) => alerts.length > 0), `${name} never fires`);
    ok(own.some(({ exp_alerts: alerts }) => alerts.length === 0), `${name} always fires`);
  }
});

Deno.test("every alert has a section that says what it means, what to look at and what to do, and no other has", async () => {
  const text = await Deno.readTextFile(`${ROOT}/docs/alerts.md`);
  const sections = new Map(
    text.split(/^### /m).slice(1).map((section) => [section.split("\n", 1)[0] ?? "", section]),
  );
  deepEqual([...sections.keys()].sort(), ALERTS.map(({ name }) => name).sort());
  for (const { name, expression } of ALERTS) {
    const section = sections.get(name) ?? "";
    match(section, /\*\*Means:\*\* .*\*\*Look at:\*\* .*\*\*Do:\*\* /s, name);
    for (const collector of switchedOffCollectors(expression)) {
      ok(section.includes(`--collector.${collector}`), `${name}: ${collector}`);
    }
  }
});

Deno.test("links within docs/alerts.md lead to sections that there are", async () => {
  const text = await Deno.readTextFile(`${ROOT}/docs/alerts.md`);
  const anchors = ALERTS.map(({ name }) => name.toLowerCase());
  for (const [, anchor = ""] of text.matchAll(/\]\(#([^)]+)\)/g)) {
    ok(anchors.includes(anchor), anchor);
  }
});

Deno.test("every recording rule reads families that there are, and has a test", async () => {
  const rules = await Deno.readTextFile(`${RATES}.rules.yml`);
  const { groups } = parse(rules) as {
    readonly groups: readonly {
      readonly rules: readonly { readonly record: string; readonly expr: string }[];
    }[];
  };
  const known = await knownFamilies();
  const tested = (await readTests(`${RATES}_test.yml`))
    .flatMap((test) => test["promql_expr_test"] ?? []).map(({ expr }) => expr.split("{")[0]);
  const records = groups.flatMap((group) => group.rules);
  ok(records.length > 0);
  for (const { record, expr } of records) {
    deepEqual(familiesIn(expr).filter((family) => !known.has(family)), [], record);
    ok(tested.includes(record), record);
  }
});

Deno.test("switchedOffCollectors() names what an expression needs beyond the defaults", () => {
  const cases: readonly (readonly [expression: string, collectors: readonly string[]])[] = [
    ["libvirt_nova_up == 0", []],
    ["libvirt_nova_instance_memory_used_ratio > 0.95", []],
    ["rate(libvirt_nova_instance_vcpu_steal_seconds_total[5m])", ["vcpu"]],
    [
      "libvirt_nova_instance_block_physical_bytes and libvirt_nova_storage_pool_state_code",
      ["block_capacity", "storage_pool"],
    ],
  ];
  for (const [expression, collectors] of cases) {
    deepEqual(switchedOffCollectors(expression), collectors);
  }
});

Deno.test("alertTable() tells severity, time and flags of an alert", () => {
  const alert = {
    name: "StealHigh",
    file: "x.alerts.yml",
    expression: "libvirt_nova_instance_vcpu_steal_seconds_total > 1",
    after: "15m",
    severity: "warning",
    annotations: {},
  };
  equal(
    alertTable([
      alert,
      { ...alert, name: "Defect", expression: "up", after: undefined },
      { ...alert, name: "Crashed", expression: "up", after: "1m" },
    ]).split("\n").slice(2).join("\n"),
    "| [`StealHigh`](#stealhigh) | warning | 15 minutes | `--collector.vcpu` |\n" +
      "| [`Defect`](#defect) | warning | at once |  |\n" +
      "| [`Crashed`](#crashed) | warning | 1 minute |  |\n",
  );
});
