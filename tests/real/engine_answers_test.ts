import { deepStrictEqual as deepEqual } from "node:assert/strict";
import { type Answer, compareAnswers } from "./engine_answers.ts";

function answer(values: Readonly<Record<string, number>>): Answer {
  return new Map(Object.entries(values));
}

Deno.test("compareAnswers() wants the same series of both, and values that are near where they are steady", () => {
  const steady = [answer({ a: 100 }), answer({ a: 100.5 }), answer({ a: 101 })];
  const cases: readonly (readonly [
    expected: Answer[],
    actual: Answer,
    steady: readonly string[],
    differences: readonly string[],
  ])[] = [
    [steady, answer({ a: 102 }), ["a"], []],
    [steady, answer({ a: 104 }), ["a"], ["101, not 104: a"]],
    [[answer({ a: 100 }), answer({ a: 150 })], answer({ a: 9 }), [], []],
    // One that has just begun has had no value before.
    [[answer({}), answer({ a: 1 })], answer({ a: 2 }), [], []],
    [[answer({ a: 0, b: 0 })], answer({ b: 0, c: 1 }), ["b"], ["lacks a", "has c"]],
    [[answer({})], answer({}), [], []],
  ];
  for (const [expected, actual, steadySeries, differences] of cases) {
    deepEqual(compareAnswers(expected, actual), { steady: new Set(steadySeries), differences });
  }
});

Deno.test("compareAnswers() leaves out series that do not count", () => {
  const comparison = compareAnswers(
    [answer({ a: 1, b: 1 })],
    answer({ a: 1, c: 1 }),
    (series) => series === "a",
  );
  deepEqual(comparison, { steady: new Set(["a"]), differences: [] });
});
