/**
 * Bounded waiting for something that another process does.
 *
 * @module
 */

const DEFAULT_INTERVAL_MILLISECONDS = 50;

/**
 * Asks `probe` again and again until it returns something other than `undefined`, and returns that.
 *
 * @param description what is waited for, as it reads after "Waited ... for", e.g. `guest "a" to boot`
 * @param boundMilliseconds how long to go on
 * @param probe one look; an error that it throws ends the waiting
 * @throws {Error} when the bound passes first
 */
export async function waitUntil<Value>(
  description: string,
  boundMilliseconds: number,
  probe: () => Value | undefined | Promise<Value | undefined>,
  intervalMilliseconds: number = DEFAULT_INTERVAL_MILLISECONDS,
): Promise<Value> {
  const deadline = performance.now() + boundMilliseconds;
  while (true) {
    const value = await probe();
    if (value !== undefined) return value;
    if (performance.now() >= deadline) {
      throw new Error(`Waited ${boundMilliseconds} ms in vain for ${description}`);
    }
    await pause(intervalMilliseconds);
  }
}

/** Lets time pass; none when there is none left. */
export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, milliseconds)));
}
