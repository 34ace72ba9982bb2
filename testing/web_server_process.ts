// Runs a web server as a process of its own, under Deno or Bun, for server_test.ts: takes a WebServerSetup as
// JSON in its first argument, prints one line of JSON (WebServerReport) and closes the server on SIGTERM.
import process from "node:process";
import {
  type ListenAddress,
  type Page,
  type PageHandler,
  startWebServer,
  type WebLimits,
} from "../src/web/server.ts";
import {
  fixedWebSettings,
  followWebSettings,
  OPEN_WEB_SETTINGS,
} from "../src/web/settings/web_settings.ts";
import type { LogWriter } from "../src/log/line.ts";
import { verifyPassword } from "../src/shim/native.ts";

/** What the process is started with; `null` stands for all addresses. */
export interface WebServerSetup {
  readonly listenAddresses: readonly { readonly host: string | null; readonly port: number }[];
  readonly limits: Partial<WebLimits>;
  readonly closeMilliseconds: number;
  /** A web configuration file. */
  readonly webConfigFile?: string;
}

/** The line that the process prints. */
export type WebServerReport =
  | { readonly addresses: readonly { readonly host: string; readonly port: number }[] }
  | { readonly error: string; readonly name: string };

/** What `/state` answers. */
export interface WebServerState {
  /** Messages above debug, with their fields. */
  readonly log: readonly string[];
  readonly debugMessages: readonly string[];
  /** How often the handlers of `/slow` and `/hold` began. */
  readonly slow: number;
  readonly held: number;
  /** How often the handler of `/hold` found its client gone. */
  readonly gone: number;
  readonly residentBytes: number;
}

const MILLISECONDS_OF_A_SLOW_PAGE = 1_000;

const encoder = new TextEncoder();

function page(contentType: string, ...chunks: readonly Uint8Array[]): Page {
  return { status: 200, contentType, chunks };
}

const state = {
  log: [] as string[],
  debugMessages: [] as string[],
  slow: 0,
  held: 0,
  gone: 0,
};
const bigChunks = Array.from(
  { length: 15 },
  (_, index) => new Uint8Array(1024 * 1024).fill(65 + index),
);

const routes: ReadonlyMap<string, PageHandler> = new Map<string, PageHandler>([
  ["/metrics", () => {
    const chunks = ["first 1\n", "", "second 2\n"].map((text) => encoder.encode(text));
    return Promise.resolve(page("text/plain; version=0.0.4; charset=utf-8", ...chunks));
  }],
  ["/échelle", () => Promise.resolve(page("text/plain", encoder.encode("found\n")))],
  ["/empty", () => Promise.resolve(page("text/plain"))],
  ["/big", () => Promise.resolve(page("text/plain", ...bigChunks))],
  ["/slow", async () => {
    state.slow += 1;
    await new Promise((resolve) => setTimeout(resolve, MILLISECONDS_OF_A_SLOW_PAGE));
    return page("text/plain", encoder.encode("slow\n"));
  }],
  ["/hold", ({ signal }) => {
    state.held += 1;
    return new Promise((resolve) => {
      signal.addEventListener("abort", () => {
        state.gone += 1;
        resolve(page("text/plain", encoder.encode("too late\n")));
      });
    });
  }],
  ["/throws", () => Promise.reject(new Error("a secret\nof two lines"))],
  ["/invalid", () => Promise.resolve(page("text/\nplain", encoder.encode("never sent\n")))],
  ["/request", ({ method, query, headers }) => {
    const text = JSON.stringify({ method, query, test: headers["x-test"] });
    return Promise.resolve(page("application/json", encoder.encode(text)));
  }],
  ["/state", () => {
    const residentBytes = process.memoryUsage().rss;
    const text = JSON.stringify({ ...state, residentBytes });
    return Promise.resolve(page("application/json", encoder.encode(text)));
  }],
]);

function record(message: string, fields?: Readonly<Record<string, unknown>>): void {
  state.log.push(`${message} ${JSON.stringify(fields)}`);
}

async function main(): Promise<WebServerReport> {
  const setup = JSON.parse(process.argv[2] ?? "") as WebServerSetup;
  const listenAddresses: readonly ListenAddress[] = setup.listenAddresses.map(({ host, port }) => ({
    host: host ?? undefined,
    port,
  }));
  const log: LogWriter = {
    debug: (message, fields) => {
      state.debugMessages.push(message);
      if (fields?.["reason"] !== undefined) record(message, fields);
    },
    info: record,
    warn: record,
    error: record,
  };
  try {
    const settings = setup.webConfigFile === undefined
      ? fixedWebSettings(OPEN_WEB_SETTINGS)
      : await followWebSettings(setup.webConfigFile, { log, intervalMilliseconds: 50 });
    const server = await startWebServer({
      listenAddresses,
      routes,
      limits: setup.limits,
      settings,
      verifyPassword,
      log,
    });
    process.once("SIGTERM", async () => {
      settings.close();
      await server.close(setup.closeMilliseconds);
      // No process.exit(): the process ends by itself once nothing is left open.
      process.stdout.write("closed\n");
    });
    return { addresses: server.addresses.flatMap((address) => "host" in address ? address : []) };
  } catch (error) {
    return error instanceof Error
      ? { error: error.message, name: error.name }
      : { error: String(error), name: "" };
  }
}

process.on("uncaughtException", (error) => record("Uncaught", { error: error.message }));
process.on("unhandledRejection", (error) => record("Unhandled", { error: String(error) }));
process.stdout.write(`${JSON.stringify(await main())}\n`);
