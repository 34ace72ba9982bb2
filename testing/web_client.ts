// A client over raw sockets for what fetch() cannot do: malformed, slow, pipelined and aborted requests.
import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions, TLSSocket } from "node:tls";

/** Fails a test that would otherwise wait for ever; far beyond what any scenario takes. */
const GUARD_MILLISECONDS = 30_000;

/** One answer of a server. */
export interface ReceivedAnswer {
  readonly status: number;
  /** By lower-case name. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** What came back until the wanted number of answers was there or the server closed the connection. */
export interface Received {
  readonly answers: readonly ReceivedAnswer[];
  readonly closed: boolean;
}

/** A connection to a server. */
export interface Client {
  readonly socket: Socket;
  send(text: string): void;
  /** Waits for that many answers in all, or for the end of the connection. */
  receive(answers: number): Promise<Received>;
  /** Waits until the server has closed the connection and returns all that came. */
  receiveUntilClosed(): Promise<Received>;
  close(): void;
}

/**
 * Connects to a server on 127.0.0.1.
 *
 * @param withoutBodies whether the answers carry no bodies, as those to HEAD
 */
export function openClient(port: number, withoutBodies = false): Promise<Client> {
  return clientOn(connect(port, "127.0.0.1"), withoutBodies);
}

/** How a client proves who it is, and whom it trusts. */
export type TlsClientOptions = Pick<ConnectionOptions, "ca" | "cert" | "key">;

/** Connects to a server on 127.0.0.1 through TLS; the connection is closed when they do not agree. */
export function openTlsClient(port: number, options: TlsClientOptions): Promise<Client> {
  return clientOn(connectTls({ ...options, port, host: "127.0.0.1" }), false);
}

async function clientOn(socket: Socket, withoutBodies: boolean): Promise<Client> {
  const chunks: string[] = [];
  let closed = false;
  let wake = (): void => {};
  socket.setEncoding("latin1");
  socket.on("data", (chunk: string) => {
    chunks.push(chunk);
    wake();
  });
  socket.on("error", () => {});
  for (const event of ["end", "close"]) {
    socket.on(event, () => {
      closed = true;
      socket.destroy();
      wake();
    });
  }
  await new Promise<void>((resolve) => {
    socket.once(socket instanceof TLSSocket ? "secureConnect" : "connect", resolve);
    socket.once("close", () => resolve());
  });

  async function receiveUntil(done: (received: Received) => boolean): Promise<Received> {
    let guardHit = false;
    const guard = setTimeout(() => {
      guardHit = true;
      wake();
    }, GUARD_MILLISECONDS);
    try {
      while (true) {
        const changed = new Promise<void>((resolve) => {
          wake = resolve;
        });
        const received = { answers: parseAnswers(chunks.join(""), withoutBodies), closed };
        if (closed || done(received)) return received;
        if (guardHit) assert.fail(`No answer in time, only ${JSON.stringify(chunks.join(""))}`);
        await changed;
      }
    } finally {
      clearTimeout(guard);
    }
  }

  return {
    socket,
    send: (text) => void socket.write(text, "latin1"),
    receive: (count) => receiveUntil(({ answers }) => answers.length >= count),
    receiveUntilClosed: () => receiveUntil(() => false),
    close: () => void socket.destroy(),
  };
}

function parseAnswers(text: string, withoutBodies: boolean): readonly ReceivedAnswer[] {
  const answers: ReceivedAnswer[] = [];
  let rest = text;
  while (true) {
    const end = rest.indexOf("\r\n\r\n");
    if (end === -1) return answers;
    const [statusLine = "", ...headerLines] = rest.slice(0, end).split("\r\n");
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(statusLine)?.[1]);
    assert.ok(status >= 100, `Not a status line: ${JSON.stringify(statusLine)}`);
    const headers = new Map(headerLines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }));
    rest = rest.slice(end + 4);
    const length = bodyLength(status, headers, rest, withoutBodies);
    if (length === undefined || rest.length < length) return answers;
    answers.push({ status, headers, body: rest.slice(0, length) });
    rest = rest.slice(length);
  }
}

function bodyLength(
  status: number,
  headers: ReadonlyMap<string, string>,
  rest: string,
  withoutBodies: boolean,
): number | undefined {
  if (withoutBodies || status < 200) return 0;
  if (headers.get("transfer-encoding") !== "chunked") return Number(headers.get("content-length"));
  const lastChunk = rest.indexOf("0\r\n\r\n");
  return lastChunk === -1 ? undefined : lastChunk + 5;
}
