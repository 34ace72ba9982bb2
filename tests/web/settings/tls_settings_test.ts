// deno-lint-ignore-file camelcase -- the keys of the configuration
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import {
  type CertificateTerm,
  filesOfTls,
  loadTlsSettings,
  tlsDoubts,
} from "../../../src/web/settings/tls_settings.ts";
import { runCommand } from "../../../testing/command.ts";
import { makeCertificate, type TestCertificate } from "../../../testing/certificates.ts";
import {
  parseWebConfig,
  type TlsConfig,
  WebConfigError,
} from "../../../src/web/settings/web_config.ts";

const readFile = async (file: string): Promise<Buffer> => Buffer.from(await Deno.readFile(file));
/** As if this were the executable. */
const BUN = { bun: "1.4.5" };

async function withCertificates(
  use: (
    certificates: { readonly a: TestCertificate; readonly b: TestCertificate },
  ) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const [a, b] = [await makeCertificate(folder, "a"), await makeCertificate(folder, "b")];
    await use({ a, b });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function config(lines: Readonly<Record<string, string>>): TlsConfig {
  const text = Object.entries(lines).map(([key, value]) => `  ${key}: ${value}\n`).join("");
  const { tls } = parseWebConfig(`tls_server_config:\n${text}`, "/nowhere/web.yml");
  assert.ok(tls);
  return tls;
}

const CLIENTS = { client_auth_type: "RequireAndVerifyClientCert" };

Deno.test("loadTlsSettings() reads certificates from files and from the configuration itself", async () => {
  await withCertificates(async ({ a, b }) => {
    const inFiles = config({
      cert_file: a.certificateFile,
      key_file: a.keyFile,
      client_ca_file: b.certificateFile,
      ...CLIENTS,
    });
    const inline = config({
      cert: JSON.stringify(a.certificate),
      key: JSON.stringify(a.key),
      client_ca: JSON.stringify(b.certificate),
      ...CLIENTS,
    });
    assert.deepEqual(filesOfTls(inFiles), [a.certificateFile, a.keyFile, b.certificateFile]);
    assert.deepEqual(filesOfTls(inline), []);
    for (const tls of [inFiles, inline]) {
      const { options, expiresAt } = await loadTlsSettings(tls, readFile);
      assert.equal(options.cert, a.certificate);
      assert.equal(options.key, a.key);
      assert.deepEqual(options.ca, [b.certificate]);
      assert.equal(options.requestCert, true);
      const days = (expiresAt.getTime() - Date.now()) / 86_400_000;
      assert.ok(days > 29 && days <= 30, String(days));
    }
  });
});

Deno.test("loadTlsSettings() takes several authorities from one file", async () => {
  await withCertificates(async ({ a, b }) => {
    const tls = config({
      cert_file: a.certificateFile,
      key_file: a.keyFile,
      client_ca: JSON.stringify(`first\n${a.certificate}\nsecond\n${b.certificate}`),
      ...CLIENTS,
    });
    assert.deepEqual((await loadTlsSettings(tls, readFile)).options.ca, [
      a.certificate,
      b.certificate,
    ]);
  });
});

Deno.test("loadTlsSettings() names the key, the file and the remedy of what it cannot use, and shows no part of it", async (test) => {
  await withCertificates(async ({ a, b }) => {
    const cert_file = a.certificateFile;
    const key_file = a.keyFile;
    const folder = cert_file.replace("/a.crt", "");
    const damaged = a.certificate.replace("MII", "MIX");
    const encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
    const cases: readonly (readonly [Record<string, string>, readonly string[]])[] = [
      [{ cert_file: "/nowhere/a.crt", key_file }, ["cert_file", "/nowhere/a.crt", "no such file"]],
      [{ cert_file: folder, key_file }, ["cert_file", "EISDIR|directory"]],
      [{ cert_file: key_file, key_file }, ["cert_file", "no certificate in PEM form"]],
      [{ cert: JSON.stringify(damaged), key_file }, ["tls_server_config.cert:", "number 1"]],
      [{ cert_file, key_file: cert_file }, ["key_file", "no private key in PEM form"]],
      [{ cert_file, key_file: b.keyFile }, ["key_file", "does not belong to the certificate"]],
      [{ cert_file, key: encrypted }, ["tls_server_config.key:", "passphrase"]],
      [{ cert_file, key: JSON.stringify(a.key.replace("MI", "MX")) }, ["is damaged, or of a kind"]],
      [{ cert_file, key: "x" }, ["tls_server_config.key:", "no private key"]],
      [{ cert_file, key_file, client_ca_file: key_file, ...CLIENTS }, ["client_ca_file"]],
    ];
    for (const [lines, says] of cases) {
      await test.step(says.join(" "), async () => {
        await assert.rejects(loadTlsSettings(config(lines), readFile), (error) => {
          assert.ok(error instanceof WebConfigError, String(error));
          assert.match(error.message, /^[^\n\r]+$/);
          for (const part of says) {
            assert.match(error.message, new RegExp(part.replaceAll(".", "\\.")));
          }
          assert.ok(!error.message.includes("BEGIN CERTIFICATE-----\n"));
          assert.ok(!error.message.includes(a.key.split("\n")[1] ?? ""));
          return true;
        });
      });
    }
  });
});

Deno.test("loadTlsSettings() refuses keys of kinds that no client takes", async (test) => {
  await withCertificates(async ({ a }) => {
    for (const curve of ["secp224r1", "secp256k1", "brainpoolP256r1"]) {
      await test.step(curve, async () => {
        const made = await runCommand("openssl", ["ecparam", "-name", curve, "-genkey", "-noout"]);
        const key = JSON.stringify(made.output);
        await assert.rejects(
          loadTlsSettings(config({ cert_file: a.certificateFile, key }), readFile),
          (error) => {
            assert.ok(error instanceof WebConfigError);
            assert.match(
              error.message,
              /^[^\n]*tls_server_config\.key: is (?:damaged, or )?of a kind that clients do not take: make one/,
            );
            return true;
          },
        );
      });
    }
  });
});

Deno.test("tlsDoubts() tells what clients will refuse", async () => {
  const now = new Date("2026-11-28T12:00:00Z");
  const term = (from: string, to: string, whose = "The server's certificate"): CertificateTerm => ({
    whose,
    validFrom: new Date(from),
    validTo: new Date(to),
  });
  const good = term("2026-01-01", "2027-01-01");
  const messages = (certificates: readonly CertificateTerm[], rsaBits?: number): string[] =>
    tlsDoubts({ certificates, rsaBits }, now).map(({ message, fields }) =>
      `${message} ${JSON.stringify(fields)}`
    );
  assert.deepEqual(messages([good, good], 2_048), []);
  assert.deepEqual(messages([good]), []);
  const doubts = messages([
    term("2025-01-01", "2026-11-28"),
    term("2026-11-29", "2027-01-01", "The certificate of an authority for clients"),
  ], 1_024);
  assert.equal(doubts.length, 3);
  assert.match(
    doubts[0] ?? "",
    /^The server's certificate has expired: renew it {"expired":"2026-11-28T00:00:00.000Z"}$/,
  );
  assert.match(doubts[1] ?? "", /^The certificate of an authority for clients is not valid yet: /);
  assert.match(doubts[2] ?? "", /^The server's key is so short that clients refuse it: .*1024}$/);
  assert.deepEqual(messages([good], 8_192), []);
  assert.match(
    messages([good], 8_208).join(),
    /^The server's key is so long that clients refuse it: /,
  );
  const doubtsOf = (...uses: readonly string[]): string =>
    tlsDoubts({ certificates: [good], rsaBits: undefined, uses }, now).map((one) => one.message)
      .join();
  assert.match(doubtsOf("1.3.6.1.5.5.7.3.2"), /^The server's certificate is not for servers: /);
  assert.equal(doubtsOf("1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1"), "");
  assert.equal(doubtsOf("2.5.29.37.0"), "");
  await withCertificates(async ({ a, b }) => {
    const tls = config({
      cert: JSON.stringify(`${a.certificate}${b.certificate}`),
      key_file: a.keyFile,
      client_ca_file: b.certificateFile,
      ...CLIENTS,
    });
    const { certificates, rsaBits } = await loadTlsSettings(tls, readFile);
    assert.equal(certificates.length, 3);
    assert.equal(rsaBits, undefined);
    assert.deepEqual(tlsDoubts({ certificates, rsaBits }), []);
  });
});

Deno.test("loadTlsSettings() refuses under Deno what Deno would not heed", async () => {
  await withCertificates(async ({ a }) => {
    const files = { cert_file: a.certificateFile, key_file: a.keyFile };
    for (
      const [key, value, more] of [
        ["cipher_suites", "[TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]", {}],
        ["curve_preferences", "[X25519]", {}],
        ["prefer_server_cipher_suites", "true", {}],
        ["client_allowed_sans", "[a]", { client_auth_type: "RequireAnyClientCert" }],
      ] as const
    ) {
      const tls = config({ ...files, ...more, [key]: value });
      await loadTlsSettings(tls, readFile, BUN);
      await assert.rejects(loadTlsSettings(tls, readFile, { deno: "2.9.5" }), (error) => {
        assert.ok(error instanceof WebConfigError);
        assert.match(error.message, new RegExp(`${key}.*Deno`));
        return true;
      });
    }
  });
});
