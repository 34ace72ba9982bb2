import { Buffer } from "node:buffer";
import { once } from "node:events";
import { type ServerResponse, STATUS_CODES } from "node:http";
import { clearTimeout, setTimeout } from "node:timers";
import { setHead } from "../runtime/response_headers.ts";

/** What a handler answers; the chunks go out one after another and must not change afterwards. */
export interface Page {
  /** HTTP status code. */
  readonly status: number;
  /** Value of the `Content-Type` header. */
  readonly contentType: string;
  /** The body in pieces of any size. */
  readonly chunks: readonly Uint8Array[];
  /** Further headers, such as `Content-Encoding`. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** How an answer is sent. */
export interface SendOptions {
  /** Send the headers only, as for HEAD. */
  readonly headersOnly: boolean;
  /** Close the connection after the answer. */
  readonly close: boolean;
  /** Aborts when the connection has closed. */
  readonly signal: AbortSignal;
  /** Told when the answer begins and ends to wait for the client to take more of it. */
  readonly onStall: (stalled: boolean) => void;
  /** Milliseconds without progress after which the client counts as too slow. */
  readonly stallMilliseconds: number;
  /** Milliseconds for the whole answer after which the client counts as too slow. */
  readonly answerMilliseconds: number;
}

/** How sending an answer ended; the caller has to close the connection unless it is `"sent"`. */
export type SendOutcome = "sent" | "client gone" | "client too slow";

/**
 * Bytes handed to the runtime at a time: the progress that a client has to make within
 * {@linkcode SendOptions.stallMilliseconds}, so it is small beside a page of many megabytes.
 */
const WRITE_BYTES = 64 * 1024;

// Exporters send no Cache-Control, and neither does this one.
const COMMON_HEADERS = { "X-Content-Type-Options": "nosniff" } as const;

/** Makes a page of one line of plain text. */
export function textPage(
  status: number,
  line: string,
  headers: Readonly<Record<string, string>> = {},
): Page {
  return {
    status,
    contentType: "text/plain; charset=utf-8",
    chunks: [new TextEncoder().encode(`${line}\n`)],
    headers,
  };
}

/**
 * Sends a page piece by piece, each when the client has taken the one before, so that a slow client holds no
 * copy of the page in memory.
 *
 * @throws {Error} when the page has headers that HTTP does not allow; nothing is sent then
 */
export async function sendPage(
  response: ServerResponse,
  page: Page,
  options: SendOptions,
): Promise<SendOutcome> {
  if (options.signal.aborted) return "client gone";
  setHead(response, page.status, pageHeaders(page, options.close));
  const tooSlow = new AbortController();
  const signal = AbortSignal.any([options.signal, tooSlow.signal]);
  const deadline = setTimeout(() => tooSlow.abort(), options.answerMilliseconds);
  const progress = async (event: "drain" | "finish"): Promise<void> => {
    const timeout = setTimeout(() => tooSlow.abort(), options.stallMilliseconds);
    options.onStall(true);
    try {
      await once(response, event, { signal });
    } finally {
      options.onStall(false);
      clearTimeout(timeout);
    }
  };
  try {
    let last: Uint8Array | undefined;
    for (const piece of options.headersOnly ? [] : pieces(page.chunks)) {
      signal.throwIfAborted();
      if (last !== undefined && !response.write(last)) await progress("drain");
      last = piece;
    }
    response.end(last);
    if (!response.writableFinished) await progress("finish");
    return "sent";
  } catch {
    return tooSlow.signal.aborted ? "client too slow" : "client gone";
  } finally {
    clearTimeout(deadline);
  }
}

function pageHeaders(page: Page, close: boolean): Record<string, string | number> {
  return {
    ...COMMON_HEADERS,
    "Content-Type": page.contentType,
    "Content-Length": bodyLength(page),
    ...page.headers,
    ...(close ? { Connection: "close" } : {}),
  };
}

function bodyLength({ chunks }: Pick<Page, "chunks">): number {
  return chunks.reduce((bytes, chunk) => bytes + chunk.byteLength, 0);
}

/** The body in pieces of moderate size. A small one is one piece: each is a call of the system, which costs more than a copy. */
function* pieces(chunks: readonly Uint8Array[]): Generator<Uint8Array> {
  if (bodyLength({ chunks }) <= WRITE_BYTES) {
    yield Buffer.concat(chunks);
    return;
  }
  for (const chunk of chunks) {
    for (let start = 0; start < chunk.byteLength; start += WRITE_BYTES) {
      yield chunk.subarray(start, start + WRITE_BYTES);
    }
  }
}

/**
 * Writes a page as the text of a whole HTTP answer that closes the connection, for clients whose request the
 * runtime could not read and so made no response object for.
 */
export function rawAnswer(page: Page): string {
  const headers = Object.entries(pageHeaders(page, true))
    .map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const decoder = new TextDecoder();
  const body = page.chunks.map((chunk) => decoder.decode(chunk)).join("");
  return `HTTP/1.1 ${page.status} ${STATUS_CODES[page.status] ?? ""}\r\n${headers}\r\n${body}`;
}
