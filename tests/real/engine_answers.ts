/**
 * What two engines answer to the same query, and where they differ.
 *
 * @module
 */

import { parseQueryAnswer } from "../../testing/prometheus/prometheus.ts";
import { getText } from "../../testing/prometheus/service.ts";

/** The values of an answer by their series; the labels stand in order, as JSON. */
export type Answer = ReadonlyMap<string, number>;

/** An engine that answers queries. */
export interface Engine {
  /** Its base URL. */
  readonly url: string;
  /** What goes with each query, e.g. `{ nocache: "1" }`. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** Labels of its series that do not count. */
  readonly without?: readonly string[];
}

/**
 * Asks for the value at a time, in seconds since 1970. A value that is not a number is none: MetricsQL leaves it out.
 *
 * @throws {Error} with the engine's reason when it refuses the query
 */
export async function answerAt(
  { url, parameters = {}, without = [] }: Engine,
  expression: string,
  time: number,
): Promise<Answer> {
  const query = new URLSearchParams({ query: expression, time: `${time}`, ...parameters });
  const { text } = await getText(`${url}/api/v1/query?${query}`);
  return new Map(
    parseQueryAnswer(expression, text).filter(({ value }) => !Number.isNaN(value))
      .map(({ labels, value }) => [nameOf(labels, without), value]),
  );
}

/**
 * Asks for the values at moments a second apart, up to a time in seconds since 1970: one answer for each.
 *
 * @throws {Error} with the engine's reason when it refuses the query
 */
export async function answersUntil(
  { url, parameters = {}, without = [] }: Engine,
  expression: string,
  time: number,
  moments: number,
): Promise<readonly Answer[]> {
  const start = time - moments + 1;
  const query = new URLSearchParams({
    query: expression,
    start: `${start}`,
    end: `${time}`,
    step: "1",
    ...parameters,
  });
  const { text } = await getText(`${url}/api/v1/query_range?${query}`);
  const { data, error }: RangeAnswer = JSON.parse(text);
  if (data === undefined) throw new Error(`The engine refuses "${expression}": ${error}`);
  const answers = Array.from({ length: moments }, () => new Map<string, number>());
  for (const { metric, values } of data.result) {
    const series = nameOf(metric, without);
    for (const [at, value] of values) {
      if (value !== "NaN") answers[Math.round(at - start)]?.set(series, numberOf(value));
    }
  }
  return answers;
}

interface RangeAnswer {
  readonly error?: string;
  readonly data?: {
    readonly result: readonly {
      readonly metric: Readonly<Record<string, string>>;
      readonly values: readonly (readonly [time: number, value: string])[];
    }[];
  };
}

function numberOf(text: string): number {
  return Number(text.replace("Inf", "Infinity"));
}

/** A series without its own name, which functions keep or not as they like. */
function nameOf(labels: Readonly<Record<string, string>>, without: readonly string[]): string {
  return JSON.stringify(
    Object.entries(labels).filter(([name]) => name !== "__name__" && !without.includes(name))
      .sort(),
  );
}

/** How far the values of a series may be apart to count as steady, and how far those of two engines may be then. */
const STEADY = 0.01;
const TOLERATED = 0.02;

function areNear(one: number, other: number, tolerance: number): boolean {
  return one === other ||
    Math.abs(one - other) <= tolerance * Math.max(Math.abs(one), Math.abs(other));
}

/** What a comparison has found. */
export interface Comparison {
  /** Those of them whose values were compared. */
  readonly steady: ReadonlySet<string>;
  /** Each in a line. */
  readonly differences: readonly string[];
}

/**
 * Compares answers: both must have the same series. Rates are made in different ways, so the values must agree where they are steady.
 *
 * @param expected what one engine answers for several moments in a row, the last of which is that of `actual`
 * @param counts whether a series counts; all do when left out
 */
export function compareAnswers(
  expected: readonly Answer[],
  actual: Answer,
  counts: (series: string) => boolean = () => true,
): Comparison {
  const last = expected.at(-1) ?? new Map<string, number>();
  const differences = [
    ...[...last.keys()].filter((series) => counts(series) && !actual.has(series))
      .map((series) => `lacks ${series}`),
    ...[...actual.keys()].filter((series) => counts(series) && !last.has(series))
      .map((series) => `has ${series}`),
  ];
  const steady = new Set<string>();
  for (const [series, value] of last) {
    const other = actual.get(series);
    if (other === undefined || !counts(series)) continue;
    if (!expected.every((answer) => areNear(answer.get(series) ?? NaN, value, STEADY))) continue;
    steady.add(series);
    if (!areNear(value, other, TOLERATED)) differences.push(`${value}, not ${other}: ${series}`);
  }
  return { steady, differences };
}
