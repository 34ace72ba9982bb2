import assert from "node:assert/strict";
import { type Line, Turns } from "../src/turns.ts";

/** The order in which tasks run that wait together. */
async function orderOf(lines: readonly Line[]): Promise<readonly number[]> {
  const turns = new Turns();
  const order: number[] = [];
  await Promise.all(lines.map((line, number) =>
    turns.run(line, () => {
      order.push(number);
      return Promise.resolve();
    })
  ));
  return order;
}

Deno.test("Turns lets each line have its turn, and each task that of its line", async () => {
  const cases: readonly (readonly [lines: readonly Line[], order: readonly number[]])[] = [
    [["part", "part", "part"], [0, 1, 2]],
    [["whole", "whole"], [0, 1]],
    [["part", "part", "part", "whole"], [3, 0, 1, 2]],
    [["whole", "whole", "part", "part", "whole"], [0, 2, 1, 3, 4]],
  ];
  for (const [lines, order] of cases) assert.deepEqual(await orderOf(lines), order);
});

Deno.test("Turns runs one task at a time, and the next whatever became of it", async () => {
  const turns = new Turns();
  const gate = Promise.withResolvers<string>();
  const started: number[] = [];
  const first = turns.run("part", () => {
    started.push(1);
    return gate.promise;
  });
  const second = turns.run("part", () => {
    started.push(2);
    return Promise.resolve("second");
  });
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(started, [1]);
  gate.reject(new Error("on purpose"));
  await assert.rejects(first, /on purpose/);
  assert.equal(await second, "second");
  assert.equal(await turns.run("whole", () => Promise.resolve("third")), "third");
  await assert.rejects(turns.run("whole", () => Promise.reject(new Error("again"))), /again/);
});
