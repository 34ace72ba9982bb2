import assert from "node:assert/strict";
import { parseCollectorCosts, readCollectorCosts } from "../../scripts/collector_costs.ts";
import { COLLECTORS } from "../../src/metrics/mod.ts";

Deno.test("parseCollectorCosts() reads what the benchmark writes", () => {
  const cost = { wallMillisecondsPerInstance: 1.5, cpuMillisecondsPerInstance: 0.25 };
  const { conditions, collectors } = parseCollectorCosts(
    JSON.stringify({ conditions: "twenty guests", collectors: { cpu: cost } }),
  );
  assert.equal(conditions, "twenty guests");
  assert.deepEqual([...collectors], [["cpu", cost]]);
});

Deno.test("parseCollectorCosts() says what is wrong with the file", () => {
  for (
    const [text, reason] of [
      ["{", /is malformed: .*JSON/],
      ["[]", /the file is no object/],
      ["{}", /"conditions" is no text/],
      ['{"conditions":""}', /"collectors" is no object/],
      ['{"conditions":"","collectors":{"cpu":1}}', /"cpu" is no object/],
      [
        '{"conditions":"","collectors":{"cpu":{"wallMillisecondsPerInstance":"1"}}}',
        /"wallMillisecondsPerInstance" of "cpu" is no number/,
      ],
    ] as const
  ) {
    assert.throws(() => parseCollectorCosts(text), reason, text);
  }
});

Deno.test("docs/collector_costs.json has no collector that does not exist", async () => {
  const names = new Set(COLLECTORS.map(({ name }) => name));
  const { collectors } = await readCollectorCosts();
  assert.deepEqual([...collectors.keys()].filter((name) => !names.has(name)), []);
});
