import assert from "node:assert/strict";
import { createRateLimiter } from "../src/web/rate_limit.ts";

Deno.test("createRateLimiter() lets a burst pass, then one request for each interval", () => {
  let now = 1_000;
  const limiter = createRateLimiter({ intervalMilliseconds: 100, burst: 3 }, () => now);
  const take = (count: number): boolean[] => Array.from({ length: count }, () => limiter.take());
  assert.deepEqual(take(4), [true, true, true, false]);
  now += 99;
  assert.deepEqual(take(1), [false]);
  now += 1;
  assert.deepEqual(take(2), [true, false]);
  now += 1_000_000;
  assert.deepEqual(take(4), [true, true, true, false]);
});
