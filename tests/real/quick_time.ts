/**
 * Configurations and rules in which time runs faster: what is made for scrapes each half minute and alerts after five, in a
 * test that takes a minute or two.
 *
 * @module
 */

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/**
 * A duration where a configuration, a flag or an expression has one: a range of PromQL, an offset, a value in YAML or of a variable.
 * Names of records (`rate5m`) and texts are none.
 */
const DURATION = /(?<=\[|offset |: |=)(\d+)([smhd])(?![\w.])/g;

/** Makes all durations in a text this many times shorter; they are in milliseconds then. */
export function quicken(text: string, factor: number): string {
  return text.replaceAll(DURATION, (_, count: string, unit: string) => {
    const milliseconds = Number(count) * (SECONDS[unit] ?? NaN) * 1_000;
    return `${Math.round(milliseconds / factor)}ms`;
  });
}
