// Runs the same scenarios against the web server under Deno and under Bun, which the executable is made of.
import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { createServer } from "node:net";
import { networkInterfaces } from "node:os";
import { startWebServer, type WebLimits, WebServerError } from "../src/web/server.ts";
import { type Client, eventually, openClient } from "./web_client.ts";
import {
  BIG_PAGE_BYTES,
  type WebServerReport,
  type WebServerSetup,
  type WebServerState,
} from "./web_server_process.ts";

interface Runtime {
  readonly name: string;
  readonly command: readonly string[];
}

interface ServerProcess {
  readonly port: number;
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
  readonly url: string;
  readonly processId: number;
  state(): Promise<WebServerState>;
  openFiles(): Promise<number>;
  /** Sends SIGTERM and resolves with what the process printed after its report and its exit code. */
  terminate(): Promise<{ readonly output: string; readonly code: number }>;
}

const RUNTIMES: readonly Runtime[] = [
  { name: "Deno", command: [Deno.execPath(), "run", "-A"] },
  { name: "Bun", command: [new URL("../node_modules/.bin/bun", import.meta.url).pathname] },
];
const SERVER_SCRIPT = new URL("./web_server_process.ts", import.meta.url).pathname;
const LOOPBACK: WebServerSetup["listenAddresses"] = [{ host: "127.0.0.1", port: 0 }];
const GET = "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n";
const METRICS = "first 1\nsecond 2\n";

/** Limits under which a slow client is found out soon. */
const IMPATIENT: Partial<WebLimits> = {
  headersMilliseconds: 300,
  requestMilliseconds: 600,
  idleMilliseconds: 300,
  stallMilliseconds: 300,
};

async function startProcess(
  runtime: Runtime,
  setup: Partial<WebServerSetup>,
): Promise<
  {
    readonly child: Deno.ChildProcess;
    readonly lines: AsyncIterator<string>;
    readonly report: WebServerReport;
  }
> {
  const [program = "", ...arguments_] = runtime.command;
  const child = new Deno.Command(program, {
    args: [
      ...arguments_,
      SERVER_SCRIPT,
      JSON.stringify({
        listenAddresses: LOOPBACK,
        limits: {},
        closeMilliseconds: 10_000,
        ...setup,
      }),
    ],
    stdout: "piped",
  }).spawn();
  const lines = readLines(child.stdout);
  const first = await lines.next();
  assert.equal(first.done, false, "The server process printed nothing");
  return { child, lines, report: JSON.parse(first.value) };
}

async function* readLines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  return rest;
}

async function withServer(
  runtime: Runtime,
  setup: Partial<WebServerSetup>,
  use: (server: ServerProcess) => Promise<void>,
): Promise<void> {
  const { child, lines, report } = await startProcess(runtime, setup);
  let ended: Promise<{ readonly output: string; readonly code: number }> | undefined;
  const end = async (
    signal: Deno.Signal,
  ): Promise<{ readonly output: string; readonly code: number }> => {
    child.kill(signal);
    const output: string[] = [];
    for (let line = await lines.next(); !line.done; line = await lines.next()) {
      output.push(line.value);
    }
    return { output: output.join("\n"), code: (await child.status).code };
  };
  try {
    assert.ok("addresses" in report, `The server did not start: ${JSON.stringify(report)}`);
    const port = report.addresses[0]?.port ?? 0;
    const url = `http://127.0.0.1:${port}`;
    await use({
      port,
      addresses: report.addresses,
      url,
      processId: child.pid,
      state: async () => await (await fetch(`${url}/state`)).json(),
      openFiles: async () => (await readdir(`/proc/${child.pid}/fd`)).length,
      terminate: () => ended ??= end("SIGTERM"),
    });
  } finally {
    await (ended ??= end("SIGKILL"));
  }
}

async function withClients(
  count: number,
  port: number,
  use: (clients: readonly Client[]) => Promise<void>,
): Promise<void> {
  const clients = await Promise.all(Array.from({ length: count }, () => openClient(port)));
  try {
    await use(clients);
  } finally {
    for (const client of clients) client.close();
  }
}

