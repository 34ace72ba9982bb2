import type { IncomingHttpHeaders } from "node:http";
import { type Page, textPage } from "./answer.ts";
import type { WebLimits } from "./request_limits.ts";
import { parseRequestTarget } from "./request_target.ts";
import type { LogWriter } from "../log/line.ts";
import { messageOf, oneLine } from "../text.ts";

/** What a handler learns about a request. */
export interface PageRequest {
  /** HEAD is answered like GET; the server leaves the body out. */
  readonly method: "GET" | "HEAD";
  /** What follows the `?` of the request's target, still encoded. */
  readonly query: string;
  /** Headers by lower-case name; several of one name are joined by `, `. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal;
}

/** Makes the page for a request; when it throws, the client gets 500 without the reason, which is logged. */
export type PageHandler = (request: PageRequest) => Promise<Page>;

const ALLOWED_METHODS = "GET, HEAD";

/** What {@linkcode findPage} chooses a page by. */
export interface Routing {
  /** Handlers by decoded path. */
  readonly routes: ReadonlyMap<string, PageHandler>;
  readonly log: LogWriter;
  readonly limits: Pick<WebLimits, "maximumTargetLength">;
}

/** A request as `node:http` presents it. */
export interface RawRequest {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly headers: IncomingHttpHeaders;
}

/**
 * Finds the page for a request: the one that the path's handler makes, or one that tells the client what is wrong
 * with the request (400, 404, 405, 414) or that the handler failed (500, which is logged).
 *
 * @param signal aborts when the client has gone; handed to the handler
 */
export async function findPage(
  { routes, limits, log }: Routing,
  request: RawRequest,
  signal: AbortSignal,
): Promise<Page> {
  const encodedTarget = request.url ?? "";
  if (encodedTarget.length > limits.maximumTargetLength) {
    return textPage(414, `URI too long: more than ${limits.maximumTargetLength} characters`);
  }
  const target = parseRequestTarget(encodedTarget);
  if (target === undefined) {
    return textPage(400, "Bad request: malformed percent-encoding in the path");
  }
  const handler = routes.get(target.path);
  if (handler === undefined) {
    return textPage(404, `Not found, this exporter answers on ${[...routes.keys()].join(", ")}`);
  }
  const { method } = request;
  if (method !== "GET" && method !== "HEAD") return methodPage(method);
  try {
    return await handler({
      method,
      query: target.query,
      headers: singleHeaders(request.headers),
      signal,
    });
  } catch (error) {
    if (signal.aborted) log.debug("A request ended with its client", { path: target.path });
    else {log.error("Could not make a page", {
        path: target.path,
        error: oneLine(messageOf(error)),
      });}
    return textPage(500, "Internal error");
  }
}

/** The page for a method that no path takes. */
export function methodPage(method: string | undefined): Page {
  return textPage(405, `Method "${method}" not allowed, use ${ALLOWED_METHODS}`, {
    Allow: ALLOWED_METHODS,
  });
}

function singleHeaders(
  headers: IncomingHttpHeaders,
): Readonly<Record<string, string | undefined>> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(", ") : value,
    ]),
  );
}
