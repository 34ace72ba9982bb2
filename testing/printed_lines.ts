import assert from "node:assert/strict";

/** Fails unless a text is one line that has all these parts. */
export function assertOneLine(text: string, ...parts: readonly (string | RegExp)[]): void {
  assert.match(text, /^[^\n]+\n$/, "exactly one line");
  for (const part of parts) {
    assert.ok(typeof part === "string" ? text.includes(part) : part.test(text), `${part}: ${text}`);
  }
}

/** Fails for a text that says where code was or went: that is for developers and attackers, neither of whom reads this. */
export function assertNoStackTrace(text: string): void {
  assert.doesNotMatch(text, /^\s+at |\$bunfs|\.[jt]s:\d+|node:internal/m);
}

/** Counts the lines that have this part. */
export function countLines(text: string, part: string): number {
  return text.split("\n").filter((line) => line.includes(part)).length;
}
