import { quote } from "./config.ts";
import { CONTENT_TYPES } from "./metrics/exposition.ts";
import type { Collector } from "./metrics/family.ts";
import { COLLECTORS, isSwitched } from "./metrics/mod.ts";
import type { Scraper } from "./scrape.ts";
import { type Page, textPage } from "./web/answer.ts";
import { collectParameter } from "./web/collect_parameter.ts";
import { createPageCompressor } from "./web/compression.ts";
import { acceptsGzip, chooseFormat, NEGOTIATED_BY } from "./web/content_negotiation.ts";
import type { PageHandler } from "./web/router.ts";
import { scrapeTimeoutMilliseconds } from "./web/scrape_timeout.ts";

/** Names longer than this are cut in messages: a request may hold anything. */
const MAXIMUM_NAME_LENGTH = 60;

const NO_ROOM = "Too many different choices of collectors at once, try again later";

/**
 * The page of metrics: a scrape for each request, in the format and the coding that the client wants most. `collect[]` in the
 * query restricts it to some of the collectors that are on.
 *
 * @param collectors those that are on
 */
export function createMetricsPage(scraper: Scraper, collectors: readonly Collector[]): PageHandler {
  const compress = createPageCompressor();
  return async ({ headers, query }) => {
    const names = collectParameter(query);
    const problem = problemWith(collectors, names);
    if (problem !== undefined) return textPage(400, problem);
    const restricted = restrict(collectors, names);
    if (!scraper.hasRoomFor(restricted)) return textPage(503, NO_ROOM, { "Retry-After": "1" });
    const format = chooseFormat(headers["accept"]);
    const timeout = scrapeTimeoutMilliseconds(headers["x-prometheus-scrape-timeout-seconds"]);
    const collection = await scraper.scrape({
      collectors: restricted,
      format,
      timeoutMilliseconds: timeout,
    });
    const page: Page = {
      status: 200,
      contentType: CONTENT_TYPES[format],
      chunks: collection.page(format),
      headers: { Vary: NEGOTIATED_BY },
    };
    return acceptsGzip(headers["accept-encoding"]) ? await compress(page) : page;
  };
}

/** What is wrong with the names that a request gives; undefined when nothing is. */
function problemWith(
  collectors: readonly Collector[],
  names: readonly string[],
): string | undefined {
  const on = collectors.filter(isSwitched).map(({ name }) => name);
  const wrong = names.find((name) => !on.includes(name));
  if (wrong === undefined) return undefined;
  const isKnown = COLLECTORS.filter(isSwitched).some(({ name }) => name === wrong);
  const problem = isKnown ? "Collector is switched off" : "Unknown collector";
  const shown = quote(wrong.slice(0, MAXIMUM_NAME_LENGTH));
  return `${problem}: ${shown}; name some of ${on.join(", ")}`;
}

/** The collectors with these names, and those that cannot be switched off; all of them where there are no names. */
function restrict(
  collectors: readonly Collector[],
  names: readonly string[],
): readonly Collector[] {
  if (names.length === 0) return collectors;
  return collectors.filter((one) => !isSwitched(one) || names.includes(one.name));
}
