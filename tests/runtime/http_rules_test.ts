import assert from "node:assert/strict";
import { followsHttpRules } from "../../src/runtime/http_rules.ts";
import { goneQuirk, HANDED_CONNECTIONS, runUnder } from "../../testing/run_under.ts";

Deno.test("followsHttpRules() wants a known version, and a host where that version does", () => {
  const cases:
    readonly (readonly [httpVersion: string, host: string | undefined, heeds: boolean])[] = [
      ["1.1", "h", true],
      ["1.1", "", true],
      ["1.1", undefined, false],
      ["1.0", undefined, true],
      ["1.0", "h", true],
      ["2.0", "h", false],
      ["0.9", "h", false],
    ];
  for (const [httpVersion, host, heeds] of cases) {
    const headers = host === undefined ? {} : { host };
    assert.equal(followsHttpRules({ httpVersion, headers }), heeds, `${httpVersion} ${host}`);
  }
});

Deno.test("Bun answers a request of HTTP/1.1 without a host when the server does not listen", async () => {
  const answer = await runUnder(
    "Bun",
    `${HANDED_CONNECTIONS}
    const http = createHttpServer((request, response) => response.end("x"));
    open(await behind(http), "GET / HTTP/1.1\\r\\n\\r\\n").once("data", (data) => {
      console.log(String(data).split("\\r\\n")[0]);
      process.exit(0);
    });
  `,
  );
  assert.equal(
    answer,
    "HTTP/1.1 200 OK",
    goneQuirk("Bun", "leaves these rules to the server", "http_rules.ts"),
  );
});
