import assert from "node:assert/strict";
import { type RareTlsSettings, unsupportedTlsSetting } from "../../src/runtime/tls_support.ts";
import { makeCertificate } from "../../testing/certificates.ts";
import { goneQuirk, type RuntimeName, runUnder } from "../../testing/run_under.ts";

const NONE: RareTlsSettings = {
  "cipher_suites": false,
  "curve_preferences": false,
  "prefer_server_cipher_suites": false,
  "client_allowed_sans": false,
};

Deno.test("unsupportedTlsSetting() names what Deno does not have, and nothing under another runtime", () => {
  for (const key of Object.keys(NONE) as (keyof RareTlsSettings)[]) {
    const made = { ...NONE, [key]: true };
    assert.equal(unsupportedTlsSetting(made, { deno: "2.9.5" }), key);
    assert.equal(unsupportedTlsSetting(made, { bun: "1.4.5" }), undefined);
  }
  assert.equal(unsupportedTlsSetting(NONE, { deno: "2.9.5" }), undefined);
});

/** A suite that no runtime takes by itself where there is another. */
const SUITE = "ECDHE-ECDSA-CHACHA20-POLY1305";

/** The suite that a server and a client agree on when the server is told to take {@linkcode SUITE} alone. */
async function suiteUnder(runtime: RuntimeName): Promise<string> {
  const folder = await Deno.makeTempDir();
  try {
    const { key, certificate } = await makeCertificate(folder, "server", { names: "DNS:h" });
    return await runUnder(
      runtime,
      `
      import { connect, createServer } from "node:tls";
      import process from "node:process";
      const server = createServer({
        key: ${JSON.stringify(key)},
        cert: ${JSON.stringify(certificate)},
        ciphers: "${SUITE}",
        maxVersion: "TLSv1.2",
      });
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address();
        const client = connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
        client.once("secureConnect", () => {
          console.log(client.getCipher().name);
          process.exit(0);
        });
      });
    `,
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("Bun heeds the cipher suites of a TLS server", async () => {
  assert.equal(await suiteUnder("Bun"), SUITE);
});

Deno.test("Deno leaves the cipher suites of a TLS server out of account", async () => {
  assert.notEqual(
    await suiteUnder("Deno"),
    SUITE,
    goneQuirk("Deno", "leaves such settings out", "tls_support.ts"),
  );
});
