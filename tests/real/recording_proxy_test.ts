import assert from "node:assert/strict";
import { startRecordingProxy } from "./recording_proxy.ts";

Deno.test("startRecordingProxy() hands requests and answers on, and records what was negotiated", async () => {
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    ({ method, url, headers }) =>
      new Response(`${method} ${new URL(url).pathname} ${headers.get("x-other")}`, {
        status: 203,
        headers: { "content-type": "text/plain; version=0.0.4", "content-encoding": "identity" },
      }),
  );
  await using proxy = await startRecordingProxy(`127.0.0.1:${server.addr.port}`);
  const response = await fetch(`http://${proxy.target}/metrics`, {
    headers: { accept: "text/plain", "accept-encoding": "gzip", "x-other": "kept" },
  });
  assert.equal(response.status, 203);
  assert.equal(await response.text(), "GET /metrics kept");
  assert.deepEqual(proxy.negotiations, [{
    accept: "text/plain",
    acceptEncoding: "gzip",
    contentType: "text/plain; version=0.0.4",
    contentEncoding: "identity",
  }]);
});

Deno.test("startRecordingProxy() gives no answer, and records none, when the exporter gives none", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  listener.close();
  await using proxy = await startRecordingProxy(`127.0.0.1:${listener.addr.port}`);
  const hasFailed = await fetch(`http://${proxy.target}/metrics`).then(() => false, () => true);
  assert.ok(hasFailed);
  assert.deepEqual(proxy.negotiations, []);
});
