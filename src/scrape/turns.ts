/** What a collection is for: all collectors that are on, or a choice of them. */
export type CollectionKind = "all" | "choice";

const OTHER: Readonly<Record<CollectionKind, CollectionKind>> = { all: "choice", choice: "all" };

/**
 * Runs one task at a time. After a task of one kind comes one of the other, where some wait: many tasks of one kind delay the
 * other kind by one task at most.
 */
export class Turns {
  readonly #waiting: Readonly<Record<CollectionKind, (() => Promise<void>)[]>> = {
    all: [],
    choice: [],
  };
  #isRunning = false;
  #last: CollectionKind = "choice";

  /** What the task gives, or is rejected with, once its turn has come. */
  run<Result>(kind: CollectionKind, task: () => Promise<Result>): Promise<Result> {
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    this.#waiting[kind].push(async () => {
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
    // Tasks that come at the same moment wait together.
    await Promise.resolve();
    for (let next = this.#next(); next !== undefined; next = this.#next()) await next();
    this.#isRunning = false;
  }

  #next(): (() => Promise<void>) | undefined {
    const other = OTHER[this.#last];
    const kind = this.#waiting[other].length > 0 ? other : this.#last;
    this.#last = kind;
    return this.#waiting[kind].shift();
  }
}
