import type { ScrapeResult } from "./scrape.ts";
import type { BuildInfo } from "./version.ts";
import type { ExporterState } from "./web/exporter_state.ts";

/** Keeps what the last collection found, for pages that must not wait for libvirt. */
export interface ExporterStateKeeper {
  readonly current: () => ExporterState;
  /** Takes over what a collection found. */
  note(result: ScrapeResult): void;
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
 * @param collect makes a collection; must not reject
 */
export function keepExporterState(
  { version, runtime }: BuildInfo,
  collect: () => Promise<ScrapeResult>,
  now: () => number = () => performance.now(),
): ExporterStateKeeper {
  let state: ExporterState = {
    version,
    runtime,
    isUp: undefined,
    reason: undefined,
    instances: undefined,
    unread: 0,
    collectedAt: undefined,
    problems: [],
  };
  let triedAt = -Infinity;

  function note({ isUp, reason, unread }: ScrapeResult): void {
    triedAt = now();
    state = { ...state, isUp, reason, unread, collectedAt: new Date() };
  }

  return {
    current: () => state,
    note,
    refresh(): void {
      const old = state.isUp === true ? OLD_WHEN_UP_MILLISECONDS : OLD_WHEN_DOWN_MILLISECONDS;
      if (now() - triedAt < old) return;
      triedAt = now();
      collect().then(note);
    },
  };
}
