import { CONTENT_TYPES } from "../metrics/exposition.ts";
import type { Collector } from "../metrics/family.ts";
import { COLLECTORS, isSwitched } from "../metrics/mod.ts";
import type { Scraper } from "../scrape/scraper.ts";
import { quoteWithoutPassword } from "../text.ts";
import { type Page, textPage } from "../web/answer.ts";
import { type CollectorParameters, collectorParameters } from "./collector_parameters.ts";
import { createPageCompressor } from "./compression.ts";
import { acceptsGzip, chooseFormat, NEGOTIATED_BY } from "./content_negotiation.ts";
import type { PageHandler } from "../web/router.ts";
import { scrapeTimeoutMilliseconds } from "./scrape_timeout.ts";

/** Names longer than this are cut in messages: a request may hold anything. */
const MAXIMUM_NAME_LENGTH = 60;

const NO_ROOM = "Too many different choices of collectors at once, try again later";

/**
 * The page of metrics: a scrape for each request, in the format and the coding that the client wants most. `collect[]` in the
 * query restricts it to some of the collectors that are on, and `exclude[]` leaves some out.
 *
 * @param collectors those that are on
 */
export function createMetricsPage(scraper: Scraper, collectors: readonly Collector[]): PageHandler {
  const compress = createPageCompressor();
  return async ({ headers, query }) => {
    const asked = collectorParameters(query);
    const problem = problemWith(collectors, asked);
    if (problem !== undefined) return textPage(400, problem);
    const restricted = restrict(collectors, asked);
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
  { collect, exclude, withoutBrackets }: CollectorParameters,
): string | undefined {
  if (withoutBrackets !== undefined) {
    return `Unknown parameter "${withoutBrackets}": write ${withoutBrackets}[]=NAME`;
  }
  if (collect.length > 0 && exclude.length > 0) {
    return "collect[] and exclude[] exclude each other: give one";
  }
  const on = collectors.filter(isSwitched).map(({ name }) => name);
  const known = COLLECTORS.filter(isSwitched).map(({ name }) => name);
  // One that is off is left out already.
  const wrong = collect.find((name) => !on.includes(name)) ??
    exclude.find((name) => !known.includes(name));
  if (wrong === undefined) return undefined;
  const problem = known.includes(wrong) ? "Collector is switched off" : "Unknown collector";
  const shown = quoteWithoutPassword(wrong.slice(0, MAXIMUM_NAME_LENGTH));
  return `${problem}: ${shown}; name some of ${on.join(", ")}`;
}

/** The collectors that a request asks for, and those that cannot be switched off. */
function restrict(
  collectors: readonly Collector[],
  { collect, exclude }: CollectorParameters,
): readonly Collector[] {
  if (collect.length === 0 && exclude.length === 0) return collectors;
  return collectors.filter((one) =>
    !isSwitched(one) ||
    (collect.length === 0 ? !exclude.includes(one.name) : collect.includes(one.name))
  );
}
