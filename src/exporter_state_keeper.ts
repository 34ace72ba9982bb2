import { performance } from "node:perf_hooks";
import type { Scraper } from "./scrape.ts";
import type { BuildInfo } from "./version.ts";
import type { ExporterState } from "./web/exporter_state.ts";

/** Tells what the last collection found, for pages that must not wait for libvirt. */
export interface ExporterStateKeeper {
  readonly current: () => ExporterState;
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
 * Makes an {@linkcode ExporterStateKeeper}.
 *
 * @param now milliseconds of a steady clock
 */
export function keepExporterState(
  { version, runtime }: BuildInfo,
  scraper: Pick<Scraper, "scrape" | "summary">,
  now: () => number = () => performance.now(),
): ExporterStateKeeper {
  let triedAt = -Infinity;
  return {
    current: () => ({ version, runtime, ...scraper.summary }),
    refresh(): void {
      const { isUp, collectedAt } = scraper.summary;
      const old = isUp === true ? OLD_WHEN_UP_MILLISECONDS : OLD_WHEN_DOWN_MILLISECONDS;
      const age = collectedAt === undefined ? Infinity : Date.now() - collectedAt.getTime();
      // A clock that was set back makes ages negative.
      if (now() - triedAt < old || (age >= 0 && age < old)) return;
      triedAt = now();
      scraper.scrape();
    },
  };
}
