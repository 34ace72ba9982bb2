import assert from "node:assert/strict";
import { type Condition, ConditionLog, type LogWriter } from "../src/conditions.ts";

function recorder(): { lines: string[]; log: LogWriter } {
  const lines: string[] = [];
  const at = (level: string) => (message: string): void => void lines.push(`${level} ${message}`);
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
    "info Over: A is down, another reason",
    "info Over: B is down",
  ]);
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

Deno.test("ConditionLog sums up when very much begins or ends at once", () => {
  const { lines, log } = recorder();
  const conditions = new ConditionLog(log);
  const many = new Map(
    Array.from({ length: 500 }, (_, number) => [`${number}`, condition("Hung")] as const),
  );
  conditions.report(many);
  assert.equal(lines.length, 21);
  assert.equal(lines.at(-1), "warn More of the same");
  conditions.report(new Map());
  assert.equal(lines.length, 42);
});
