import assert from "node:assert/strict";
import { scrapeTimeoutMilliseconds } from "../../src/pages/scrape_timeout.ts";

Deno.test("scrapeTimeoutMilliseconds() leaves a margin of what Prometheus gives, and ignores nonsense", () => {
  const cases: readonly (readonly [string | undefined, number])[] = [
    ["10", 9_000],
    ["10.000000", 9_000],
    [" 2 ", 1_800],
    ["0.1", 75],
    ["0.02", Infinity],
    ["0", Infinity],
    ["-1", Infinity],
    ["1e3", Infinity],
    ["NaN", Infinity],
    ["10s", Infinity],
    ["", Infinity],
    ["9".repeat(400), Infinity],
    [undefined, Infinity],
  ];
  for (const [header, expected] of cases) {
    assert.equal(scrapeTimeoutMilliseconds(header), expected, String(header));
  }
});
