import assert from "node:assert/strict";
import type { Page } from "../../src/web/answer.ts";
import { healthyPage, readyPage } from "../../src/pages/health.ts";
import type { ExporterStatus } from "../../src/scrape/status.ts";

const STATE: ExporterStatus = {
  version: "1",
  runtime: "bun",
  isUp: undefined,
  reason: undefined,
  instances: undefined,
  unread: 0,
  filtered: 0,
  collectedAt: undefined,
  problems: [],
  pastProblems: [],
};

const summary = ({ status, chunks }: Page): readonly [number, string] => [
  status,
  chunks.map((chunk) => new TextDecoder().decode(chunk)).join(""),
];

Deno.test("healthyPage() says that the exporter runs", () => {
  assert.deepEqual(summary(healthyPage()), [200, "Healthy\n"]);
});

Deno.test("readyPage() says whether libvirt answers, and why not, on one line", () => {
  assert.deepEqual(summary(readyPage({ ...STATE, isUp: true })), [200, "Ready\n"]);
  assert.deepEqual(summary(readyPage(STATE)), [503, "Not ready: libvirt has not been asked yet\n"]);
  const down = { ...STATE, isUp: false, reason: "no\r\nsocket \u001b[31m\u202e!" };
  assert.deepEqual(summary(readyPage(down)), [
    503,
    "Not ready: libvirt is not available: no socket  [31m !\n",
  ]);
});
