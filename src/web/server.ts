import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server as HttpServer,
  type ServerResponse,
} from "node:http";
import { createServer as createNetServer, type Server as NetServer, type Socket } from "node:net";
import {
  createServer as createTlsServer,
  type Server as TlsServer,
  type TLSSocket,
} from "node:tls";
import { type Admission, createAdmission } from "./admission/admission.ts";
import { type Page, rawAnswer, sendPage, textPage } from "./answer.ts";
import { problemOfClient } from "./settings/client_certificate.ts";
import { type Connection, ConnectionTable } from "./connection_table.ts";
import { bind, type BoundAddress, type ListenAddress } from "./listen_address.ts";
import type { PasswordVerifier } from "./admission/basic_auth.ts";
import { discardBody } from "./request_body.ts";
import { DEFAULT_WEB_LIMITS, type WebLimits } from "./request_limits.ts";
import { findPage, methodPage, type PageHandler } from "./router.ts";
import { followsHttpRules } from "../runtime/http_rules.ts";
import { bareSocket, writePastTls } from "../runtime/past_tls.ts";
import { actAsListening } from "../runtime/silent_server.ts";
import { type SlowClientWatch, watchSlowClients } from "../runtime/slow_client_watch.ts";
import type { LogFields, LogWriter } from "../log/line.ts";
import { codeOf, messageOf, oneLine } from "../text.ts";
import { withinTime } from "../time.ts";
import { createOverflowLog, createRefusalLog } from "./web_log.ts";
import {
  fixedWebSettings,
  OPEN_WEB_SETTINGS,
  type WebSettings,
  type WebSettingsSource,
} from "./settings/web_settings.ts";

export type { Page } from "./answer.ts";
export { formatListenAddress, type ListenAddress, WebServerError } from "./listen_address.ts";
export { DEFAULT_WEB_LIMITS, type WebLimits } from "./request_limits.ts";
export type { PageHandler, PageRequest } from "./router.ts";

/** What a web server needs. */
export interface WebServerOptions {
  /** All of them are listened on; one that fails makes the start fail. */
  readonly listenAddresses: readonly ListenAddress[];
  /** Handlers by decoded path, such as `/metrics`. */
  readonly routes: ReadonlyMap<string, PageHandler>;
  readonly log: LogWriter;
  /** Limits that differ from {@linkcode DEFAULT_WEB_LIMITS}. */
  readonly limits?: Partial<WebLimits>;
  /** TLS, logins and headers; without them it is HTTP for everybody. */
  readonly settings?: WebSettingsSource;
  /** Needed where the settings may have users; nobody is let in without it then. */
  readonly verifyPassword?: PasswordVerifier;
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
  readonly http: HttpServer;
  readonly routes: ReadonlyMap<string, PageHandler>;
  readonly log: LogWriter;
  readonly limits: WebLimits;
  readonly connections: ConnectionTable;
  readonly settings: WebSettingsSource;
  readonly admission: Admission;
  readonly watch: SlowClientWatch;
}

interface Answer {
  readonly page: Page;
  /** Whether the connection has to close, because nobody can say where its next request begins. */
  readonly close: boolean;
}

/**
 * Starts answering HTTP/1.0 and HTTP/1.1 on all the given addresses.
 *
 * @throws {WebServerError} when one of the addresses cannot be listened on; then it listens on none
 */
