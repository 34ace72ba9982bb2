import { match, ok, strictEqual as equal } from "node:assert/strict";
import { settingsFile } from "./configuration.ts";
import { isGood, outcome, type Report, withReport } from "./report.ts";

const GOOD: Report = {
  rows: [
    { name: "boot", remark: "", pages: 1, differences: [] },
    { name: "rename", remark: "the old name", pages: 1, differences: [] },
  ],
  rules: {
    recording: 2,
    alerting: 1,
    broken: [],
    firing: [],
    pending: ["HostGone"],
    failedScrapes: 0,
    emptyPages: 0,
  },
};

const DOCUMENT = "# Title\n\n<!-- results:begin by hand -->\n\nold\n\n<!-- results:end -->\n";

Deno.test("isGood() is true while nothing differs, whatever has been pending", () => {
  ok(isGood(GOOD));
});

Deno.test("isGood() is false for each thing that is not as it ought to be", () => {
  const [row] = GOOD.rows;
  ok(row);
  const cases: readonly Report[] = [
    { ...GOOD, rows: [] },
    { ...GOOD, rows: [{ ...row, differences: ["state is 1"] }] },
    { ...GOOD, rows: [{ ...row, pages: 2 }] },
    { ...GOOD, rules: { ...GOOD.rules, broken: ["a: many-to-many"] } },
    { ...GOOD, rules: { ...GOOD.rules, firing: ["HostGone"] } },
    { ...GOOD, rules: { ...GOOD.rules, emptyPages: 1 } },
    { ...GOOD, rules: { ...GOOD.rules, recording: 0 } },
    { ...GOOD, rules: { ...GOOD.rules, alerting: 0 } },
  ];
  for (const report of cases) equal(isGood(report), false, JSON.stringify(report));
});

Deno.test("withReport() replaces the old results", () => {
  const document = withReport(DOCUMENT, GOOD);
  match(document, /\| boot \| as Nova and virsh say \| agrees \|/);
  match(document, /\| rename \| the old name \| agrees \|/);
  match(document, /\| alerts that were pending for a while \| `HostGone` \|/);
  ok(!document.includes("old\n\n<!--"));
});

Deno.test("withReport() writes each difference into the operation's row", () => {
  const rows = [{ name: "boot", remark: "", pages: 9, differences: ["a is 1\nb", "c is 2"] }];
  match(withReport(DOCUMENT, { ...GOOD, rows }), /\| boot \| .* \| a is 1 b; c is 2 \|/);
});

Deno.test("outcome() tells which page agreed when it was not the first", () => {
  const row = { name: "rename", remark: "", pages: 2, differences: [] };
  equal(outcome(row), "agrees from page 2 on only");
});

Deno.test("withReport() finds its place in the document that the project has", async () => {
  const document = await Deno.readTextFile(new URL("../../docs/openstack.md", import.meta.url));
  match(withReport(document, GOOD), /`HostGone`/);
});

Deno.test("settingsFile() writes a section for each group of settings", () => {
  equal(
    settingsFile({ a: { b: 1, c: "x" }, d: { e: true } }),
    "[a]\nb = 1\nc = x\n\n[d]\ne = true\n",
  );
});
