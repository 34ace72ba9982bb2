import { strictEqual as equal } from "node:assert/strict";
import { quicken } from "./quick_time.ts";

Deno.test("quicken() makes durations shorter, wherever Prometheus and VictoriaMetrics have them, and nothing else", () => {
  const cases: readonly (readonly [text: string, expected: string])[] = [
    ["rate(x_total[5m])", "rate(x_total[15000ms])"],
    ["x offset 5m", "x offset 15000ms"],
    ["(x offset 1h) / 5", "(x offset 180000ms) / 5"],
    ["for: 10m", "for: 30000ms"],
    ["dedup_minScrapeInterval=30s", "dedup_minScrapeInterval=1500ms"],
    ["record: a:b:rate5m", "record: a:b:rate5m"],
    ["a:b:rate5m > 5", "a:b:rate5m > 5"],
    ['summary: "for 5 minutes"', 'summary: "for 5 minutes"'],
    ["topk(10, x{a='1m'})", "topk(10, x{a='1m'})"],
    ["severity: 5mm", "severity: 5mm"],
  ];
  for (const [text, expected] of cases) equal(quicken(text, 20), expected);
});
