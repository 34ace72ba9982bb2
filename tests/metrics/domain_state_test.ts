import assert from "node:assert/strict";
import { reasonName, STATE_NAMES, stateName } from "../../src/metrics/domain_state.ts";

Deno.test("stateName() and reasonName() give libvirt's names, and the number of what a later libvirt has added", () => {
  const cases: readonly (readonly [state: number, reason: number, expected: string])[] = [
    [0, 0, "none unknown"],
    [1, 1, "running booted"],
    [1, 5, "running unpaused"],
    [3, 1, "paused user"],
    [3, 5, "paused io_error"],
    [4, 1, "shutdown user"],
    [5, 2, "shutoff destroyed"],
    [6, 1, "crashed panicked"],
    [7, 0, "suspended unknown"],
    [1, 99, "running 99"],
    [42, 3, "42 3"],
    [-1, 0, "-1 0"],
  ];
  for (const [state, reason, expected] of cases) {
    assert.equal(`${stateName(state)} ${reasonName(state, reason)}`, expected);
  }
});

Deno.test("STATE_NAMES has a name of its own for each state", () => {
  assert.equal(STATE_NAMES.length, 8);
  assert.equal(new Set(STATE_NAMES).size, 8);
});
