import assert from "node:assert/strict";
import { slowest, testTimes } from "../../scripts/test_runs.ts";

Deno.test("testTimes() reads how long tests took, and not their steps", () => {
  const output = [
    "running 3 tests from ./tests/a_test.ts",
    "a quick one ... ok (12ms)",
    "one with steps ...",
    "  a step ... ok (2s)",
    "one with steps ... ok (3s)",
    "one that failed ... FAILED (1m2s)",
    "one that takes nothing ... ok (87µs)",
    "",
    "ok | 3 passed (1 step) | 1 failed (66s)",
  ].join("\n");
  assert.deepEqual(testTimes(output), [
    { name: "a quick one", seconds: 0.012 },
    { name: "one with steps", seconds: 3 },
    { name: "one that failed", seconds: 62 },
  ]);
});

Deno.test("slowest() sorts by time and takes the first", () => {
  const tests = [1, 3, 2].map((seconds) => ({ name: `${seconds}`, seconds }));
  assert.deepEqual(slowest(tests, 2).map(({ name }) => name), ["3", "2"]);
  assert.deepEqual(slowest(tests, 9).map(({ name }) => name), ["3", "2", "1"]);
});
