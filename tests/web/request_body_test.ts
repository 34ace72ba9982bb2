import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { discardBody } from "../../src/web/request_body.ts";

const MAXIMUM_BYTES = 10;
const PATIENCE = 60_000;

interface FakeBody {
  readonly headers: Readonly<Record<string, string>>;
  readonly chunks: readonly string[];
  /** Whether the client leaves after the chunks. */
  readonly breaksOff?: boolean;
}

function createRequest({ headers, chunks, breaksOff }: FakeBody): IncomingMessage & Readable {
  const stream = new Readable({ read(): void {} });
  for (const chunk of chunks) stream.push(chunk);
  if (breaksOff) setTimeout(() => stream.destroy(), 0);
  else stream.push(null);
  const request = Object.assign(stream, { headers, complete: breaksOff !== true });
  return request as unknown as IncomingMessage & Readable;
}

Deno.test("discardBody() tells how reading a body ended", async (t) => {
  const chunked = { "transfer-encoding": "chunked" };
  const cases: readonly (readonly [string, FakeBody, string])[] = [
    ["none", { headers: {}, chunks: [] }, "read"],
    ["empty", { headers: { "content-length": "0" }, chunks: [] }, "read"],
    ["small", { headers: { "content-length": "5" }, chunks: ["he", "llo"] }, "read"],
    ["just small enough", { headers: chunked, chunks: ["1234567890"] }, "read"],
    ["announced as too large", { headers: { "content-length": "11" }, chunks: [] }, "too large"],
    ["too large", { headers: chunked, chunks: ["1234567890", "1"] }, "too large"],
    ["broken off", { headers: chunked, chunks: ["1"], breaksOff: true }, "client gone"],
  ];
  for (const [name, body, expected] of cases) {
    await t.step(name, async () => {
      const request = createRequest(body);
      assert.equal(await discardBody(request, MAXIMUM_BYTES, PATIENCE), expected);
      request.destroy();
    });
  }
});

Deno.test("discardBody() gives up a body that does not come to its end in time", async () => {
  const stream = new Readable({ read(): void {} });
  const headers = { "content-length": "5" };
  const request = Object.assign(stream, { headers, complete: false }) as unknown as
    & IncomingMessage
    & Readable;
  request.push("he");
  assert.equal(await discardBody(request, MAXIMUM_BYTES, 1), "too slow");
  request.destroy();
});
