import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { clearTimeout, setTimeout } from "node:timers";
import { type Page, rawAnswer, sendPage, textPage } from "./answer.ts";
import {
  type Connection,
  type ConnectionTable,
  createConnectionTable,
} from "./connection_table.ts";
import { bind, type BoundAddress, type ListenAddress } from "./listen_address.ts";
import { discardBody } from "./request_body.ts";
import { DEFAULT_WEB_LIMITS, type WebLimits } from "./request_limits.ts";
import { findPage, methodPage, type PageHandler } from "./router.ts";
import { createOverflowLog, oneLine, type WebLog } from "./web_log.ts";

export type { Page } from "./answer.ts";
export { type ListenAddress, WebServerError } from "./listen_address.ts";
export { DEFAULT_WEB_LIMITS, type WebLimits } from "./request_limits.ts";
export type { PageHandler, PageRequest } from "./router.ts";
export type { WebLog } from "./web_log.ts";

/** What a web server needs. */
export interface WebServerOptions {
  /** All of them are listened on; one that fails makes the start fail. */
  readonly listenAddresses: readonly ListenAddress[];
  /** Handlers by decoded path, such as `/metrics`. */
  readonly routes: ReadonlyMap<string, PageHandler>;
  readonly log: WebLog;
  /** Limits that differ from {@linkcode DEFAULT_WEB_LIMITS}. */
  readonly limits?: Partial<WebLimits>;
}

/** A running web server. */
export interface WebServer {
  /** Where it listens, in the order of {@linkcode WebServerOptions.listenAddresses}. */
  readonly addresses: readonly BoundAddress[];
  /**
   * Stops listening, closes idle connections at once and waits until open requests are answered.
   *
   * @param deadlineMilliseconds the wait after which the remaining connections are cut off
   */
  close(deadlineMilliseconds: number): Promise<void>;
}

/** Longest milliseconds by which a timeout of the runtime may act too late: it looks at connections this often. */
const TIMEOUT_CHECK_MILLISECONDS = 1_000;

interface Context {
  readonly routes: ReadonlyMap<string, PageHandler>;
  readonly log: WebLog;
  readonly limits: WebLimits;
  readonly connections: ConnectionTable;
}

interface Answer {
  readonly page: Page;
  /** Whether the connection has to close because its next request cannot be told from this one's rest. */
  readonly close: boolean;
}

/**
 * Starts answering HTTP/1.0 and HTTP/1.1 on all the given addresses.
 *
 * @throws {WebServerError} when one of the addresses cannot be listened on; none of them is then
 */
export async function startWebServer(options: WebServerOptions): Promise<WebServer> {
  const limits = { ...DEFAULT_WEB_LIMITS, ...options.limits };
  const context: Context = {
    routes: options.routes,
    log: options.log,
    limits,
    connections: createConnectionTable({
      maximumConnections: limits.maximumConnections,
      maximumBusy: limits.maximumRequestsInFlight,
      onOverflow: createOverflowLog(options.log, limits),
    }),
  };
  const servers: Server[] = [];
  const addresses: BoundAddress[] = [];
  try {
    for (const listenAddress of options.listenAddresses) {
      const server = createHttpServer(context);
      addresses.push(await bind(server, listenAddress));
      servers.push(server);
      server.on("error", (error) => {
        context.log.warn("The web server cannot accept connections", { error: error.message });
      });
    }
  } catch (error) {
    await closeAll(context, servers, 0);
    throw error;
  }
  return { addresses, close: (milliseconds) => closeAll(context, servers, milliseconds) };
}

function createHttpServer(context: Context): Server {
  const { limits, connections } = context;
  const server = createServer({
    headersTimeout: limits.headersMilliseconds,
    requestTimeout: limits.requestMilliseconds,
    keepAliveTimeout: limits.idleMilliseconds,
    connectionsCheckingInterval: Math.min(TIMEOUT_CHECK_MILLISECONDS, limits.headersMilliseconds),
    maxHeaderSize: limits.maximumHeaderBytes,
  });
  server.on("connection", (socket: Socket) => connections.add(socket));
  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    takeRequest(context, request, response);
  });
  server.on("clientError", (error: Error, socket: Socket) => refuse(context, error, socket));
  server.on("connect", (request: IncomingMessage, socket: Socket) => {
    socket.end(rawAnswer(methodPage(request.method)), () => socket.destroy());
  });
  return server;
}

