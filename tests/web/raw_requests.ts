import assert from "node:assert/strict";
import { openClient } from "../../testing/web_client.ts";

/** A whole request for the page. */
export const GET = "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n";

/** What the server of these tests has on the page. */
export const METRICS = "first 1\nsecond 2\n";

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

/** The headers that every request needs, and the end of all headers. */
export const HEADERS = "Host: h\r\n\r\n";

/** What a server answers to bytes that come at once. */
export const RAW_CASES: readonly RawCase[] = [
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

/** What a server does with connections on which nothing comes in time. */
export const SLOW_CASES: readonly RawCase[] = [
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

/** Fails unless a server answers to a case's bytes as the case says. */
export async function checkRawCase(port: number, expected: RawCase): Promise<void> {
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
