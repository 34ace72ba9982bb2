import assert from "node:assert/strict";
import type { TLSSocket } from "node:tls";
import { writePastTls } from "../../src/runtime/past_tls.ts";
import { makeCertificate } from "../../testing/certificates.ts";
import { goneQuirk, HANDED_CONNECTIONS, moduleOf, runUnder } from "../../testing/run_under.ts";

/** What a client gets under Bun that sends a request where TLS is spoken. */
async function answerToRequest(answering: string): Promise<string> {
  const folder = await Deno.makeTempDir();
  try {
    const { key, certificate } = await makeCertificate(folder, "server", { names: "DNS:h" });
    return await runUnder(
      "Bun",
      `${HANDED_CONNECTIONS}
      import { createServer as createTlsServer } from "node:tls";
      const { writePastTls } = await import(${moduleOf("src/runtime/past_tls.ts")});
      const server = createTlsServer({
        key: ${JSON.stringify(key)},
        cert: ${JSON.stringify(certificate)},
      });
      server.on("tlsClientError", (error, socket) => {
        ${answering}
        socket.destroy();
      });
      const client = open(await behind(server), "GET / HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n");
      let received = "";
      client.on("data", (data) => received += data);
      client.on("close", () => {
        console.log(received);
        process.exit(0);
      });
    `,
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("writePastTls() reaches a client whose handshake has failed", async () => {
  assert.equal(await answerToRequest('writePastTls(socket, "told");'), "told");
});

Deno.test("writePastTls() does nothing for a socket that has no file descriptor", () => {
  for (const socket of [{}, { _parent: {} }, { _parent: { _handle: { fd: -1 } } }]) {
    writePastTls(socket as unknown as TLSSocket, "lost");
  }
});

Deno.test("Bun sends nothing on a socket whose handshake has failed, nor on the one below it", async () => {
  for (const way of ["socket", "socket._parent"]) {
    assert.equal(
      await answerToRequest(`${way}.end("told");`),
      "",
      goneQuirk("Bun", `drops what is written to ${way}`, "past_tls.ts"),
    );
  }
});
