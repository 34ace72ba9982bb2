import assert from "node:assert/strict";
import { type Condition, ConditionLog, conditionText } from "../../src/scrape/conditions.ts";
import type { LogFields, LogWriter } from "../../src/log/line.ts";

/** A log that keeps its lines: level, message, and the values of the fields. */
function recorder(): { lines: string[]; log: LogWriter } {
  const lines: string[] = [];
  const at = (level: string) => (message: string, fields: LogFields = {}): void => {
    lines.push([level, message, ...Object.values(fields)].join(" "));
  };
  return {
    lines,
    log: { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") },
  };
}

const condition = (message: string): Condition => ({ level: "warn", message });

Deno.test("ConditionLog writes a line when a condition begins and when it ends, none while it lasts", () => {
  const { lines, log } = recorder();
  const conditions = new ConditionLog(log);
  conditions.report(new Map());
  conditions.report(new Map([["a", condition("A is down")]]));
  conditions.report(new Map([["a", condition("A is down, another reason")]]));
  conditions.report(new Map([["b", condition("B is down")]]));
  conditions.report(new Map());
  assert.deepEqual(lines, [
    "warn A is down",
    "warn B is down",
    "info Over: A is down",
    "info Over: B is down",
  ]);
});

Deno.test("ConditionLog keeps since when something is the matter, and what the log has said of what is over", () => {
  const { log } = recorder();
  let minute = 0;
  const at = (minutes: number): Date => new Date(Date.UTC(2026, 10, 24, 12, minutes));
  const conditions = new ConditionLog(log, () => minute * 60_000, () => at(minute));
  const hung = (...names: readonly string[]): Condition => ({
    ...condition("A guest hangs"),
    affected: { kind: "instance", names },
  });
  conditions.report(new Map([["hung", hung("a")]]));
  minute = 1;
  conditions.report(new Map([["hung", hung("a", "b")]]));
  const message = "A guest hangs";
  assert.deepEqual(conditions.current, [
    { text: "A guest hangs: a, b", message, since: at(0), until: undefined },
  ]);
  assert.deepEqual(conditions.past, []);
  minute = 2;
  conditions.report(new Map([["down", condition("Down")]]));
  assert.deepEqual(conditions.past, [
    { text: "A guest hangs: a, b", message, since: at(0), until: at(2) },
  ]);
  minute = 3;
  conditions.report(new Map());
  assert.deepEqual(conditions.current, []);
  assert.deepEqual(conditions.past.map(({ text }) => text), ["Down", "A guest hangs: a, b"]);
});

Deno.test("ConditionLog keeps ten of what is over, and nothing that the log has not said", () => {
  const { lines, log } = recorder();
  const conditions = new ConditionLog(log, () => 0);
  const many = Array.from(
    { length: 30 },
    (_, number) => [`key ${number}`, condition(`Number ${number}`)] as const,
  );
  conditions.report(new Map(many));
  const told = lines.filter((line) => line.startsWith("warn Number"));
  assert.ok(told.length < many.length);
  conditions.report(new Map(many.slice(-1)));
  assert.equal(conditions.past.length, 10);
  for (const { text } of conditions.past) assert.ok(told.includes(`warn ${text}`), text);
});

Deno.test("ConditionLog ends what a report has found only with one that looked for as much", () => {
  const { lines, log } = recorder();
  const conditions = new ConditionLog(log);
  const hung = new Map([["hung", condition("A guest hangs")]]);
  const messages = (): readonly string[] => conditions.current.map(({ message }) => message);
  conditions.report(hung, new Set(["cpu", "memory"]));
  conditions.report(new Map(), new Set(["cpu"]));
  conditions.report(new Map([["failing", condition("A call fails")]]), new Set(["job"]));
  assert.deepEqual(messages(), ["A guest hangs", "A call fails"]);
  // What is found with less is over when less does not find it.
  conditions.report(hung, new Set(["memory"]));
  conditions.report(new Map(), new Set(["memory"]));
  assert.deepEqual(messages(), ["A call fails"]);
  conditions.report(new Map([["down", condition("Down")]]));
  assert.deepEqual(messages(), ["Down"]);
  conditions.report(new Map(), new Set(["cpu"]));
  assert.deepEqual(lines, [
    "warn A guest hangs",
    "warn A call fails",
    "info Over: A guest hangs",
    "warn Down",
    "info Over: A call fails",
    "info Over: Down",
  ]);
});

Deno.test("ConditionLog gives up what no report could confirm or end for ten minutes, and tells it anew", () => {
  const { lines, log } = recorder();
  const clock = { now: 0 };
  const conditions = new ConditionLog(log, () => clock.now);
  const hung = new Map([["hung", condition("A guest hangs")]]);
  const [wide, narrow] = [new Set(["cpu", "memory"]), new Set(["cpu"])];
  conditions.report(hung, wide);
  clock.now = 5 * MINUTE;
  conditions.report(hung, wide);
  clock.now = 15 * MINUTE - 1;
  conditions.report(new Map(), narrow);
  assert.equal(conditions.current.length, 1);
  clock.now += 1;
  conditions.report(new Map(), narrow);
  assert.deepEqual(conditions.current, []);
  // Nobody knows whether it is over.
  assert.deepEqual(conditions.past, []);
  conditions.report(hung, wide);
  assert.deepEqual(lines, [
    "warn A guest hangs",
    "info No longer looked for: A guest hangs",
    "warn A guest hangs",
  ]);
});

Deno.test("ConditionLog sums up when very much begins or ends at once", () => {
  const { lines, log } = recorder();
  const conditions = new ConditionLog(log);
  const many = new Map(
    Array.from({ length: 500 }, (_, number) => [`${number}`, condition("Hung")] as const),
  );
  conditions.report(many);
  assert.equal(lines.length, 21);
  assert.equal(lines.at(-1), "warn More of the same 480");
  conditions.report(new Map());
  assert.equal(lines.length, 42);
  assert.equal(lines.at(-1), "info More of the same is over 480");
});

const MINUTE = 60_000;

/** A log of conditions whose clock stands still unless it is set. */
function clocked(): {
  readonly lines: string[];
  readonly clock: { now: number };
  /** Reports the condition "Failing" of these, or that it is over when there are none. */
  report(...names: readonly string[]): readonly string[];
} {
  const { lines, log } = recorder();
  const clock = { now: 0 };
  const conditions = new ConditionLog(log, () => clock.now);
  return {
    lines,
    clock,
    report(...names): readonly string[] {
      const before = lines.length;
      const failing: Condition = {
        ...condition("Failing"),
        fields: { code: 1, reason: "why" },
        affected: { kind: "instance", names },
      };
      conditions.report(names.length === 0 ? new Map() : new Map([["failing", failing]]));
      return lines.slice(before);
    },
  };
}

Deno.test("ConditionLog names whom a condition concerns, those that come to it later, and at its end all of them", () => {
  const { report } = clocked();
  assert.deepEqual(report("a"), ["warn Failing 1 a why"]);
  assert.deepEqual(report("a"), []);
  // One heals and another one fails.
  assert.deepEqual(report("b"), ["warn Still: Failing 1 b why"]);
  assert.deepEqual(report("b", "c", "d", "a"), ["warn Still: Failing 1 c, d, b, a 4 why"]);
  assert.deepEqual(report("a", "c"), []);
  assert.deepEqual(report(), ["info Over: Failing 1 a, b, c, d 4 why"]);
  assert.deepEqual(report("e"), ["warn Failing 1 e why"]);
  assert.deepEqual(report(), ["info Over: Failing 1 e why"]);
});

Deno.test("ConditionLog names ten of many, and says how many they are", () => {
  const { report } = clocked();
  const names = Array.from({ length: 12 }, (_, number) => `i${number}`);
  assert.deepEqual(report(...names), [`warn Failing 1 ${names.slice(0, 10).join(", ")} 12 why`]);
  assert.deepEqual(report(...names, "new"), [
    `warn Still: Failing 1 new, ${names.slice(0, 9).join(", ")} 13 why`,
  ]);
});

Deno.test("ConditionLog writes few lines of a condition that concerns one after the other, and catches up later", () => {
  const { report, lines, clock } = clocked();
  for (let scrape = 0; scrape < 240; scrape++) {
    clock.now = scrape * MINUTE / 4;
    report(`i${scrape}`);
  }
  // Six at once, and one in half a minute of an hour.
  assert.ok(lines.length <= 6 + 120, `${lines.length}`);
  assert.ok(lines.length > 100, `${lines.length}`);
  clock.now += MINUTE;
  assert.deepEqual(report("i7"), ["warn Still: Failing 1 i7 why"]);
});

Deno.test("ConditionLog names one again that was concerned long before", () => {
  const { report, clock } = clocked();
  report("a");
  report("b");
  clock.now = 5 * MINUTE;
  assert.deepEqual(report("a", "b"), []);
  clock.now = 10 * MINUTE;
  assert.deepEqual(report("b"), []);
  clock.now = 16 * MINUTE;
  assert.deepEqual(report("b"), []);
  assert.deepEqual(report("a", "b"), ["warn Still: Failing 1 a, b 2 why"]);
});

Deno.test("ConditionLog writes as many ends as beginnings of a condition that comes and goes, and few of both", () => {
  for (const level of ["warn", "error"] as const) {
    const { lines, log } = recorder();
    const clock = { now: 0 };
    const conditions = new ConditionLog(log, () => clock.now);
    const present = new Map([["a", { level, message: "A is down" }]]);
    for (let scrape = 0; scrape < 240; scrape++) {
      clock.now = scrape * MINUTE / 4;
      conditions.report(scrape % 2 === 0 ? present : new Map());
    }
    const begun = lines.filter((line) => line.startsWith(level)).length;
    assert.equal(lines.length, 2 * begun);
    assert.ok(begun <= 6 + 120, `${begun}`);
    // What lasts is told as soon as there is a line for it.
    const before = lines.length;
    for (let scrape = 0; scrape < 4; scrape++) {
      clock.now += MINUTE / 4;
      conditions.report(present);
    }
    assert.deepEqual(lines.slice(before), [`${level} A is down`]);
  }
});

Deno.test("ConditionLog writes some twenty lines a minute when a hundred conditions begin at once, and has told all of them in the end", () => {
  const { lines, log } = recorder();
  const clock = { now: 0 };
  const conditions = new ConditionLog(log, () => clock.now);
  const hung = new Map(
    Array.from({ length: 100 }, (_, number) => [`${number}`, condition(`Hung ${number}`)] as const),
  );
  const written: number[] = [];
  for (let minute = 0; minute < 6; minute++) {
    const before = lines.length;
    for (let scrape = 0; scrape < 4; scrape++) {
      clock.now = minute * MINUTE + scrape * MINUTE / 4;
      conditions.report(hung);
    }
    written.push(lines.length - before);
  }
  assert.ok(written.every((count) => count <= 40), `${written}`);
  const told = lines.filter((line) => line.startsWith("warn Hung "));
  assert.equal(new Set(told).size, 100);
  assert.equal(told.length, 100);
  assert.deepEqual(lines.filter((line) => line.includes("More")), ["warn More of the same 80"]);
});

Deno.test("ConditionLog has a line for an error, however many others there are", () => {
  const { lines, log } = recorder();
  const conditions = new ConditionLog(log, () => 0);
  const many = Array.from({ length: 50 }, (_, number) => [`${number}`, condition("Hung")] as const);
  const down: Condition = { level: "error", message: "libvirt is not available" };
  conditions.report(new Map([...many, ["libvirt", down]]));
  assert.ok(lines.includes("error libvirt is not available"));
});

Deno.test("conditionText() names whom a condition concerns, and the reason", () => {
  const names = Array.from({ length: 12 }, (_, number) => `i${number}`);
  const failing: Condition = { ...condition("Failing"), fields: { code: 1, reason: "why" } };
  const cases: readonly (readonly [Condition, string])[] = [
    [condition("Failing"), "Failing"],
    [failing, "Failing: why"],
    [{ ...failing, fields: { instance: "a", reason: "why" } }, "Failing: a: why"],
    [{ ...failing, affected: { kind: "pool", names: ["a", "b"] } }, "Failing: a, b: why"],
    [{ ...failing, affected: { kind: "pool", names: [] } }, "Failing: why"],
    [
      { ...failing, affected: { kind: "pool", names } },
      `Failing: ${names.slice(0, 10).join(", ")} and 2 more: why`,
    ],
  ];
  for (const [one, expected] of cases) assert.equal(conditionText(one), expected);
});

Deno.test("ConditionLog keeps the lines of others when one condition comes and goes", () => {
  const { lines, log } = recorder();
  const conditions = new ConditionLog(log, () => 0);
  for (let times = 0; times < 30; times++) {
    conditions.report(new Map([["flapping", condition("Flapping")]]));
    conditions.report(new Map());
  }
  const others = Array.from(
    { length: 14 },
    (_, number) => [`${number}`, condition("Hung")] as const,
  );
  conditions.report(new Map(others));
  assert.equal(lines.filter((line) => line === "warn Hung").length, 14);
});