// The runtimes hand over all requests that a client sends ahead, without bound. Answering them one after
// another leaves each client its fair share, and cutting off who sends too many keeps memory bounded.
function takeRequest(context: Context, request: IncomingMessage, response: ServerResponse): void {
  const { connections, limits, log } = context;
  const connection = connections.find(request.socket);
  if (connection === undefined || connection.pending >= limits.maximumPipelinedRequests) {
    if (connection !== undefined) {
      log.debug("Cut off a client that sent too many requests ahead", clientFields(request.socket));
    }
    request.socket.destroy();
    return;
  }
  // A request or response that breaks off is found out by the connection's signal instead.
  request.on("error", () => {});
  response.on("error", () => {});
  connections.enqueue(connection, () => serve(context, connection, request, response));
}

async function serve(
  context: Context,
  connection: Connection,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { connections, limits, log } = context;
  const gone = new AbortController();
  const onGone = (): void => gone.abort();
  connection.signal.addEventListener("abort", onGone);
  try {
    if (connection.signal.aborted) return;
    const body = await discardBody(request, limits.maximumBodyBytes);
    if (body === "client gone" || connection.signal.aborted) return;
    const free = connections.begin(connection);
    const { page, close } = free
      ? await answer(context, request, body, gone.signal)
      : { page: textPage(503, "Too many requests at once, try again later"), close: true };
    const outcome = await sendPage(response, page, {
      headersOnly: request.method === "HEAD",
      close: close || connections.draining,
      signal: gone.signal,
      onStall: (stalled) => connections.setStalled(connection, stalled),
      stallMilliseconds: limits.stallMilliseconds,
      answerMilliseconds: limits.answerMilliseconds,
    });
    if (outcome === "sent") return;
    log.debug(`Could not send an answer: ${outcome}`, clientFields(connection.socket));
    connection.socket.destroy();
  } catch (error) {
    log.error("Could not send an answer", { error: oneLine(error) });
    connection.socket.destroy();
  } finally {
    connection.signal.removeEventListener("abort", onGone);
    connections.end(connection);
  }
}

async function answer(
  context: Context,
  request: IncomingMessage,
  body: "read" | "too large",
  signal: AbortSignal,
): Promise<Answer> {
  if (body === "too large") {
    const bytes = context.limits.maximumBodyBytes;
    return { page: textPage(413, `Request body too large: more than ${bytes} bytes`), close: true };
  }
  return { page: await findPage(context, request, signal), close: false };
}

// Called for requests that the runtime could not read, or that did not arrive in time.
function refuse({ connections, limits, log }: Context, error: Error, socket: Socket): void {
  const code = "code" in error ? String(error.code) : error.message;
  const connection = connections.find(socket);
  log.debug("Refused a request", { ...clientFields(socket), code });
  // A message in the middle of an answer would be taken for a part of it.
  if (connection === undefined || connection.busy || !socket.writable) socket.destroy();
  else connections.abandon(connection, rawAnswer(refusalPage(code, limits)));
}

function refusalPage(code: string, limits: WebLimits): Page {
  switch (code) {
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return textPage(408, "Request timeout: the request did not arrive in time");
    case "HPE_HEADER_OVERFLOW":
      return textPage(
        431,
        `Request header fields too large: more than ${limits.maximumHeaderBytes} bytes`,
      );
    default:
      return textPage(400, "Bad request: this is not valid HTTP/1.1");
  }
}

async function closeAll(
  { connections }: Context,
  servers: readonly Server[],
  deadlineMilliseconds: number,
): Promise<void> {
  for (const server of servers) server.close();
  connections.drain();
  let deadline: ReturnType<typeof setTimeout> | undefined;
  await Promise.race([
    connections.whenEmpty(),
    new Promise<void>((resolve) => {
      deadline = setTimeout(resolve, deadlineMilliseconds);
    }),
  ]);
  clearTimeout(deadline);
  connections.destroyAll();
}

function clientFields(socket: Socket): Readonly<Record<string, unknown>> {
  return { client: socket.remoteAddress ?? "unknown" };
}
