import assert from "node:assert/strict";
import {
  goneQuirk,
  HANDED_CONNECTIONS,
  moduleOf,
  type RuntimeName,
  runUnder,
} from "../../testing/run_under.ts";

/** Sends two requests on one connection, the second after the first answer; prints how many answers come. */
async function answersUnder(runtime: RuntimeName, prepare: string): Promise<string> {
  return await runUnder(
    runtime,
    `${HANDED_CONNECTIONS}
    const { actAsListening } = await import(${moduleOf("src/runtime/silent_server.ts")});
    const http = createHttpServer((request, response) => response.end("x"));
    ${prepare}
    const REQUEST = "GET / HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n";
    const client = open(await behind(http), REQUEST);
    let answers = 0;
    client.on("data", (data) => {
      if (!String(data).includes("HTTP/1.1 200")) return;
      answers += 1;
      if (answers === 1) client.write(REQUEST);
      else client.destroy();
    });
    client.on("close", () => {
      console.log(answers);
      process.exit(0);
    });
  `,
  );
}

for (const runtime of ["Deno", "Bun"] as const) {
  Deno.test(`a server that acts as listening keeps its connections open under ${runtime}`, async () => {
    assert.equal(await answersUnder(runtime, "actAsListening(http);"), "2");
  });
}

Deno.test("Deno closes a connection after its first answer when the server does not listen", async () => {
  assert.equal(
    await answersUnder("Deno", ""),
    "1",
    goneQuirk("Deno", "closes such connections", "silent_server.ts"),
  );
});