export async function startWebServer(options: WebServerOptions): Promise<WebServer> {
  const context = createContext(options);
  const accept = createAcceptor(context);
  const servers: NetServer[] = [];
  const addresses: BoundAddress[] = [];
  try {
    for (const listenAddress of options.listenAddresses) {
      const server = createNetServer({ noDelay: true, allowHalfOpen: true }, accept);
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

function createContext(options: WebServerOptions): Context {
  const { log, routes } = options;
  const limits = { ...DEFAULT_WEB_LIMITS, ...options.limits };
  const connections = new ConnectionTable({
    maximumConnections: limits.maximumConnections,
    maximumBusy: limits.maximumRequestsInFlight,
    onOverflow: createOverflowLog(log, limits),
  });
  const context: Context = {
    http: createRequestServer({ limits }),
    routes,
    log,
    limits,
    connections,
    settings: options.settings ?? fixedWebSettings(OPEN_WEB_SETTINGS),
    admission: createAdmission({
      verifyPassword: options.verifyPassword ?? ((): Promise<boolean> => Promise.resolve(false)),
      onRefusal: createRefusalLog(log),
    }),
    watch: watchSlowClients({
      connections,
      limits,
      onLate: ({ socket }) => {
        // A client in the middle of its handshake cannot be told anything.
        if (isInHandshake(context, socket)) socket.destroy();
        else rejectRequest(context, REQUEST_TIMEOUT, socket);
      },
      onUnused: ({ socket }) => socket.destroy(),
    }),
  };
  listenToRequests(context);
  return context;
}

/**
 * Makes what takes each new connection, whatever it comes from: a TCP port, a Unix socket, or a socket of systemd. The HTTP
 * server and those of TLS never listen themselves, so that all are treated alike and TLS can change at any time.
 */
function createAcceptor(context: Context): (socket: Socket) => void {
  const { connections, settings, watch, http } = context;
  let tls = createEncryption(context, settings.current);
  let trustRules = trustRulesOf(settings.current);
  settings.onChange((changed) => {
    tls = createEncryption(context, changed);
    const changedRules = trustRulesOf(changed);
    // The clients that are connected were let in by rules that no longer hold.
    if (changedRules !== trustRules) connections.retire();
    trustRules = changedRules;
  });
  return (socket) => {
    connections.add(socket);
    if (socket.destroyed) return;
    watch.opened(socket);
    (tls ?? http).emit("connection", socket);
  };
}

/** The rules by which a connection is trusted, as a text that changes when they do. */
function trustRulesOf({ tls }: WebSettings): string {
  return JSON.stringify([
    tls !== undefined,
    tls?.config.clientAuthType,
    tls?.config.clientAllowedNames,
    tls?.options.ca,
  ]);
}

function createRequestServer({ limits }: Pick<Context, "limits">): HttpServer {
  const server = createHttpServer({
    headersTimeout: limits.headersMilliseconds,
    requestTimeout: limits.requestMilliseconds,
    keepAliveTimeout: limits.idleMilliseconds,
    connectionsCheckingInterval: Math.min(TIMEOUT_CHECK_MILLISECONDS, limits.headersMilliseconds),
    maxHeaderSize: limits.maximumHeaderBytes,
  });
  actAsListening(server);
  return server;
}

function listenToRequests(context: Context): void {
  const server = context.http;
  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    takeRequest(context, request, response);
  });
  server.on("clientError", (error: Error, socket: Socket) => {
    rejectRequest(context, codeOf(error) || error.message, socket);
  });
  // Else the runtimes answer 417 themselves, before the login. An expectation may be left unheeded (RFC 9110, 10.1.1).
  server.on("checkExpectation", (request: IncomingMessage, response: ServerResponse) => {
    takeRequest(context, request, response);
  });
  server.on("connect", (request: IncomingMessage, socket: Socket) => {
    takeConnect(context, request, socket);
  });
}

function createEncryption(
  { connections, log, watch, http }: Context,
  { tls }: WebSettings,
): TlsServer | undefined {
  if (tls === undefined) return undefined;
  const { options, config } = tls;
  const server = createTlsServer(options);
  server.on("secureConnection", (socket: TLSSocket) => {
    const bare = bareSocket(socket);
    if (bare === undefined) {
      socket.destroy();
      return;
    }
    connections.secure(bare, socket);
    if (socket.destroyed) return;
    const certificate = socket.getPeerCertificate();
    const reason = problemOfClient(config, {
      authorized: socket.authorized,
      authorizationError: socket.authorizationError,
      certificate: certificate?.raw === undefined ? undefined : certificate,
    });
    if (reason !== undefined) {
      log.debug("Refused a client", { ...clientFields(bare), reason });
      socket.destroy();
      return;
    }
    watch.opened(socket);
    http.emit("connection", socket);
  });
  server.on("tlsClientError", (error: Error, socket: TLSSocket) => {
    const code = codeOf(error) || error.message;
    log.debug("Could not agree with a client on TLS", { ...clientFields(socket), code });
    if (code === HTTP_REQUEST) writePastTls(socket, rawAnswer(textPage(400, WITHOUT_TLS)));
    socket.destroy();
  });
  return server;
}

/** The runtimes' code for a client that has begun with a request instead of a handshake; Deno has none. */
const HTTP_REQUEST = "ERR_SSL_HTTP_REQUEST";

/** The words of Go's servers, which people look for. */
const WITHOUT_TLS = "Client sent an HTTP request to an HTTPS server.";

function isInHandshake({ settings }: Context, socket: Socket): boolean {
  return settings.current.tls !== undefined &&
    !("encrypted" in socket && socket.encrypted === true);
}

// The runtimes hand over all requests that a client sends ahead, without bound. Answering them one after
// another leaves each client its fair part. A client that sends too many is cut off, so that memory stays bounded.
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

/** Refuses to be a proxy. The runtimes make no response for CONNECT, and hand it over before earlier requests are answered. */
function takeConnect(context: Context, request: IncomingMessage, socket: Socket): void {
  const { admission, connections, settings } = context;
  const connection = connections.find(socket);
  if (connection === undefined) {
    socket.destroy();
    return;
  }
  connections.enqueue(connection, async () => {
    const { signal } = connection;
    const refusal = await admission.check(
      settings.current,
      { headers: request.headers, socket },
      signal,
    );
    if (signal.aborted) return;
    const page = withHeaders(refusal ?? methodPage(request.method), settings.current);
    connections.abandon(connection, rawAnswer(page));
  });
}

async function serve(
  context: Context,
  connection: Connection,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { connections, limits, log, watch } = context;
  const gone = new AbortController();
  const onGone = (): void => gone.abort();
  connection.signal.addEventListener("abort", onGone);
  try {
    if (connection.signal.aborted) return;
    const body = await discardBody(
      request,
      limits.maximumBodyBytes,
      limits.requestMilliseconds,
    );
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
    if (outcome === "sent") {
      watch.answered(connection.socket);
      return;
    }
    log.debug(`Could not send an answer: ${outcome}`, clientFields(connection.socket));
    connection.socket.destroy();
  } catch (error) {
    log.error("Could not send an answer", { error: oneLine(messageOf(error)) });
    connection.socket.destroy();
  } finally {
    connection.signal.removeEventListener("abort", onGone);
    connections.end(connection);
  }
}

async function answer(
  context: Context,
  request: IncomingMessage,
  body: "read" | "too large" | "too slow",
  signal: AbortSignal,
): Promise<Answer> {
  const { admission, limits } = context;
  const settings = context.settings.current;
  if (!followsHttpRules(request)) {
    return { page: withHeaders(refusalPage(BAD_REQUEST, limits), settings), close: true };
  }
  if (body !== "read") {
    const code = body === "too large" ? BODY_TOO_LARGE : REQUEST_TIMEOUT;
    return { page: withHeaders(refusalPage(code, limits), settings), close: true };
  }
  const refusal = await admission.check(settings, request, signal);
  const page = refusal ?? await findPage(context, request, signal);
  return { page: withHeaders(page, settings), close: false };
}

/** Adds the headers of the web configuration; one that the page sets itself stays. */
function withHeaders(page: Page, { headers }: WebSettings): Page {
  return headers.size === 0
    ? page
    : { ...page, headers: { ...Object.fromEntries(headers), ...page.headers } };
}

/** A code of the runtimes, and others of the same kind. */
const REQUEST_TIMEOUT = "ERR_HTTP_REQUEST_TIMEOUT";
const BODY_TOO_LARGE = "BODY_TOO_LARGE";
const BAD_REQUEST = "BAD_REQUEST";

// Called for requests that the runtime could not read, or that did not arrive in time.
function rejectRequest(
  { connections, limits, log, settings }: Context,
  code: string,
  socket: Socket,
): void {
  const connection = connections.find(socket);
  log.debug("Refused a request", { ...clientFields(socket), code });
  // A message in the middle of an answer would be taken for a part of it.
  if (connection === undefined || connection.busy || !socket.writable) socket.destroy();
  else {
    const page = withHeaders(refusalPage(code, limits), settings.current);
    connections.abandon(connection, rawAnswer(page));
  }
}

function refusalPage(code: string, limits: WebLimits): Page {
  switch (code) {
    case BODY_TOO_LARGE:
      return textPage(
        413,
        `Request body too large: more than ${limits.maximumBodyBytes} bytes`,
      );
    case REQUEST_TIMEOUT:
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
  { connections, http, watch }: Context,
  servers: readonly NetServer[],
  deadlineMilliseconds: number,
): Promise<void> {
  for (const server of [...servers, http]) server.close();
  connections.drain();
  await withinTime(connections.whenEmpty(), deadlineMilliseconds);
  connections.destroyAll();
  watch.stop();
}

function clientFields(socket: Socket): LogFields {
  return { client: socket.remoteAddress ?? "unknown" };
}
