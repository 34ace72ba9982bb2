import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { setHead } from "../../src/runtime/response_headers.ts";
import { goneQuirk, moduleOf, runUnder } from "../../testing/run_under.ts";

Deno.test("setHead() sets the status and each header", () => {
  const headers: [string, unknown][] = [];
  const response = {
    statusCode: 0,
    setHeader: (name: string, value: unknown) => headers.push([name, value]),
  };
  setHead(response as unknown as ServerResponse, 404, { "X-A": "a", "Content-Length": 3 });
  assert.equal(response.statusCode, 404);
  assert.deepEqual(headers, [["X-A", "a"], ["Content-Length", 3]]);
});

/** Answers one request with a header of two lines, and prints whether the header was taken. */
function program(setting: string): string {
  return `
    import { createServer } from "node:http";
    import process from "node:process";
    const { setHead } = await import(${moduleOf("src/runtime/response_headers.ts")});
    const server = createServer((request, response) => {
      try {
        ${setting}
        console.log("taken");
      } catch {
        console.log("refused");
      }
      process.exit(0);
    });
    server.listen(0, "127.0.0.1", () => fetch("http://127.0.0.1:" + server.address().port));
  `;
}

for (const runtime of ["Deno", "Bun"] as const) {
  Deno.test(`setHead() refuses a header of two lines under ${runtime}`, async () => {
    const setting = 'setHead(response, 200, { "X-A": "a\\nb" });';
    assert.equal(await runUnder(runtime, program(setting)), "refused");
  });
}

Deno.test("Deno's writeHead() takes a header of two lines", async () => {
  assert.equal(
    await runUnder("Deno", program('response.writeHead(200, { "X-A": "a\\nb" });')),
    "taken",
    goneQuirk("Deno", "takes such headers", "response_headers.ts"),
  );
});
