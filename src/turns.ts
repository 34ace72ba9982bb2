/**
 * Lets one go at a time. Those who are preferred go before the others, but not twice in a row while one of the others waits:
 * so neither kind, however many come, keeps the other out.
 */
export class Turns {
  readonly #preferred: (() => void)[] = [];
  readonly #others: (() => void)[] = [];
  #isTaken = false;
  #wasPreferred = false;

  /** Resolves when it is the caller's turn, who has to {@linkcode Turns.end} it. */
  async take(isPreferred: boolean): Promise<void> {
    if (this.#isTaken) {
      await new Promise<void>((resolve) => {
        (isPreferred ? this.#preferred : this.#others).push(resolve);
      });
    }
    this.#isTaken = true;
    this.#wasPreferred = isPreferred;
  }

  /** Ends the present turn. */
  end(): void {
    const [first, second] = this.#wasPreferred
      ? [this.#others, this.#preferred]
      : [this.#preferred, this.#others];
    const next = first.shift() ?? second.shift();
    // Who is next keeps it taken: somebody may come before that one goes on.
    if (next === undefined) this.#isTaken = false;
    else next();
  }
}
