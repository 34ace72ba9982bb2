import assert from "node:assert/strict";
import { type CollectionKind, Turns } from "../../src/scrape/turns.ts";

/** The order in which tasks run that wait together. */
async function orderOf(kinds: readonly CollectionKind[]): Promise<readonly number[]> {
  const turns = new Turns();
  const order: number[] = [];
  await Promise.all(kinds.map((kind, number) =>
    turns.run(kind, () => {
      order.push(number);
      return Promise.resolve();
    })
  ));
  return order;
}

Deno.test("Turns alternates between the kinds of tasks, and keeps the order of each kind", async () => {
  const cases: readonly (readonly [kinds: readonly CollectionKind[], order: readonly number[]])[] =
    [
      [["choice", "choice", "choice"], [0, 1, 2]],
      [["all", "all"], [0, 1]],
      [["choice", "choice", "choice", "all"], [3, 0, 1, 2]],
      [["all", "all", "choice", "choice", "all"], [0, 2, 1, 3, 4]],
    ];
  for (const [kinds, order] of cases) assert.deepEqual(await orderOf(kinds), order);
});

Deno.test("Turns runs one task at a time, and the next whatever became of it", async () => {
  const turns = new Turns();
  const gate = Promise.withResolvers<string>();
  const started: number[] = [];
  const first = turns.run("choice", () => {
    started.push(1);
    return gate.promise;
  });
  const second = turns.run("choice", () => {
    started.push(2);
    return Promise.resolve("second");
  });
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(started, [1]);
  gate.reject(new Error("on purpose"));
  await assert.rejects(first, /on purpose/);
  assert.equal(await second, "second");
  assert.equal(await turns.run("all", () => Promise.resolve("third")), "third");
  await assert.rejects(turns.run("all", () => Promise.reject(new Error("again"))), /again/);
});
