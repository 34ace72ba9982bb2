/** What the way to Prometheus and back may take of its timeout. */
const MARGIN_RATIO = 0.1;
const MINIMUM_MARGIN_MILLISECONDS = 25;

/**
 * How long a scrape may take so that Prometheus still gets its answer: what the header
 * `X-Prometheus-Scrape-Timeout-Seconds` says, less a margin. Infinity when it says nothing sensible.
 * Source: scrape/scrape.go of Prometheus 2.x sets the header to the scrape timeout in seconds.
 */
export function scrapeTimeoutMilliseconds(header: string | undefined): number {
  if (header === undefined || !/^\d{1,6}(\.\d{1,9})?$/.test(header.trim())) return Infinity;
  const timeout = Number(header) * 1_000;
  const left = timeout - Math.max(timeout * MARGIN_RATIO, MINIMUM_MARGIN_MILLISECONDS);
  return left > 0 ? left : Infinity;
}
