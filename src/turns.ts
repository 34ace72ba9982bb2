/** In which line a task waits for its turn. */
export type Line = "whole" | "part";

const OTHER: Readonly<Record<Line, Line>> = { whole: "part", part: "whole" };

/**
 * Runs one task at a time. After a task of one line comes one of the other, where some wait there: a crowd in one line
 * delays the other by one task at most.
 */
export class Turns {
  readonly #waiting: Readonly<Record<Line, (() => Promise<void>)[]>> = { whole: [], part: [] };
  #isRunning = false;
  #last: Line = "part";

  /** What the task gives, or is rejected with, once its turn has come. */
  run<Result>(line: Line, task: () => Promise<Result>): Promise<Result> {
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    this.#waiting[line].push(async () => {
      try {
        resolve(await task());
      } catch (error) {
        reject(error);
      }
    });
    if (!this.#isRunning) this.#runAll();
    return promise;
  }

  async #runAll(): Promise<void> {
    this.#isRunning = true;
    // Whoever comes in the same moment waits together.
    await Promise.resolve();
    for (let next = this.#next(); next !== undefined; next = this.#next()) await next();
    this.#isRunning = false;
  }

  #next(): (() => Promise<void>) | undefined {
    const other = OTHER[this.#last];
    const line = this.#waiting[other].length > 0 ? other : this.#last;
    this.#last = line;
    return this.#waiting[line].shift();
  }
}
