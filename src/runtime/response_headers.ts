/** Deno 2.9 does not check the headers that `writeHead()` gets: one with a line end becomes two. `setHeader()` checks them. */
import type { ServerResponse } from "node:http";

/**
 * Sets status and headers of an answer.
 *
 * @throws {Error} for a header that HTTP does not allow
 */
export function setHead(
  response: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string | number>>,
): void {
  response.statusCode = status;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
}
