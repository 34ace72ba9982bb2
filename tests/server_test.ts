// Runs the same scenarios against the web server under Deno and under Bun, which the executable is made of.
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { networkInterfaces } from "node:os";
import type { WebLimits } from "../src/web/server.ts";
import { type Client, eventually, openClient } from "./web_client.ts";
import type { WebServerSetup } from "./web_server_process.ts";
import {
  LOOPBACK,
  RUNTIMES,
  type ServerProcess,
  startProcess,
  withServer,
} from "./support/web_server.ts";

const GET = "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n";
const METRICS = "first 1\nsecond 2\n";
const BIG_PAGE_BYTES = 15 * 1024 * 1024;

/** Limits under which a slow client is found out soon. */
const IMPATIENT: Partial<WebLimits> = {
  headersMilliseconds: 300,
  requestMilliseconds: 600,
  idleMilliseconds: 300,
  stallMilliseconds: 300,
};

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
    name: "CONNECT behind other requests",
    send: `${GET}${GET}CONNECT h:1 HTTP/1.1\r\n${HEADERS}${GET}`,
    statuses: [200, 200, 405],
    then: "closes",
  },
  {
    name: "a method that does not exist",
    send: `BREW /metrics HTTP/1.1\r\n${HEADERS}`,
    statuses: [400],
    then: "closes",
  },
  {
    name: "an empty page",
    send: `GET /empty HTTP/1.1\r\n${HEADERS}`,
    statuses: [200],
    then: "stays open",
    body: "",
  },
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
    statuses: [200],
    then: "stays open",
    body: METRICS,
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
  {
    name: "TLS",
    send: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    statuses: [400],
    then: "closes",
  },
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
  {
    name: "unfinished headers",
    send: "GET /metrics HTTP/1.1\r\nHo",
    statuses: [408],
    then: "closes",
  },
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
  {
    name: "a connection that falls idle",
    send: GET,
    statuses: [200],
    then: "closes",
    body: METRICS,
  },
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
    const method = expected.send.startsWith("HEAD") ? "HEAD" : "GET";
    client.send(`${method} /metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`);
    const all = await client.receiveUntilClosed();
    assert.deepEqual(all.answers.map(({ status }) => status), [...expected.statuses, 200]);
  } finally {
    client.close();
  }
}

interface Scenario {
  /** Follows "startWebServer() under Deno ". */
  readonly name: string;
  readonly setup?: Partial<WebServerSetup>;
  check(server: ServerProcess): Promise<void>;
}

async function getMetrics(server: ServerProcess): Promise<string> {
  return await (await fetch(`${server.url}/metrics`)).text();
}

