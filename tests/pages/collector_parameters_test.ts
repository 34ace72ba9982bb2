import assert from "node:assert/strict";
import { collectorParameters } from "../../src/pages/collector_parameters.ts";

Deno.test("collectorParameters() returns all values of collect[], decoded, in their order", async (t) => {
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ["", []],
    ["other=1", []],
    ["collect[]=cpu", ["cpu"]],
    ["collect[]=memory&x=1&collect[]=cpu&collect[]=memory", ["memory", "cpu", "memory"]],
    ["collect%5B%5D=cpu&collect%5b%5d=memory", ["cpu", "memory"]],
    ["%63ollect[]=c%70u", ["cpu"]],
    ["collect[]=two+words", ["two words"]],
    ["collect[]=", [""]],
    ["collect[]", [""]],
    ["collect[]=a=b", ["a=b"]],
    ["?collect[]=cpu", ["cpu"]],
    ["&&collect[]=cpu&", ["cpu"]],
    ["collect=cpu&collect[0]=cpu&Collect[]=cpu&exclude[]=cpu", []],
  ];
  for (const [query, expected] of cases) {
    await t.step(query, () => assert.deepEqual(collectorParameters(query).collect, expected));
  }
});

Deno.test("collectorParameters() makes names that no collector has of malformed encodings", async (t) => {
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ["collect[]=%", ["%"]],
    ["collect[]=%zz&collect[]=cpu", ["%zz", "cpu"]],
    ["collect[]=cpu%ff", ["cpu\ufffd"]],
    ["collect[]=%c3", ["\ufffd"]],
    ["collect[]=cpu%00", ["cpu\0"]],
    ["collect%5B%5=cpu", []],
  ];
  for (const [query, expected] of cases) {
    await t.step(query, () => assert.deepEqual(collectorParameters(query).collect, expected));
  }
});

Deno.test("collectorParameters() returns all values of exclude[] likewise", () => {
  const { collect, exclude } = collectorParameters(
    "exclude[]=memory&x=1&exclude%5B%5D=c%70u&Exclude[]=state",
  );
  assert.deepEqual(exclude, ["memory", "cpu"]);
  assert.deepEqual(collect, []);
});

Deno.test("collectorParameters() tells of a parameter that lacks its brackets", () => {
  const cases: readonly (readonly [query: string, name: string | undefined])[] = [
    ["collect=cpu", "collect"],
    ["collect[]=cpu&%65xclude", "exclude"],
    ["collect[]=cpu&collected=1&Collect=1&collect[0]=1&target=collect", undefined],
  ];
  for (const [query, name] of cases) {
    assert.equal(collectorParameters(query).withoutBrackets, name, query);
  }
});
