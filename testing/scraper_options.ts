import type { Hypervisor } from "../src/libvirt/hypervisor.ts";
import { type Collector, USUAL_IDENTITY } from "../src/metrics/family.ts";
import type { ScraperOptions } from "../src/scrape/scraper.ts";
import type { LogWriter } from "../src/log/line.ts";
import { ALL_DOMAINS } from "../src/config/config.ts";

/** Options of a scraper for tests: a generous time, no sharing, and a log that forgets. */
export function scraperOptions(
  hypervisor: Hypervisor,
  collectors: readonly Collector[],
  changes: Partial<ScraperOptions> = {},
): ScraperOptions {
  return {
    hypervisor,
    uri: "qemu:///system",
    collectors,
    filter: ALL_DOMAINS,
    inactive: false,
    identity: USUAL_IDENTITY,
    startSecondsOf: () => undefined,
    onCollection: ignore,
    timeoutMilliseconds: 10_000,
    minimumIntervalMilliseconds: 0,
    build: { version: "0.0.0", runtime: "test", architecture: "test" },
    log: SILENT,
    logLines: { debug: 0, info: 0, warn: 0, error: 0 },
    hideSecrets: (text) => text,
    ...changes,
  };
}

const ignore = (): void => {};

/** A log that forgets. */
export const SILENT: LogWriter = {
  debug: ignore,
  info: ignore,
  warn: ignore,
  error: ignore,
};

/** A page's chunks as text; fails on bytes that are not UTF-8. */
export function decodePage(chunks: readonly Uint8Array[]): string {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  return chunks.map((chunk) => decoder.decode(chunk)).join("");
}
