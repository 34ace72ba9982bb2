import { performance } from "node:perf_hooks";
import type { Collection } from "../scrape/collection.ts";
import type { Collector } from "../metrics/family.ts";
import { type Observation, type Overview, overviewOf } from "../once/overview.ts";
import { withinTime } from "../time.ts";
import type { Seen } from "./overview_page.ts";

/** After this long values are old. */
const OLD_MILLISECONDS = 15_000;

/** Rates of less time would be those of a moment, and a page without rates need not wait longer. */
const RATE_MILLISECONDS = 1_000;

/** Time between two collections that a look begins while they find no libvirt. */
const TRY_MILLISECONDS = 5_000;

/** How long a look waits for the collection that it has begun; then what is known is shown. */
const WAIT_MILLISECONDS = 1_000;

/** Tells the time. */
export interface OverviewClock {
  /** Milliseconds of the clock that {@linkcode Collection} counts by. */
  steadyMilliseconds(): number;
  unixMilliseconds(): number;
}

const CLOCK: OverviewClock = {
  steadyMilliseconds: () => performance.now(),
  unixMilliseconds: () => Date.now(),
};

/**
 * Keeps what the last two collections found, for the overview. What they show is worked out when it is asked for, so
 * a scrape costs no more time for it.
 */
export class OverviewKeeper {
  readonly #collectors: readonly Collector[];
  readonly #clock: OverviewClock;
  #before: Observation | undefined;
  #latest: Observation | undefined;
  /** What both show, worked out when the page is first asked for. Further requests must not delay scrapes. */
  #overview: Overview | undefined;
  #triedAt = -Infinity;
  /** The collection that a look has begun, for those who look meanwhile. */
  #running: Promise<unknown> | undefined;

  /** @param collectors those that are on; a collection for some of them only is not kept */
  constructor(collectors: readonly Collector[], clock: OverviewClock = CLOCK) {
    this.#collectors = collectors;
    this.#clock = clock;
  }

  /** Takes over what a collection has found. */
  note({ findings }: Collection): void {
    const { snapshot, measuredAt, collectors } = findings;
    if (snapshot === undefined || measuredAt === undefined || !this.#isWhole(collectors)) return;
    const observation = {
      findings,
      steadySeconds: measuredAt / 1_000,
      unixSeconds: this.#clock.unixMilliseconds() / 1_000,
    };
    const isSoon = this.#age(measuredAt) < RATE_MILLISECONDS;
    // Two scrapes at the same time would otherwise leave rates of no time.
    if (isSoon && this.#latest?.findings.unread === 0) return;
    if (!isSoon) this.#before = this.#latest;
    this.#latest = observation;
    this.#overview = undefined;
  }

  #isWhole(collectors: readonly Collector[]): boolean {
    return collectors.length === this.#collectors.length &&
      collectors.every((one, position) => one === this.#collectors[position]);
  }

  /**
   * Begins a collection when the last one is old, or when there are no rates yet, and waits a moment for it. One that takes
   * longer goes on.
   *
   * @param collect makes a collection, of which {@linkcode note} is told
   */
  async refresh(collect: () => Promise<unknown>): Promise<void> {
    const now = this.#clock.steadyMilliseconds();
    const old = this.#before === undefined ? RATE_MILLISECONDS : OLD_MILLISECONDS;
    const hasBroughtNothing = this.#age(this.#triedAt) >= 0;
    if (this.#age(now) < old) return;
    if (this.#running === undefined) {
      if (hasBroughtNothing && now - this.#triedAt < TRY_MILLISECONDS) return;
      this.#triedAt = now;
      this.#running = collect().finally(() => this.#running = undefined);
    }
    await withinTime(this.#running, WAIT_MILLISECONDS);
  }

  /** Milliseconds from the last observation until then. */
  #age(now: number): number {
    return now - (this.#latest?.steadySeconds ?? -Infinity) * 1_000;
  }

  /** What is known; undefined before a collection has found libvirt. */
  current(): Seen | undefined {
    if (this.#latest === undefined) return undefined;
    this.#overview ??= overviewOf(this.#before, this.#latest);
    const ageSeconds = this.#age(this.#clock.steadyMilliseconds()) / 1_000;
    return { overview: this.#overview, ageSeconds };
  }
}