interface RawCase {
  readonly name: string;
  readonly send: string;
  readonly statuses: readonly number[];
  /** What becomes of the connection after the answers. */
  readonly then: "stays open" | "closes";
  /** Expected in the last answer. */
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const HEADERS = "Host: h\r\n\r\n";
const RAW_CASES: readonly RawCase[] = [
  { name: "GET", send: GET, statuses: [200], then: "stays open", body: METRICS },
  {
    name: "a request that wants the connection closed",
    send: "GET /metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    statuses: [200],
    then: "closes",
    headers: { connection: "close" },
  },
  {
    name: "HEAD without a body",
    send: `HEAD /metrics HTTP/1.1\r\n${HEADERS}`,
    statuses: [200],
    then: "stays open",
    body: "",
    headers: { "content-length": String(METRICS.length) },
  },
  {
    name: "HTTP/1.0 without Host",
    send: "GET /metrics HTTP/1.0\r\n\r\n",
    statuses: [200],
    then: "closes",
    body: METRICS,
  },
  {
    name: "HTTP/1.1 without Host",
    send: "GET /metrics HTTP/1.1\r\n\r\n",
    statuses: [400],
    then: "closes",
  },
  {
    name: "the absolute form",
    send: `GET http://h:1/metrics HTTP/1.1\r\n${HEADERS}`,
    statuses: [200],
    then: "stays open",
    body: METRICS,
  },
  {
    name: "a query",
    send: `GET /metrics?a=%zz&b HTTP/1.1\r\n${HEADERS}`,
    statuses: [200],
    then: "stays open",
    body: METRICS,
  },
  {
    name: "a percent-encoded path",
    send: `GET /%C3%A9%63helle HTTP/1.1\r\n${HEADERS}`,
    statuses: [200],
    then: "stays open",
    body: "found\n",
  },
  {
    name: "malformed percent-encoding",
    send: `GET /%zz HTTP/1.1\r\n${HEADERS}`,
    statuses: [400],
    then: "stays open",
  },
  {
    name: "an unknown path",
    send: `GET /metricsx HTTP/1.1\r\n${HEADERS}`,
    statuses: [404],
    then: "stays open",
    headers: { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" },
  },
  {
    name: "two slashes",
    send: `GET //metrics HTTP/1.1\r\n${HEADERS}`,
    statuses: [404],
    then: "stays open",
  },
  {
    name: "another method",
    send: `DELETE /metrics HTTP/1.1\r\n${HEADERS}`,
    statuses: [405],
    then: "stays open",
    headers: { allow: "GET, HEAD" },
  },
  {
    name: "another method on an unknown path",
    send: `DELETE /other HTTP/1.1\r\n${HEADERS}`,
    statuses: [404],
    then: "stays open",
  },
  {
    name: "CONNECT",
    send: `CONNECT h:1 HTTP/1.1\r\n${HEADERS}`,
    statuses: [405],
    then: "closes",
  },
  {
    name: "a method that does not exist",
    send: `BREW /metrics HTTP/1.1\r\n${HEADERS}`,
    statuses: [400],
    then: "closes",
  },
  { name: "an empty page", send: `GET /empty HTTP/1.1\r\n${HEADERS}`, statuses: [200], then: "stays open", body: "" },
  {
    name: "pipelined requests in their order",
    send: `GET /slow HTTP/1.1\r\n${HEADERS}GET /nothing HTTP/1.1\r\n${HEADERS}${GET}`,
    statuses: [200, 404, 200],
    then: "stays open",
    body: METRICS,
  },
  {
    name: "a small body",
    send: `GET /metrics HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello${GET}`,
    statuses: [200, 200],
    then: "stays open",
  },
  {
    name: "a small chunked body",
    send: "GET /metrics HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" +
      `5\r\nhello\r\n0\r\n\r\n${GET}`,
    statuses: [200, 200],
    then: "stays open",
  },
  {
    name: "a body that is announced as too large",
    send: "POST /metrics HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\nhello",
    statuses: [413],
    then: "closes",
  },
  {
    name: "a chunked body that turns out too large",
    send: "POST /metrics HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" +
      `8000\r\n${"x".repeat(0x8000)}\r\n`.repeat(3),
    statuses: [413],
    then: "closes",
  },
  {
    name: "Expect: 100-continue",
    send: "GET /metrics HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok",
    statuses: [100, 200],
    then: "stays open",
    body: METRICS,
  },
  {
    name: "another expectation",
    send: "GET /metrics HTTP/1.1\r\nHost: h\r\nExpect: more\r\n\r\n",
    statuses: [417],
    then: "stays open",
  },
  {
    name: "an upgrade with the page and no upgrade",
    send: "GET /metrics HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    statuses: [200],
    then: "stays open",
    body: METRICS,
  },
  {
    name: "HTTP/2 with prior knowledge",
    send: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    statuses: [400],
    then: "closes",
  },
  { name: "no HTTP at all", send: "hello\r\n\r\n", statuses: [400], then: "closes" },
  { name: "TLS", send: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", statuses: [400], then: "closes" },
  {
    name: "an unknown version",
    send: `GET /metrics HTTP/9.9\r\n${HEADERS}`,
    statuses: [400],
    then: "closes",
  },
  {
    name: "a malformed header",
    send: "GET /metrics HTTP/1.1\r\nHo st: h\r\n\r\n",
    statuses: [400],
    then: "closes",
  },
  {
    name: "a header with a control character",
    send: "GET /metrics HTTP/1.1\r\nHost: h\r\nX: a\x00b\r\n\r\n",
    statuses: [400],
    then: "closes",
  },
  {
    name: "two lengths of one body",
    send: "POST /metrics HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n" +
      "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    statuses: [400],
    then: "closes",
  },
  {
    name: "a malformed chunk",
    send: "POST /metrics HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    statuses: [400],
    then: "closes",
  },
  {
    name: "a request behind which nonsense follows",
    send: `GET /hold HTTP/1.1\r\n${HEADERS}hello\r\n\r\n`,
    statuses: [400],
    then: "closes",
  },
  {
    name: "a header that is too large",
    send: `GET /metrics HTTP/1.1\r\nX: ${"x".repeat(17_000)}\r\n${HEADERS}`,
    statuses: [431],
    then: "closes",
  },
  {
    name: "a target that is too long",
    send: `GET /metrics?${"x".repeat(9_000)} HTTP/1.1\r\n${HEADERS}`,
    statuses: [414],
    then: "stays open",
  },
];

const SLOW_CASES: readonly RawCase[] = [
  { name: "a connection without a request", send: "", statuses: [408], then: "closes" },
  { name: "unfinished headers", send: "GET /metrics HTTP/1.1\r\nHo", statuses: [408], then: "closes" },
  {
    name: "an unfinished body",
    send: "GET /metrics HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhe",
    statuses: [408],
    then: "closes",
  },
  {
    name: "an unfinished request after a finished one",
    send: `${GET}GET /met`,
    statuses: [200, 408],
    then: "closes",
  },
  { name: "a connection that falls idle", send: GET, statuses: [200], then: "closes", body: METRICS },
  {
    name: "a page that takes longer than a request may",
    send: `GET /slow HTTP/1.1\r\n${HEADERS}`,
    statuses: [200],
    then: "closes",
    body: "slow\n",
  },
];

async function checkRawCase(port: number, expected: RawCase): Promise<void> {
  const client = await openClient(port, expected.send.startsWith("HEAD"));
  try {
    if (expected.send !== "") client.send(expected.send);
    const { answers } = expected.then === "closes"
      ? await client.receiveUntilClosed()
      : await client.receive(expected.statuses.length);
    assert.deepEqual(answers.map(({ status }) => status), expected.statuses);
    const last = answers.at(-1);
    if (expected.body !== undefined) assert.equal(last?.body, expected.body);
    for (const [name, value] of Object.entries(expected.headers ?? {})) {
      assert.equal(last?.headers.get(name), value, name);
    }
    if (expected.then === "closes") return;
    client.send("HEAD /metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    const { closed } = await client.receiveUntilClosed();
    assert.equal(closed, true);
  } finally {
    client.close();
  }
}
