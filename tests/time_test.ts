import assert from "node:assert/strict";
import { Allowance, isDoneWithin, toSeconds, withinTime } from "../src/time.ts";

const SOON = 1;
const LATE = 1_000_000;

const never = new Promise<never>(() => {});

Deno.test("toSeconds() keeps microseconds", () => {
  const cases: readonly (readonly [milliseconds: number, seconds: number])[] = [
    [0, 0],
    [1_500, 1.5],
    [0.024256000000036693, 0.000024],
    [0.0001, 0],
  ];
  for (const [milliseconds, seconds] of cases) assert.equal(toSeconds(milliseconds), seconds);
});

Deno.test("withinTime() gives what the promise gives, or undefined when that is late", async () => {
  assert.equal(await withinTime(Promise.resolve("in time"), LATE), "in time");
  assert.equal(await withinTime(never, SOON), undefined);
  await assert.rejects(withinTime(Promise.reject(new Error("on purpose")), LATE), /on purpose/);
});

Deno.test("isDoneWithin() says whether a promise is fulfilled in time, whatever it gives", async () => {
  assert.equal(await isDoneWithin(Promise.resolve(undefined), LATE), true);
  assert.equal(await isDoneWithin(never, SOON), false);
});

Deno.test("Allowance allows some at once, and then one whenever an interval has passed", () => {
  const allowance = new Allowance(2, 10);
  const take = (...times: readonly number[]): readonly boolean[] =>
    times.map((now) => allowance.take(now));
  assert.ok(allowance.isFull(0));
  assert.deepEqual(take(0, 0, 0, 9), [true, true, false, false]);
  assert.ok(allowance.isEmpty(9));
  assert.deepEqual(take(10, 10), [true, false]);
  assert.ok(!allowance.isFull(25));
  assert.ok(allowance.isFull(1_000));
  assert.deepEqual(take(1_000, 1_000, 1_000), [true, true, false]);
});

Deno.test("Allowance lets a burst pass, then one for each interval", () => {
  let now = 1_000;
  const allowance = new Allowance(3, 100);
  const take = (count: number): boolean[] =>
    Array.from({ length: count }, () => allowance.take(now));
  assert.deepEqual(take(4), [true, true, true, false]);
  now += 99;
  assert.deepEqual(take(1), [false]);
  now += 1;
  assert.deepEqual(take(2), [true, false]);
  now += 1_000_000;
  assert.deepEqual(take(4), [true, true, true, false]);
});
