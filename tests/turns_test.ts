import assert from "node:assert/strict";
import { Turns } from "../src/turns.ts";

/** Takes a turn for each of the names, in their order while the first is kept; gives the order in which they went. */
async function order(names: readonly string[]): Promise<string> {
  const turns = new Turns();
  const went: string[] = [];
  await turns.take(false);
  const all = names.map(async (name) => {
    await turns.take(name === name.toUpperCase());
    went.push(name);
    await Promise.resolve();
    turns.end();
  });
  turns.end();
  await Promise.all(all);
  return went.join("");
}

Deno.test("Turns lets those who are preferred go first, and the others in between", async () => {
  const cases: readonly (readonly [came: string, went: string])[] = [
    ["", ""],
    ["a", "a"],
    ["abc", "abc"],
    ["ABC", "ABC"],
    ["abcA", "Aabc"],
    ["abcAB", "AaBbc"],
    ["ABCab", "AaBbC"],
  ];
  for (const [came, went] of cases) assert.equal(await order([...came]), went);
});

Deno.test("Turns lets one go at a time, whoever comes when", async () => {
  const turns = new Turns();
  let going = 0;
  let most = 0;
  const go = async (isPreferred: boolean): Promise<void> => {
    await turns.take(isPreferred);
    most = Math.max(most, ++going);
    await Promise.resolve();
    going--;
    turns.end();
    // Comes between the end of a turn and the beginning of the next.
    if (most < 3 && isPreferred) await turns.take(false).then(() => turns.end());
  };
  await Promise.all(Array.from({ length: 50 }, (_, index) => go(index % 3 === 0)));
  assert.equal(most, 1);
  assert.equal(going, 0);
});
