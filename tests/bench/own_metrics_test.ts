import { strictEqual as equal } from "node:assert/strict";
import { readOwnMetrics } from "../../bench/fleet/own_metrics.ts";

Deno.test("readOwnMetrics() sums a family over labels and programs", () => {
  const own = readOwnMetrics([
    '# TYPE a counter\na{type="x",b="1"} 1\na{type="y"} 2.5\nab 7\n',
    'a{type="x"} 1e3\n',
  ]);
  const cases: readonly (readonly [family: string, labels: RegExp | undefined, sum: number])[] = [
    ["a", undefined, 1003.5],
    ["a", /type="x"/, 1001],
    ["ab", undefined, 7],
    ["c", undefined, 0],
  ];
  for (const [family, labels, sum] of cases) equal(own.sum(family, labels), sum);
});
