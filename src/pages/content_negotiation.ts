import Negotiator from "negotiator";
import type { ExpositionFormat } from "../metrics/exposition.ts";

/** What a negotiated page depends on: the value of its `Vary` header, whichever format and coding it has. */
export const NEGOTIATED_BY = "Accept, Accept-Encoding";

/**
 * Schemes in which a client may ask for names beyond ASCII letters, digits and underscores. This exporter has no such
 * names, so one page is right for all of them.
 * Source: Prometheus' documentation, "UTF-8 metric and label name escaping schemes".
 */
const ESCAPING_SCHEMES = ["allow-utf-8", "underscores", "dots", "values"] as const;

/** What each format is called in an `Accept` header; of two that a client wants alike, the first is chosen. */
const MEDIA_TYPES: ReadonlyMap<string, ExpositionFormat> = new Map<string, ExpositionFormat>([
  ...mediaTypes("text/plain;version=0.0.4;charset=utf-8", "text"),
  ...mediaTypes("application/openmetrics-text;version=1.0.0;charset=utf-8", "openmetrics"),
]);

function mediaTypes(
  mediaType: string,
  format: ExpositionFormat,
): readonly (readonly [string, ExpositionFormat])[] {
  return ESCAPING_SCHEMES.map((scheme) => [`${mediaType};escaping=${scheme}`, format]);
}

/** Length of a header, in characters, from which nobody means it: reading it would take milliseconds. */
const MAXIMUM_HEADER_LENGTH = 2_048;

/**
 * The format that a client wants most, by its `Accept` header. It is text for a header that is missing, that cannot be
 * read, or that names neither format in a version that this exporter has, such as OpenMetrics 0.0.1: exporters answer
 * with a page that the client can most likely read, rather than with 406.
 * Source: RFC 9110, section 12.5.1; what Prometheus sends: `acceptHeader()` in its scrape/scrape.go.
 */
export function chooseFormat(accept: string | undefined): ExpositionFormat {
  const mediaType = negotiator("accept", accept).mediaType([...MEDIA_TYPES.keys()]);
  return mediaType === undefined ? "text" : MEDIA_TYPES.get(mediaType) ?? "text";
}

/**
 * Whether a client takes a page in gzip and does not prefer it plain, by its `Accept-Encoding` header. A client that
 * sends no such header gets it plain, as it may not expect anything else.
 * Source: RFC 9110, sections 12.5.3 and 8.4.1.3, which makes `x-gzip` another name of gzip.
 */
export function acceptsGzip(acceptEncoding: string | undefined): boolean {
  const header = acceptEncoding?.replace(/(?<=^|[\s,])x-gzip(?=$|[\s,;])/gi, "gzip");
  return negotiator("accept-encoding", header).encoding(["gzip", "identity"]) === "gzip";
}

/** A negotiator for one header, in which nothing stands when it is missing or too long. */
function negotiator(name: string, value = ""): Negotiator {
  return new Negotiator({
    headers: { [name]: value.length > MAXIMUM_HEADER_LENGTH ? "" : value },
  });
}
