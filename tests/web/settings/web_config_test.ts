import assert from "node:assert/strict";
import { parseWebConfig, WebConfigError } from "../../../src/web/settings/web_config.ts";

const HASH = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";
const FILE = "/etc/exporter/web.yml";
const TLS = "tls_server_config:\n  cert_file: a.crt\n  key_file: /b.key\n";

const parse = (text: string): ReturnType<typeof parseWebConfig> => parseWebConfig(text, FILE);

Deno.test("parseWebConfig() finds nothing to set in an empty file, comments, or keys without values", () => {
  for (const text of ["", "# nothing\n", "tls_server_config:\nbasic_auth_users:\nrate_limit:\n"]) {
    assert.deepEqual(parse(text), {
      isEmpty: !text.includes(":"),
      tls: undefined,
      wantsHttp2: false,
      headers: new Map(),
      users: new Map(),
      rateLimit: undefined,
    });
  }
});

Deno.test("parseWebConfig() reads everything that exporter-toolkit knows", () => {
  const config = parse(`
tls_server_config:
  cert_file: a.crt
  key_file: /b.key
  client_ca_file: ../ca.crt
  client_auth_type: RequireAndVerifyClientCert
  client_allowed_sans: [prom.example, 10.0.0.1]
  min_version: TLS12
  max_version: TLS13
  cipher_suites:
    - TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
    - TLS_AES_128_GCM_SHA256
  curve_preferences: [X25519, CurveP256]
  prefer_server_cipher_suites: false
http_server_config:
  http2: true
  headers:
    X-Frame-Options: deny
    X-XSS-Protection: ""
basic_auth_users:
  alice: ${HASH}
rate_limit:
  interval: 1m1.5s
  burst: 20
`);
  assert.deepEqual(config, {
    isEmpty: false,
    tls: {
      certificate: { key: "cert_file", file: "/etc/exporter/a.crt" },
      key: { key: "key_file", file: "/b.key" },
      clientAuthorities: { key: "client_ca_file", file: "/etc/ca.crt" },
      clientAuthType: "RequireAndVerifyClientCert",
      clientAllowedNames: ["prom.example", "10.0.0.1"],
      minimumVersion: "TLSv1.2",
      maximumVersion: "TLSv1.3",
      ciphers: ["ECDHE-RSA-AES256-GCM-SHA384"],
      curves: ["X25519", "P-256"],
      preferServerCiphers: false,
    },
    wantsHttp2: true,
    headers: new Map([["X-Frame-Options", "deny"]]),
    users: new Map([["alice", HASH]]),
    rateLimit: { intervalMilliseconds: 61_500, burst: 20 },
  });
});

Deno.test("parseWebConfig() takes certificates and keys in the file itself", () => {
  const { tls } = parse("tls_server_config:\n  cert: |\n    one\n    two\n  key: three\n");
  assert.deepEqual(tls?.certificate, { key: "cert", pem: "one\ntwo\n" });
  assert.deepEqual(tls?.key, { key: "key", pem: "three" });
});

Deno.test("parseWebConfig() follows YAML's aliases, and an interval of 0 switches the limit off", () => {
  const { users, rateLimit } = parse(
    `basic_auth_users:\n  alice: &hash ${HASH}\n  bob: *hash\nrate_limit:\n  interval: 0\n`,
  );
  assert.deepEqual([...users.keys()], ["alice", "bob"]);
  assert.equal(users.get("bob"), HASH);
  assert.equal(rateLimit, undefined);
});

