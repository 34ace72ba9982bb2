import assert from "node:assert/strict";
import { escapeRoff, manPage } from "../../scripts/generate_man.ts";
import type { Flag } from "../../src/config/flags.ts";

const OPTIONS = { version: "1.2.3", date: "2026-11-24" };

const SAMPLE: readonly Flag[] = [
  {
    name: "log.level",
    group: "log",
    valueName: "LEVEL",
    default: "info",
    description: "Least level",
    parse: String,
  },
  {
    name: "web.address",
    group: "web",
    valueName: "A",
    default: undefined,
    description: "Where",
    parse: String,
  },
  {
    name: "collector.disk",
    group: "libvirt",
    default: true,
    negatable: true,
    description: "Disks",
  },
  { name: "help", letter: "h", group: "other", default: false, description: ".hidden 'x' C:\\x" },
];

Deno.test("manPage() has each flag in its group, with its default", () => {
  const page = manPage(SAMPLE, OPTIONS);
  assert.match(page, /^\.TH LIBVIRT_NOVA_EXPORTER 1 "2026-11-24" "libvirt_nova_exporter 1\.2\.3"/);
  const groups = Array.from(page.matchAll(/^\.SS (.*)$/gm), ([, heading]) => heading);
  assert.deepEqual(groups, ["Libvirt", "Web server", "Log", "Other"]);
  assert.ok(page.includes(
    ".TP\n\\fB\\-\\-log.level\\fR \\fILEVEL\\fR\nLeast level.\nDefault: \\fBinfo\\fR.\n",
  ));
  assert.ok(page.includes(".TP\n\\fB\\-\\-web.address\\fR \\fIA\\fR\nWhere.\n.SS"));
  assert.ok(page.includes(
    "\\fB\\-\\-collector.disk\\fR, \\fB\\-\\-no\\-collector.disk\\fR\nDisks.\nDefault: on.\n",
  ));
  assert.ok(page.includes("\\fB\\-h\\fR, \\fB\\-\\-help\\fR\n\\&.hidden 'x' C:\\ex.\n"));
});

Deno.test("escapeRoff() leaves nothing that roff takes for a command", () => {
  const cases = [
    ["a-b", "a\\-b"],
    ["a\\fBb", "a\\efBb"],
    [".x\n'y\nz.", "\\&.x\n\\&'y\nz."],
    ["", ""],
  ] as const;
  for (const [text, expected] of cases) assert.equal(escapeRoff(text), expected);
});
