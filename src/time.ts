/** What `promise` gives, or undefined when it takes longer than so many milliseconds. */
export async function withinTime<Value>(
  promise: Promise<Value>,
  milliseconds: number,
): Promise<Value | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), milliseconds);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/** Whether `promise` is fulfilled before so many milliseconds have passed. */
export async function isDoneWithin(
  promise: Promise<unknown>,
  milliseconds: number,
): Promise<boolean> {
  return await withinTime(promise.then(() => true), milliseconds) ?? false;
}

/** Seconds of a duration in milliseconds, to the microsecond: a clock's further digits say nothing. */
export function toSeconds(milliseconds: number): number {
  return Math.round(milliseconds * 1e3) / 1e6;
}

/** How often something may be done: a number of times at once, and then again whenever an interval has passed. */
export class Allowance {
  readonly #most: number;
  readonly #intervalMilliseconds: number;
  #left: number;
  #countedAt = -Infinity;

  constructor(most: number, intervalMilliseconds: number) {
    this.#most = most;
    this.#intervalMilliseconds = intervalMilliseconds;
    this.#left = most;
  }

  /**
   * Does it once, if it may be done.
   *
   * @param now milliseconds of a steady clock
   * @returns whether it may
   */
  take(now: number): boolean {
    if (this.isEmpty(now)) return false;
    this.#left--;
    return true;
  }

  /** Whether nothing may be done now. */
  isEmpty(now: number): boolean {
    return this.#count(now) < 1;
  }

  /** Whether as much may be done at once as if nothing had been done yet. */
  isFull(now: number): boolean {
    return this.#count(now) === this.#most;
  }

  #count(now: number): number {
    const intervals = (now - this.#countedAt) / this.#intervalMilliseconds;
    this.#left = Math.min(this.#most, this.#left + intervals);
    this.#countedAt = now;
    return this.#left;
  }
}
