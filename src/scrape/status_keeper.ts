import { performance } from "node:perf_hooks";
import type { Scraper } from "./scraper.ts";
import type { ExporterStatus } from "./status.ts";

/** Tells what the last collection found, for pages that must not wait for libvirt. */
export interface StatusKeeper {
  readonly current: () => ExporterStatus;
  /**
   * Begins a collection, without waiting for it, when the last one is old. Else an exporter that nobody scrapes, because it
   * is not ready, would never become so.
   */
  readonly refresh: () => void;
}

/** Milliseconds after which a collection that found libvirt, or did not, is old. */
const OLD_WHEN_UP_MILLISECONDS = 60_000;
const OLD_WHEN_DOWN_MILLISECONDS = 5_000;

/**
 * Makes a {@linkcode StatusKeeper}.
 *
 * @param now milliseconds of a steady clock
 */
export function keepStatus(
  scraper: Pick<Scraper, "scrape" | "status">,
  now: () => number = () => performance.now(),
): StatusKeeper {
  let triedAt = -Infinity;
  return {
    current: () => scraper.status,
    refresh(): void {
      const { isUp, collectedAt } = scraper.status;
      const old = isUp === true ? OLD_WHEN_UP_MILLISECONDS : OLD_WHEN_DOWN_MILLISECONDS;
      const age = collectedAt === undefined ? Infinity : Date.now() - collectedAt.getTime();
      // A clock that was set back makes ages negative.
      if (now() - triedAt < old || (age >= 0 && age < old)) return;
      triedAt = now();
      scraper.scrape();
    },
  };
}
