import assert from "node:assert/strict";
import type { WebLimits } from "../../src/web/server.ts";
import { RUNTIMES, withServer } from "../../testing/web_server.ts";
import { checkRawCase, RAW_CASES, SLOW_CASES } from "./raw_requests.ts";

/** Limits under which a slow client is found out soon. */
const IMPATIENT: Partial<WebLimits> = {
  headersMilliseconds: 300,
  requestMilliseconds: 600,
  idleMilliseconds: 300,
  stallMilliseconds: 300,
};

for (const runtime of RUNTIMES) {
  Deno.test(`startWebServer() under ${runtime.name} answers`, async (t) => {
    await withServer(runtime, {}, async (server) => {
      for (const rawCase of RAW_CASES) {
        await t.step(rawCase.name, () => checkRawCase(server.port, rawCase));
      }
      assert.deepEqual((await server.state()).log, []);
    });
  });
}

for (const runtime of RUNTIMES) {
  Deno.test(`startWebServer() under ${runtime.name} ends in time`, async (t) => {
    await withServer(runtime, { limits: IMPATIENT }, async (server) => {
      for (const slowCase of SLOW_CASES) {
        await t.step(slowCase.name, () => checkRawCase(server.port, slowCase));
      }
      assert.deepEqual((await server.state()).log, []);
    });
  });
}