const SCENARIOS: readonly Scenario[] = [
  {
    name: "sends the page with its type and length, and HEAD the same headers",
    async check({ url }): Promise<void> {
      const got = await fetch(`${url}/metrics`);
      const head = await fetch(`${url}/metrics`, { method: "HEAD" });
      assert.equal(await got.text(), METRICS);
      assert.equal(await head.text(), "");
      const headersOf = (response: Response): Record<string, string> => {
        const { date: _, ...others } = Object.fromEntries(response.headers);
        return others;
      };
      assert.deepEqual(headersOf(head), headersOf(got));
      const { connection: _, "keep-alive": __, ...own } = headersOf(got);
      assert.deepEqual(own, {
        "content-length": String(METRICS.length),
        "content-type": "text/plain; version=0.0.4; charset=utf-8",
        "x-content-type-options": "nosniff",
      });
    },
  },
  {
    name: "hands method, query and headers to the handler",
    async check({ port }): Promise<void> {
      await withClients(1, port, async ([client]) => {
        assert.ok(client);
        client.send(
          "GET http://h/request?a=%20&b?c HTTP/1.1\r\nHost: h\r\nX-Test: 1\r\nx-test: 2\r\n\r\n",
        );
        const { answers } = await client.receive(1);
        assert.deepEqual(JSON.parse(answers[0]?.body ?? ""), {
          method: "GET",
          query: "a=%20&b?c",
          test: "1, 2",
        });
      });
    },
  },
  {
    name: "names the known paths to whom asks for another one",
    async check({ url }): Promise<void> {
      const response = await fetch(`${url}/`);
      assert.equal(response.status, 404);
      assert.match(await response.text(), /^Not found, this exporter answers on \/metrics, /);
    },
  },
  {
    name: "sends a page of many megabytes whole",
    async check({ url }): Promise<void> {
      const response = await fetch(`${url}/big`);
      assert.equal(response.headers.get("content-length"), String(BIG_PAGE_BYTES));
      const bytes = new Uint8Array(await response.arrayBuffer());
      assert.equal(bytes.byteLength, BIG_PAGE_BYTES);
      const starts = Array.from({ length: 15 }, (_, index) => bytes[index * 1024 * 1024]);
      assert.deepEqual(starts, Array.from({ length: 15 }, (_, index) => 65 + index));
    },
  },
  {
    name: "answers 100 requests at once",
    async check(server): Promise<void> {
      const texts = await Promise.all(Array.from({ length: 100 }, () => getMetrics(server)));
      assert.deepEqual(new Set(texts), new Set([METRICS]));
    },
  },
  {
    name: "answers 500 without the reason and logs that in one line when a handler throws",
    async check({ url, state }): Promise<void> {
      const response = await fetch(`${url}/throws`);
      assert.equal(response.status, 500);
      assert.equal(await response.text(), "Internal error\n");
      assert.deepEqual((await state()).log, [
        'Could not make a page {"path":"/throws","error":"a secret of two lines"}',
      ]);
    },
  },
  {
    name: "cuts the connection and logs one line when a page cannot be sent",
    async check({ port, state }): Promise<void> {
      await withClients(1, port, async ([client]) => {
        assert.ok(client);
        client.send(`GET /invalid HTTP/1.1\r\n${HEADERS}`);
        assert.deepEqual((await client.receiveUntilClosed()).answers, []);
      });
      const { log } = await state();
      assert.equal(log.length, 1);
      assert.match(log[0] ?? "", /^Could not send an answer /);
    },
  },
  {
    name: "aborts the signal of a request whose client has gone and logs nothing",
    async check({ port, state }): Promise<void> {
      await withClients(5, port, async (clients) => {
        for (const client of clients) client.send(`GET /hold HTTP/1.1\r\n${HEADERS}`);
        await eventually("the handlers run", async () => (await state()).held === 5);
        for (const client of clients) client.close();
        await eventually("their signals abort", async () => (await state()).gone === 5);
        assert.deepEqual((await state()).log, []);
      });
    },
  },
  {
    name: "closes a connection that sends nonsense behind a request and aborts that request",
    async check({ port, state }): Promise<void> {
      await withClients(1, port, async ([client]) => {
        assert.ok(client);
        client.send(`GET /hold HTTP/1.1\r\n${HEADERS}hello\r\n\r\n`);
        const { answers } = await client.receiveUntilClosed();
        // The runtimes differ in whether the request has begun to be answered by then.
        assert.ok(answers.every(({ status }) => status === 400));
        await eventually("it ends", async () => {
          const { held, gone } = await state();
          return held === gone;
        });
        assert.deepEqual((await state()).log, []);
      });
    },
  },
  {
    name: "keeps no file open and logs nothing for clients that leave in the middle of an answer",
    async check(server): Promise<void> {
      await getMetrics(server);
      const before = await server.openFiles();
      for (let round = 0; round < 20; round += 1) {
        await withClients(10, server.port, async (clients) => {
          for (const { socket, send } of clients) {
            const begun = new Promise((resolve) => socket.once("data", resolve));
            send(`GET /big HTTP/1.1\r\n${HEADERS}`);
            await begun;
            socket.destroy();
          }
        });
      }
      await eventually("all is closed", async () => await server.openFiles() <= before + 1);
      assert.deepEqual((await server.state()).log, []);
    },
  },
  {
    name: "outlives clients that reset their connections at any point",
    async check({ port, state }): Promise<void> {
      const requests = [
        "G",
        "hello\r\n\r\n",
        `CONNECT h:1 HTTP/1.1\r\n${HEADERS}`,
        `GET /big HTTP/1.1\r\n${HEADERS}`,
        `GET /hold HTTP/1.1\r\n${HEADERS}`,
        "POST /metrics HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\na",
      ];
      for (const request of requests) {
        for (let round = 0; round < 100; round += 1) {
          const { socket, send } = await openClient(port);
          send(request);
          await new Promise((resolve) => setTimeout(resolve, 1));
          const closed = new Promise((resolve) => socket.once("close", resolve));
          socket.resetAndDestroy();
          if (!socket.closed) await closed;
        }
      }
      await eventually("all requests have ended", async () => {
        const { held, gone } = await state();
        return held === gone;
      });
      assert.deepEqual((await state()).log, []);
    },
  },
  {
    name: "cuts off a client that stops reading its answer",
    setup: { limits: { stallMilliseconds: 300 } },
    async check({ port, state }): Promise<void> {
      await withClients(1, port, async ([client]) => {
        assert.ok(client);
        client.socket.pause();
        client.send(`GET /big HTTP/1.1\r\n${HEADERS}`);
        await eventually(
          "the server gives up",
          async () =>
            (await state()).debugMessages.includes("Could not send an answer: client too slow"),
        );
        client.socket.resume();
        const { answers } = await client.receiveUntilClosed();
        assert.deepEqual(answers, []);
      });
    },
  },
  {
    name: "cuts off a client that reads its answer for longer than allowed",
    setup: { limits: { answerMilliseconds: 300 } },
    async check({ port, state }): Promise<void> {
      await withClients(1, port, async ([client]) => {
        assert.ok(client);
        client.socket.pause();
        client.send(`GET /big HTTP/1.1\r\n${HEADERS}`);
        await eventually(
          "the server gives up",
          async () =>
            (await state()).debugMessages.includes("Could not send an answer: client too slow"),
        );
      });
    },
  },
  {
    name: "holds no copies of the page for clients that stop reading",
    async check({ port, state, url }): Promise<void> {
      await (await fetch(`${url}/big`)).arrayBuffer();
      const before = (await state()).residentBytes;
      await withClients(30, port, async (clients) => {
        for (const { socket, send } of clients) {
          const begun = new Promise((resolve) => socket.once("data", resolve));
          send(`GET /big HTTP/1.1\r\n${HEADERS}`);
          await begun;
          socket.pause();
        }
        const grown = (await state()).residentBytes - before;
        assert.ok(grown < 10 * BIG_PAGE_BYTES, `Grew by ${grown} bytes`);
      });
    },
  },
  {
    name: "closes the connection idle for longest, and never a busy one, when there are too many",
    setup: { limits: { maximumConnections: 10, maximumRequestsInFlight: 8 } },
    async check(server): Promise<void> {
      await withClients(2, server.port, async (busy) => {
        for (const client of busy) client.send(`GET /slow HTTP/1.1\r\n${HEADERS}`);
        await eventually("both are busy", async () => (await server.state()).slow === 2);
        await withClients(40, server.port, async (idle) => {
          for (const client of idle) client.send("G");
          assert.equal(await getMetrics(server), METRICS);
          await Promise.all(idle.slice(0, 30).map((client) => client.receiveUntilClosed()));
          assert.equal(await getMetrics(server), METRICS);
        });
        for (const client of busy) {
          assert.deepEqual((await client.receive(1)).answers.map(({ body }) => body), ["slow\n"]);
        }
      });
      assert.deepEqual((await server.state()).log, [
        "Too many connections, closed the one idle for longest " +
        '{"maximumConnections":10,"maximumRequestsInFlight":8}',
      ]);
    },
  },
  {
    name: "answers 503 when too many requests are being answered",
    setup: { limits: { maximumRequestsInFlight: 2 } },
    async check({ port, url }): Promise<void> {
      await withClients(2, port, async (busy) => {
        for (const client of busy) client.send(`GET /hold HTTP/1.1\r\n${HEADERS}`);
        await eventually("both places are taken", async () => {
          const response = await fetch(`${url}/metrics`);
          await response.body?.cancel();
          return response.status === 503;
        });
        busy[0]?.close();
        await eventually("one is free again", async () => {
          const response = await fetch(`${url}/metrics`);
          await response.body?.cancel();
          return response.status === 200;
        });
      });
    },
  },
  {
    name: "cuts off clients that stop reading when they would keep others out",
    setup: { limits: { maximumConnections: 8, maximumRequestsInFlight: 4 } },
    async check(server): Promise<void> {
      await withClients(20, server.port, async (clients) => {
        for (const { socket, send } of clients) {
          socket.pause();
          send(`GET /big HTTP/1.1\r\n${HEADERS}`);
        }
        await eventually(
          "a page is sent nevertheless",
          async () => await getMetrics(server) === METRICS,
        );
        await eventually("that is logged", async () => {
          const response = await fetch(`${server.url}/state`);
          return (await response.text()).includes("slowest to read");
        });
      });
    },
  },
  {
    name: "cuts off a client that sends too many requests ahead",
    async check(server): Promise<void> {
      await withClients(1, server.port, async ([client]) => {
        assert.ok(client);
        client.send(`GET /slow HTTP/1.1\r\n${HEADERS}`.repeat(50_000));
        assert.deepEqual((await client.receiveUntilClosed()).answers, []);
      });
      assert.equal(await getMetrics(server), METRICS);
    },
  },
  {
    name: "answers while hundreds of clients are slow to send their headers",
    setup: { limits: { headersMilliseconds: 2_000 } },
    async check(server): Promise<void> {
      await withClients(300, server.port, async (slow) => {
        for (const client of slow) client.send("GET /metrics HTTP/1.1\r\nHo");
        assert.equal(await getMetrics(server), METRICS);
        const ends = await Promise.all(slow.map((client) => client.receiveUntilClosed()));
        const statuses = ends.flatMap(({ answers }) => answers.map(({ status }) => status));
        assert.deepEqual(statuses, slow.map(() => 408));
      });
    },
  },
  {
    name: "answers open requests and closes idle connections when it closes",
    async check({ port, state, terminate }): Promise<void> {
      await withClients(4, port, async ([busy, pipelining, used, unused]) => {
        assert.ok(busy && pipelining && used && unused);
        used.send(GET);
        await used.receive(1);
        unused.send("G");
        busy.send(`GET /slow HTTP/1.1\r\n${HEADERS}`);
        pipelining.send(`GET /slow HTTP/1.1\r\n${HEADERS}`.repeat(2));
        await eventually("the slow pages are under way", async () => (await state()).slow === 2);
        const end = terminate();
        assert.deepEqual((await used.receiveUntilClosed()).answers.length, 1);
        assert.deepEqual((await unused.receiveUntilClosed()).answers, []);
        for (const client of [busy, pipelining]) {
          const { answers } = await client.receiveUntilClosed();
          assert.deepEqual(answers.map(({ body }) => body), ["slow\n"]);
        }
        assert.deepEqual(await end, { output: "closed", code: 0 });
        const late = await openClient(port);
        assert.equal((await late.receiveUntilClosed()).closed, true);
      });
    },
  },
  {
    name: "cuts off requests that are open at the deadline when it closes",
    setup: { closeMilliseconds: 200 },
    async check({ port, state, terminate }): Promise<void> {
      await withClients(1, port, async ([client]) => {
        assert.ok(client);
        client.send(`GET /hold HTTP/1.1\r\n${HEADERS}`);
        await eventually("the request is under way", async () => (await state()).held === 1);
        assert.deepEqual(await terminate(), { output: "closed", code: 0 });
        assert.deepEqual((await client.receiveUntilClosed()).answers, []);
      });
    },
  },
  {
    name: "listens on several addresses",
    setup: { listenAddresses: [{ host: "127.0.0.1", port: 0 }, { host: "localhost", port: 0 }] },
    async check({ addresses }): Promise<void> {
      assert.equal(addresses.length, 2);
      for (const { host, port } of addresses) {
        const name = host.includes(":") ? `[${host}]` : host;
        assert.equal(await (await fetch(`http://${name}:${port}/metrics`)).text(), METRICS);
      }
    },
  },
  {
    name: "listens on all addresses of both families",
    setup: { listenAddresses: [{ host: null, port: 0 }] },
    async check(server): Promise<void> {
      assert.equal(await getMetrics(server), METRICS);
      const hasIpv6 = Object.values(networkInterfaces()).flat().some((own) =>
        own?.address === "::1"
      );
      assert.equal(server.addresses[0]?.host, hasIpv6 ? "::" : server.addresses[0]?.host);
      if (!hasIpv6) return;
      const response = await fetch(`http://[::1]:${server.port}/metrics`);
      assert.equal(await response.text(), METRICS);
    },
  },
];

