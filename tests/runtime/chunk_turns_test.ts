import assert from "node:assert/strict";
import { withTurns } from "../../src/runtime/chunk_turns.ts";
import { goneQuirk, runUnder } from "../../testing/run_under.ts";
import { turnsDuring } from "../../testing/turns.ts";

Deno.test("withTurns() gives other work a turn after each chunk", async () => {
  const chunks = Array.from({ length: 5 }, (_, index) => Uint8Array.of(index));
  const given: number[] = [];
  const turns = await turnsDuring(async () => {
    for await (const [first = -1] of withTurns(chunks)) given.push(first);
  });
  assert.deepEqual(given, [0, 1, 2, 3, 4]);
  assert.ok(turns >= chunks.length, `${turns} turns`);
});

Deno.test("Deno compresses many chunks without a turn for other work", async () => {
  const turns = await runUnder(
    "Deno",
    `
    import { pipeline } from "node:stream/promises";
    import { setImmediate } from "node:timers";
    import { createGzip } from "node:zlib";
    const chunks = Array.from({ length: 100 }, (_, seed) =>
      new Uint8Array(50_000).map((_, index) => (index * 7_919 + seed) % 251));
    let turns = 0;
    let isDone = false;
    const work = () => {
      turns += 1;
      if (!isDone) setImmediate(work);
    };
    setImmediate(work);
    await pipeline(chunks, createGzip(), async (pieces) => {
      for await (const piece of pieces);
    });
    isDone = true;
    console.log(turns);
  `,
  );
  assert.ok(
    Number(turns) < 100,
    goneQuirk("Deno", "compresses on the JavaScript thread", "chunk_turns.ts"),
  );
});
