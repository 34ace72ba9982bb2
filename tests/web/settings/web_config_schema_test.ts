import assert from "node:assert/strict";
import { LineCounter, parseDocument } from "yaml";
import {
  documentValue,
  type Value,
  WebConfigError,
} from "../../../src/web/settings/web_config_schema.ts";

function read(text: string): Value {
  const lines = new LineCounter();
  return documentValue("f", parseDocument(text, { lineCounter: lines }), lines);
}

Deno.test("documentValue() says for each value where it stands", () => {
  const value = read("a:\n  b:\n    - x\n    - 1\n");
  const { a } = value.fields(["a", "other"]);
  const [first, second] = a.fields(["b"]).b.items();
  assert.equal(first?.text(), "x");
  assert.throws(
    () => second?.text(),
    /^WebConfigError: Web configuration "f" line 4: a\.b\[1\]: expected a text/,
  );
});

Deno.test("documentValue() says where a missing value would stand", () => {
  const { a } = read("x: 1\na:\n  b: 1").fields(["a", "x"]);
  assert.match(a.fields(["b", "c"]).c.error("missing").message, /line 3: a\.c: missing$/);
});

Deno.test("a value is empty when nothing stands there", () => {
  const { a, b, c, d } = read('a:\nb: ~\nc: ""').fields(["a", "b", "c", "d"]);
  assert.deepEqual([a, b, c, d].map(({ isEmpty }) => isEmpty), [true, true, false, true]);
  assert.deepEqual([a, b, c, d].map((value) => value.text()), Array(4).fill(undefined));
  assert.deepEqual([a, b, d].map((value) => value.items()), [[], [], []]);
  assert.equal(d.boolean(true), true);
});

Deno.test("a key that is not known is an error, also one that every object has", () => {
  for (const key of ["z", "constructor", "__proto__", "toString"]) {
    assert.throws(() => read(`${key}: 1`).fields(["a"]), WebConfigError);
  }
});

Deno.test("no error shows what follows a user's name in a key, where a password or a hash may stand", () => {
  const cases: readonly (readonly [text: string, says: RegExp])[] = [
    ["'alice:sesame': 1", /unknown key "alice…"/],
    ["'alice:$2y$10$sesame': 1", /unknown key "alice…"/],
    ["$2y$10$sesame: alice", /unknown key "…"/],
  ];
  for (const [text, says] of cases) {
    assert.throws(() => read(text).fields(["a"]), (error) => {
      assert.ok(error instanceof WebConfigError);
      assert.match(error.message, says);
      return !error.message.includes("sesame");
    });
    const [[, value] = []] = read(text).entries();
    assert.ok(value);
    assert.match(value.error("wrong").message, /line 1: "(?:alice)?…": wrong$/);
  }
});
