/** Bun 1.4 leaves these rules of RFC 9112 (sections 2.3 and 3.2) to an HTTP server that does not listen itself. */
import type { IncomingMessage } from "node:http";

/** Whether a request has a version that is known, and names its host where that version wants it. */
export function followsHttpRules(
  { httpVersion, headers }: Pick<IncomingMessage, "httpVersion" | "headers">,
): boolean {
  return httpVersion === "1.0" || (httpVersion === "1.1" && headers.host !== undefined);
}
