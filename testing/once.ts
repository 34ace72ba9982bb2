// What `--once` is tested with: a scraper of everything, and a clock that a test moves.
import type { Hypervisor } from "../src/libvirt/hypervisor.ts";
import type { Collector } from "../src/metrics/family.ts";
import type { Clock } from "../src/once/printout.ts";
import { Scraper, type ScraperOptions } from "../src/scrape/scraper.ts";
import { scraperOptions } from "./scraper_options.ts";

/** A scraper without filters. */
export function onceScraper(
  hypervisor: Hypervisor,
  collectors: readonly Collector[],
  changes: Partial<ScraperOptions> = {},
): Scraper {
  return new Scraper(scraperOptions(hypervisor, collectors, changes));
}

/** A clock that stands still but when somebody waits: then as much passes, and something may happen. */
export class StandingClock implements Clock {
  /** How long was waited for, each time. */
  readonly waits: number[] = [];
  readonly #onWait: () => void;
  #now = 0;

  /** @param onWait what happens while somebody waits */
  constructor(onWait: () => void = (): void => {}) {
    this.#onWait = onWait;
  }

  measuredAt(): number {
    return this.#now;
  }

  unixMilliseconds(): number {
    return UNIX_MILLISECONDS + this.#now;
  }

  wait(milliseconds: number): Promise<void> {
    this.waits.push(milliseconds);
    this.#now += milliseconds;
    this.#onWait();
    return Promise.resolve();
  }
}

/** Unix time at which a {@linkcode StandingClock} starts. */
export const UNIX_MILLISECONDS = 1_800_000_000_000;
