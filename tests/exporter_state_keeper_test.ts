import assert from "node:assert/strict";
import { keepExporterState } from "../src/exporter_state_keeper.ts";
import type { ScrapeResult } from "../src/scrape.ts";

const BUILD = { version: "1", runtime: "bun", architecture: "x64" };
const UP: ScrapeResult = { isUp: true, reason: undefined, unread: 2, page: [] };
const DOWN: ScrapeResult = { isUp: false, reason: "no socket", unread: 0, page: [] };

Deno.test("keepExporterState() knows nothing before the first collection, then what the last one found", () => {
  const keeper = keepExporterState(BUILD, () => Promise.resolve(UP));
  assert.equal(keeper.current().isUp, undefined);
  assert.equal(keeper.current().collectedAt, undefined);
  keeper.note(UP);
  assert.equal(keeper.current().isUp, true);
  assert.equal(keeper.current().unread, 2);
  keeper.note(DOWN);
  assert.equal(keeper.current().isUp, false);
  assert.equal(keeper.current().reason, "no socket");
  assert.ok(keeper.current().collectedAt instanceof Date);
});

Deno.test("keepExporterState() begins a collection when the last one is old, and no second one meanwhile", async () => {
  let now = 0;
  let collections = 0;
  const keeper = keepExporterState(BUILD, () => {
    collections++;
    return Promise.resolve(UP);
  }, () => now);
  keeper.note(DOWN);
  for (const [milliseconds, expected] of [[4_999, 0], [1, 1], [1, 1]] as const) {
    now += milliseconds;
    keeper.refresh();
    assert.equal(collections, expected);
  }
  await Promise.resolve();
  assert.equal(keeper.current().isUp, true);
  for (const [milliseconds, expected] of [[59_000, 1], [1_000, 2]] as const) {
    now += milliseconds;
    keeper.refresh();
    assert.equal(collections, expected);
  }
});
