import assert from "node:assert/strict";
import { type Page, textPage } from "../../src/web/answer.ts";
import { findPage, methodPage, type PageRequest, type RawRequest } from "../../src/web/router.ts";

const PAGE: Page = { status: 200, contentType: "text/plain", chunks: [] };

interface Found {
  readonly page: Page;
  /** What the handler of `/metrics` was called with. */
  readonly requests: readonly PageRequest[];
  readonly log: readonly string[];
}

async function find(request: Partial<RawRequest>, signal: AbortSignal): Promise<Found> {
  const requests: PageRequest[] = [];
  const log: string[] = [];
  const note = (level: string) => (message: string, fields?: unknown): void => {
    log.push(`${level} ${message} ${JSON.stringify(fields)}`);
  };
  const page = await findPage(
    {
      routes: new Map([
        ["/metrics", (received: PageRequest): Promise<Page> => {
          requests.push(received);
          return Promise.resolve(PAGE);
        }],
        ["/throws", (): Promise<Page> => Promise.reject(new Error("of two\n  lines"))],
      ]),
      log: { debug: note("debug"), info: note("info"), warn: note("warn"), error: note("error") },
      limits: { maximumTargetLength: 20 },
    },
    { method: "GET", url: "/metrics", headers: {}, ...request },
    signal,
  );
  return { page, requests, log };
}

const PRESENT = new AbortController().signal;

Deno.test("findPage() calls the handler of the path with what it may know", async () => {
  const headers = { accept: "text/plain", "set-cookie": ["a", "b"] };
  const { page, requests } = await find({ method: "HEAD", url: "/metrics?a=b", headers }, PRESENT);
  assert.equal(page, PAGE);
  assert.deepEqual(requests, [{
    method: "HEAD",
    query: "a=b",
    headers: { accept: "text/plain", "set-cookie": "a, b" },
    signal: PRESENT,
  }]);
});

Deno.test("findPage() says what is wrong with a request and calls no handler", async (t) => {
  const cases: readonly (readonly [Partial<RawRequest>, Page])[] = [
    [{ url: "/other" }, textPage(404, "Not found, this exporter answers on /metrics, /throws")],
    [
      { url: "/other", method: "POST" },
      textPage(404, "Not found, this exporter answers on /metrics, /throws"),
    ],
    [{ method: "POST" }, methodPage("POST")],
    [{ url: "/%zz" }, textPage(400, "Bad request: malformed percent-encoding in the path")],
    [{ url: `/metrics?${"x".repeat(20)}` }, textPage(414, "URI too long: more than 20 characters")],
  ];
  for (const [request, expected] of cases) {
    await t.step(JSON.stringify(request), async () => {
      const { page, requests, log } = await find(request, PRESENT);
      assert.deepEqual({ page, requests, log }, { page: expected, requests: [], log: [] });
    });
  }
});

Deno.test("findPage() logs why a handler failed in one line and keeps it from the client", async () => {
  const { page, log } = await find({ url: "/throws" }, PRESENT);
  assert.deepEqual(page, textPage(500, "Internal error"));
  assert.deepEqual(log, [
    'error Could not make a page {"path":"/throws","error":"of two lines"}',
  ]);
});

Deno.test("findPage() logs nothing above debug when a handler fails because the client has gone", async () => {
  const { log } = await find({ url: "/throws" }, AbortSignal.abort());
  assert.deepEqual(log, ['debug A request ended with its client {"path":"/throws"}']);
});

Deno.test("methodPage() names the methods allowed", () => {
  assert.deepEqual(methodPage("PUT").headers, { Allow: "GET, HEAD" });
  assert.equal(methodPage("PUT").status, 405);
});