/** Text, the line at fault, and what the message says. */
const REFUSED: readonly (readonly [text: string, line: number, says: readonly string[]])[] = [
  ["a: 1", 1, ['unknown key "a"', "tls_server_config"]],
  ["\n\ntls_server_config:\n  cert_fil: x", 4, ['unknown key "cert_fil"', "cert_file"]],
  ["__proto__: 1", 1, ['unknown key "__proto__"']],
  ["- a", 1, ["expected keys with values"]],
  ["text", 1, ["expected keys with values"]],
  ["x: [", 1, ["not valid YAML"]],
  ["a: 1\na: 2", 2, ["second time"]],
  ["\ta: 1", 1, ["tabs"]],
  ["a: 1\n---\nb: 1", 2, ["more than one document"]],
  ["tls_server_config: {}", 1, ["missing cert_file or cert"]],
  ["tls_server_config:\n  cert_file: a", 2, ["missing key_file or key"]],
  [`${TLS}  cert: x`, 2, ["cert_file", "not both"]],
  [`${TLS}  min_version: TLS10`, 4, ["min_version", "TLS12 or TLS13"]],
  [`${TLS}  min_version: TLS14`, 4, ["min_version", "unknown value"]],
  [`${TLS}  min_version: TLS13\n  max_version: TLS12`, 4, ["newer than max_version"]],
  [`${TLS}  cipher_suites: [RC4]`, 4, ["cipher_suites[0]", "unknown value"]],
  [`${TLS}  cipher_suites: RC4`, 4, ["cipher_suites", "expected a list"]],
  [`${TLS}  curve_preferences: [P-256]`, 4, ["curve_preferences[0]", "CurveP256"]],
  [`${TLS}  prefer_server_cipher_suites: yes`, 4, ["true or false"]],
  [`${TLS}  client_auth_type: Require`, 4, ["client_auth_type", "RequireAndVerifyClientCert"]],
  [`${TLS}  client_auth_type: RequireAndVerifyClientCert`, 4, ["client_ca_file"]],
  [`${TLS}  client_auth_type: VerifyClientCertIfGiven`, 4, ["client_ca_file"]],
  [`${TLS}  client_ca_file: ca.crt`, 2, ["client_auth_type", "RequireAndVerifyClientCert"]],
  [`${TLS}  client_allowed_sans: [a]`, 4, ["client_allowed_sans", "client_auth_type"]],
  [
    `${TLS}  client_auth_type: RequestClientCert\n  client_allowed_sans: [a]`,
    5,
    ["client_allowed_sans", "needs client_auth_type"],
  ],
  ["http_server_config:\n  http2: no", 2, ["http2", "true or false"]],
  ["http_server_config:\n  headers:\n    X-Other: a", 3, ['"X-Other"', "X-Frame-Options"]],
  ["http_server_config:\n  headers:\n    X-Frame-Options: a", 3, ["deny or sameorigin"]],
  [
    'http_server_config:\n  headers:\n    X-XSS-Protection: "a\\r\\nb"',
    3,
    ["X-XSS-Protection", "printable"],
  ],
  ["basic_auth_users:\n  alice: secret", 2, ["alice", "no bcrypt hash", "htpasswd"]],
  ["basic_auth_users:\n  alice: *secret", 2, ["alice"]],
  ["basic_auth_users:\n  alice: {a: secret}", 2, ["alice"]],
  ["basic_auth_users:\n  alice: 12", 2, ["alice", "expected a text"]],
  ["basic_auth_users:\n  alice:", 2, ["alice", "no bcrypt hash"]],
  [`basic_auth_users:\n  "a:b": ${HASH}`, 2, ["colons"]],
  [`basic_auth_users:\n  "": ${HASH}`, 2, ["needs a name"]],
  [`basic_auth_users:\n  alice: ${HASH.replace("$10$", "$31$")}`, 2, ["31", "4 to 16"]],
  [`basic_auth_users:\n  alice: ${HASH.replace("2y", "2x")}`, 2, ["no bcrypt hash"]],
  [`basic_auth_users:\n  alice: ${HASH}x`, 2, ["no bcrypt hash"]],
  ["basic_auth_users:\n  ? [a]\n  : b", 2, ["a key has to be a text"]],
  ["rate_limit:\n  interval: 1s", 2, ["burst", "1 at least"]],
  ["rate_limit:\n  interval: 1000\n  burst: 1", 2, ["interval", "1m30s"]],
  ["rate_limit:\n  interval: -1s\n  burst: 1", 2, ["interval"]],
  ["rate_limit:\n  interval: 1s\n  burst: -1", 3, ["burst", "whole number"]],
];

Deno.test("parseWebConfig() names the file, the line and the key of what it refuses, on one line, and no value", async (test) => {
  for (const [text, line, says] of REFUSED) {
    await test.step(JSON.stringify(text), () => {
      assert.throws(() => parse(text), (error) => {
        assert.ok(error instanceof WebConfigError, String(error));
        assert.match(error.message, /^[^\n\r]+$/);
        assert.ok(error.message.includes(`"${FILE}" line ${line}: `), error.message);
        for (const part of says) assert.ok(error.message.includes(part), error.message);
        assert.ok(!error.message.includes("secret"), error.message);
        assert.ok(!error.message.includes(HASH.slice(8)), error.message);
        return true;
      });
    });
  }
});
