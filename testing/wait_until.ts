/**
 * Bounded waiting for something that another process does.
 *
 * @module
 */

const DEFAULT_INTERVAL_MILLISECONDS = 50;

/** A bound for what takes a moment, far beyond what anything takes. */
const DEFAULT_BOUND_MILLISECONDS = 30_000;

/**
 * Asks `probe` again and again until it returns something other than `undefined` and `false`, and returns that.
 *
 * @param description what is waited for, e.g. `guest "a" to boot`
 * @param probe one look; an error that it throws ends the waiting
 * @param boundMilliseconds how long to go on
 * @throws {Error} when the bound passes first
 */
export async function waitUntil<Value>(
  description: string,
  probe: () => Value | undefined | false | Promise<Value | undefined | false>,
  boundMilliseconds: number = DEFAULT_BOUND_MILLISECONDS,
  intervalMilliseconds: number = DEFAULT_INTERVAL_MILLISECONDS,
): Promise<Value> {
  const deadline = performance.now() + boundMilliseconds;
  while (true) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    if (performance.now() >= deadline) {
      throw new Error(`Waited ${boundMilliseconds} ms in vain: ${description}`);
    }
    await pause(intervalMilliseconds);
  }
}

/** Lets time pass; none when there is none left. */
export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, milliseconds)));
}
