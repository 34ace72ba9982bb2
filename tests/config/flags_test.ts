import assert from "node:assert/strict";
import { FLAGS, type GivenFlags, isSwitchedOn } from "../../src/config/flags.ts";

Deno.test("isSwitchedOn() goes by the last time a switch was given, else by its default", () => {
  for (const byDefault of [true, false]) {
    const flag = { ...FLAGS.once, default: byDefault };
    assert.equal(isSwitchedOn(flag, new Map()), byDefault);
    assert.equal(isSwitchedOn(flag, given(["once", "false", "true"])), true);
    assert.equal(isSwitchedOn(flag, given(["once", "true", "false"])), false);
  }
});

Deno.test("FLAGS has names that differ, defaults that are valid, and descriptions in one style", () => {
  const flags = Object.values(FLAGS);
  assert.equal(new Set(flags.map(({ name }) => name)).size, flags.length);
  for (const flag of flags) {
    assert.match(flag.name, /^[a-z]+(?:[.-][a-z]+)*$/);
    assert.match(flag.description, /^[A-Z].*[^.]$/);
    if ("parse" in flag && flag.default !== undefined) flag.parse(flag.default);
  }
});

function given(...entries: readonly (readonly [name: string, ...texts: string[]])[]): GivenFlags {
  return new Map(entries.map(([name, ...texts]) => [name, texts]));
}