for (const runtime of RUNTIMES) {
  Deno.test(`startWebServer() under ${runtime.name} answers`, async (t) => {
    await withServer(runtime, {}, async (server) => {
      for (const rawCase of RAW_CASES) {
        await t.step(rawCase.name, () => checkRawCase(server.port, rawCase));
      }
      assert.deepEqual((await server.state()).log, []);
    });
  });

  Deno.test(`startWebServer() under ${runtime.name} ends in time`, async (t) => {
    await withServer(runtime, { limits: IMPATIENT }, async (server) => {
      for (const slowCase of SLOW_CASES) {
        await t.step(slowCase.name, () => checkRawCase(server.port, slowCase));
      }
      assert.deepEqual((await server.state()).log, []);
    });
  });

  for (const { name, setup, check } of SCENARIOS) {
    Deno.test(
      `startWebServer() under ${runtime.name} ${name}`,
      async () => await withServer(runtime, setup ?? {}, check),
    );
  }

  Deno.test(`startWebServer() under ${runtime.name} says why it cannot listen`, async (t) => {
    const occupied = createServer();
    await new Promise<void>((resolve) => occupied.listen(0, "127.0.0.1", resolve));
    const address = occupied.address();
    const port = typeof address === "object" ? address?.port ?? 0 : 0;
    const cases = [
      [{ host: "127.0.0.1", port }, `"127.0.0.1:${port}": the port is in use`],
      [{ host: null, port }, `"*:${port}": the port is in use`],
      [{ host: "203.0.113.77", port: 0 }, '"203.0.113.77:0": no network interface'],
      [{ host: "no-such-host.invalid", port: 0 }, '"no-such-host.invalid:0": the host name'],
    ] as const;
    try {
      for (const [listenAddress, message] of cases) {
        await t.step(message, async () => {
          const { report, end } = await startProcess(runtime, {
            listenAddresses: [...LOOPBACK, listenAddress],
          });
          // The process only ends by itself once the address bound before is let go.
          assert.deepEqual(await end(), { output: "", code: 0 });
          assert.ok("error" in report, `It started: ${JSON.stringify(report)}`);
          assert.equal(report.name, "WebServerError");
          assert.equal(report.error.split("\n").length, 1);
          assert.ok(report.error.startsWith(`Cannot listen on ${message}`), report.error);
        });
      }
    } finally {
      await new Promise((resolve) => occupied.close(resolve));
    }
  });
}
