/**
 * A proxy between a scraper and an exporter, for tests that want to know what the two have agreed on.
 *
 * @module
 */

import { createServer, request } from "node:http";

/** What one scrape asked for and got. */
export interface Negotiation {
  readonly accept: string | undefined;
  readonly acceptEncoding: string | undefined;
  readonly contentType: string | undefined;
  /** `undefined` for a page that is not compressed. */
  readonly contentEncoding: string | undefined;
}

/** A proxy that is listening; it hands everything on as it is. */
export interface RecordingProxy extends AsyncDisposable {
  /** Its host and port, for Prometheus' targets. */
  readonly target: string;
  /** One entry for each answer so far. */
  readonly negotiations: readonly Negotiation[];
}

/**
 * Starts a proxy on the loopback address in front of an exporter.
 *
 * @param target the exporter's host and port
 */
export async function startRecordingProxy(target: string): Promise<RecordingProxy> {
  const negotiations: Negotiation[] = [];
  const server = createServer((incoming, outgoing) => {
    const { headers } = incoming;
    const url = `http://${target}${incoming.url}`;
    const onward = request(url, { headers, method: incoming.method, agent: false }, (answer) => {
      negotiations.push({
        accept: headers.accept,
        acceptEncoding: headers["accept-encoding"]?.toString(),
        contentType: answer.headers["content-type"],
        contentEncoding: answer.headers["content-encoding"],
      });
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on("error", () => outgoing.destroy());
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const address = server.address();
  if (address === null || typeof address === "string") {
    throw new Error("The proxy listens on no port");
  }
  return {
    target: `127.0.0.1:${address.port}`,
    negotiations,
    async [Symbol.asyncDispose](): Promise<void> {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}
