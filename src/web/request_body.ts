import type { IncomingMessage } from "node:http";
import { clearTimeout, setTimeout } from "node:timers";

/** How reading a request's body ended. */
export type BodyOutcome = "read" | "too large" | "too slow" | "client gone";

/**
 * Reads a request's body and throws it away: no page takes one, but the next request on the connection only
 * follows after it.
 *
 * @param maximumBytes the size beyond which the body counts as too large; the connection has to close then
 * @param milliseconds the time after which it counts as too slow; the connection has to close then
 */
export function discardBody(
  request: IncomingMessage,
  maximumBytes: number,
  milliseconds: number,
): Promise<BodyOutcome> {
  if (!hasBody(request)) {
    request.resume();
    return Promise.resolve("read");
  }
  if (Number(request.headers["content-length"] ?? 0) > maximumBytes) {
    return Promise.resolve("too large");
  }
  return new Promise<BodyOutcome>((settle) => {
    const deadline = setTimeout(() => settle("too slow"), milliseconds);
    const resolve = (outcome: BodyOutcome): void => {
      clearTimeout(deadline);
      settle(outcome);
    };
    let bytes = 0;
    request.on("data", (chunk: Uint8Array) => {
      bytes += chunk.byteLength;
      if (bytes > maximumBytes) resolve("too large");
    });
    request.once("end", () => resolve("read"));
    request.once("close", () => resolve(request.complete ? "read" : "client gone"));
    request.once("error", () => resolve("client gone"));
  });
}

function hasBody(request: IncomingMessage): boolean {
  return request.headers["transfer-encoding"] !== undefined ||
    Number(request.headers["content-length"] ?? 0) > 0;
}
