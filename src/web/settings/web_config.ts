import { dirname, resolve } from "node:path";
import { LineCounter, parseDocument } from "yaml";
import { configError, documentValue, type Value } from "./web_config_schema.ts";

export { WebConfigError } from "./web_config_schema.ts";

/** What a web configuration file says, checked, in the format of exporter-toolkit. */
export interface WebConfig {
  /** Whether the file says nothing at all: it has no bytes, comments only, or `null`. */
  readonly isEmpty: boolean;
  /** `undefined` serves HTTP without TLS. */
  readonly tls: TlsConfig | undefined;
  /** Headers that go with every answer. */
  readonly headers: ReadonlyMap<string, string>;
  /** Whether the file asks for HTTP/2, which is not offered. */
  readonly wantsHttp2: boolean;
  /** bcrypt hashes by user; nobody has to log in when there is none. */
  readonly users: ReadonlyMap<string, string>;
  readonly rateLimit: RateLimitConfig | undefined;
}

/** How TLS is served. */
export interface TlsConfig {
  readonly certificate: PemSource;
  readonly key: PemSource;
  readonly clientAuthorities: PemSource | undefined;
  readonly clientAuthType: ClientAuthType;
  /** Names of which a client's certificate has to have one; `undefined` for any. */
  readonly clientAllowedNames: readonly string[] | undefined;
  readonly minimumVersion: TlsVersion;
  readonly maximumVersion: TlsVersion;
  /** OpenSSL's names of the cipher suites below TLS 1.3; empty for the runtime's own choice. */
  readonly ciphers: readonly string[];
  /** OpenSSL's names of the curves, the preferred one first; empty for the runtime's own choice. */
  readonly curves: readonly string[];
  /** `undefined` when the file does not say. */
  readonly preferServerCiphers: boolean | undefined;
}

/** Where PEM text comes from, and what errors call it. */
export type PemSource =
  | { readonly key: string; readonly file: string }
  | { readonly key: string; readonly pem: string };

/** Requests in the long run, and at once. */
export interface RateLimitConfig {
  /** Milliseconds between two requests. */
  readonly intervalMilliseconds: number;
  /** Requests that may come at once. */
  readonly burst: number;
}

/** What is asked of clients, by Go's names. Source: crypto/tls, ClientAuthType. */
export const CLIENT_AUTH_TYPES = [
  "NoClientCert",
  "RequestClientCert",
  "RequireAnyClientCert",
  "VerifyClientCertIfGiven",
  "RequireAndVerifyClientCert",
] as const;

/** One of {@linkcode CLIENT_AUTH_TYPES}. */
export type ClientAuthType = typeof CLIENT_AUTH_TYPES[number];

/** TLS versions by the names that `node:tls` gives them. */
export type TlsVersion = "TLSv1.2" | "TLSv1.3";

const TLS_VERSIONS: Readonly<Record<string, TlsVersion>> = { TLS12: "TLSv1.2", TLS13: "TLSv1.3" };

/** Versions that exporter-toolkit takes and that nobody should use any more (RFC 8996). */
const OLD_TLS_VERSIONS: readonly string[] = ["TLS10", "TLS11"];

/** OpenSSL's names by Go's, for the suites that Go calls secure. Source: crypto/tls, CipherSuites(). */
const CIPHERS: Readonly<Record<string, string>> = {
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: "ECDHE-ECDSA-AES128-SHA",
  TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: "ECDHE-ECDSA-AES256-SHA",
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA: "ECDHE-RSA-AES128-SHA",
  TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA: "ECDHE-RSA-AES256-SHA",
  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: "ECDHE-ECDSA-AES128-GCM-SHA256",
  TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: "ECDHE-ECDSA-AES256-GCM-SHA384",
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: "ECDHE-RSA-AES128-GCM-SHA256",
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: "ECDHE-RSA-AES256-GCM-SHA384",
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: "ECDHE-RSA-CHACHA20-POLY1305",
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: "ECDHE-ECDSA-CHACHA20-POLY1305",
};

/** Suites of TLS 1.3, which nobody can choose among: naming them changes nothing, as in exporter-toolkit. */
const FIXED_CIPHERS: readonly string[] = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
];

const CURVES: Readonly<Record<string, string>> = {
  CurveP256: "P-256",
  CurveP384: "P-384",
  CurveP521: "P-521",
  X25519: "X25519",
};

/** Headers that may be set; with their values where only some make sense. Source: exporter-toolkit, handler.go. */
const HEADERS: Readonly<Record<string, readonly string[] | undefined>> = {
  "Content-Security-Policy": undefined,
  "Strict-Transport-Security": undefined,
  "X-Content-Type-Options": ["nosniff"],
  "X-Frame-Options": ["deny", "sameorigin"],
  "X-XSS-Protection": undefined,
};

/** `$2a$`, `$2b$` and `$2y$` mean the same: the algorithm as all programs have it by now. */
const BCRYPT_HASH = /^\$2[aby]\$(?<cost>\d\d)\$[./A-Za-z0-9]{53}$/;

/** The costs that bcrypt allows begin at 4. One above 16 takes longer than Prometheus waits. */
const MINIMUM_BCRYPT_COST = 4;
const MAXIMUM_BCRYPT_COST = 16;

/**
 * Reads a web configuration. Looks at no other file.
 *
 * @param file the path of the file that holds it: other files are found from there, and errors name it
 * @throws {WebConfigError} for the first thing that is wrong, which never repeats a value
 */
export function parseWebConfig(text: string, file: string): WebConfig {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const [problem] = [...document.errors, ...document.warnings];
  if (problem !== undefined) {
    // The library's message may quote the file, which holds secrets.
    const { line } = lines.linePos(problem.pos[0]);
    throw configError(file, line, `this is not valid YAML: ${explainYaml(problem.code)}`);
  }
  const value = documentValue(file, document, lines);
  const root = value.fields([
    "tls_server_config",
    "http_server_config",
    "basic_auth_users",
    "rate_limit",
  ]);
  const http = root.http_server_config.fields(["http2", "headers"]);
  return {
    isEmpty: value.isEmpty,
    tls: readTls(root.tls_server_config, dirname(file)),
    wantsHttp2: http.http2.boolean(false),
    headers: readHeaders(http.headers),
    users: readUsers(root.basic_auth_users),
    rateLimit: readRateLimit(root.rate_limit),
  };
}

function explainYaml(code: string): string {
  switch (code) {
    case "DUPLICATE_KEY":
      return "a key stands here for the second time";
    case "TAB_AS_INDENT":
      return "indent with spaces, not with tabs";
    case "BAD_INDENT":
      return "the indentation is wrong";
    case "MULTIPLE_DOCS":
      return "there is more than one document";
    case "BAD_ALIAS":
      return "a text that begins with * or & has to be in quotes";
    default:
      return code.toLowerCase().replaceAll("_", " ");
  }
}

function readTls(value: Value, folder: string): TlsConfig | undefined {
  const fields = value.fields([
    "cert",
    "key",
    "client_ca",
    "cert_file",
    "key_file",
    "client_ca_file",
    "client_auth_type",
    "client_allowed_sans",
    "min_version",
    "max_version",
    "cipher_suites",
    "curve_preferences",
    "prefer_server_cipher_suites",
  ]);
  if (value.isEmpty) return undefined;
  const certificate = readPemSource("cert", fields.cert, fields.cert_file, folder);
  const key = readPemSource("key", fields.key, fields.key_file, folder);
  if (certificate === undefined) throw value.error("missing cert_file or cert");
  if (key === undefined) throw value.error("missing key_file or key");
  const clientAuthorities = readPemSource(
    "client_ca",
    fields.client_ca,
    fields.client_ca_file,
    folder,
  );
  const minimumVersion = readVersion(fields.min_version, "TLSv1.2");
  const maximumVersion = readVersion(fields.max_version, "TLSv1.3");
  if (minimumVersion > maximumVersion) {
    throw fields.min_version.error("newer than max_version");
  }
  return {
    certificate,
    key,
    clientAuthorities,
    ...readClientPolicy(
      fields.client_auth_type,
      fields.client_allowed_sans,
      clientAuthorities !== undefined,
    ),
    minimumVersion,
    maximumVersion,
    ciphers: fields.cipher_suites.items().flatMap((item) => {
      const name = item.choice([...Object.keys(CIPHERS), ...FIXED_CIPHERS]) ?? "";
      return CIPHERS[name] ?? [];
    }),
    curves: fields.curve_preferences.items().flatMap((item) =>
      CURVES[item.choice(Object.keys(CURVES)) ?? ""] ?? []
    ),
    preferServerCiphers: fields.prefer_server_cipher_suites.isEmpty
      ? undefined
      : fields.prefer_server_cipher_suites.boolean(true),
  };
}

function readPemSource(
  key: string,
  inline: Value,
  file: Value,
  folder: string,
): PemSource | undefined {
  const pem = inline.text();
  const path = file.text();
  if (pem !== undefined && path !== undefined) {
    throw file.error(`give either ${key} or ${key}_file, not both`);
  }
  if (pem !== undefined) return { key, pem };
  return path === undefined ? undefined : { key: `${key}_file`, file: resolve(folder, path) };
}

function readVersion(value: Value, otherwise: TlsVersion): TlsVersion {
  const name = value.choice([...Object.keys(TLS_VERSIONS), ...OLD_TLS_VERSIONS]);
  if (name === undefined) return otherwise;
  const version = TLS_VERSIONS[name];
  if (version === undefined) {
    throw value.error(`this version of TLS is broken (RFC 8996), use TLS12 or TLS13`);
  }
  return version;
}

function readClientPolicy(
  type: Value,
  names: Value,
  hasAuthorities: boolean,
): Pick<TlsConfig, "clientAuthType" | "clientAllowedNames"> {
  const given = type.choice([...CLIENT_AUTH_TYPES, "RequireClientCert"]) ?? "NoClientCert";
  // The old name of exporter-toolkit.
  const clientAuthType = given === "RequireClientCert" ? "RequireAnyClientCert" : given;
  const verifies = clientAuthType === "VerifyClientCertIfGiven" ||
    clientAuthType === "RequireAndVerifyClientCert";
  if (verifies && !hasAuthorities) {
    throw type.error("name the authority of the clients with client_ca_file or client_ca");
  }
  if (hasAuthorities && !verifies) {
    throw type.error(
      "client_ca_file and client_ca need RequireAndVerifyClientCert or VerifyClientCertIfGiven",
    );
  }
  if (names.isEmpty) return { clientAuthType, clientAllowedNames: undefined };
  if (!clientAuthType.startsWith("Require")) {
    throw names.error(
      "needs client_auth_type RequireAndVerifyClientCert or RequireAnyClientCert",
    );
  }
  const clientAllowedNames = names.items().map((item) => {
    const name = item.text();
    if (name === undefined) throw item.error("expected a name");
    return name;
  });
  return { clientAuthType, clientAllowedNames };
}

function readHeaders(value: Value): ReadonlyMap<string, string> {
  const headers = new Map<string, string>();
  for (const [name, headerValue] of Object.entries(value.fields(Object.keys(HEADERS)))) {
    const text = headerValue.text();
    if (text === undefined) continue;
    const allowed = HEADERS[name];
    if (allowed !== undefined && !allowed.includes(text)) {
      throw headerValue.error(`unknown value, use ${allowed.join(" or ")}`);
    }
    if (!/^[!-~](?:[ -~]*[!-~])?$/.test(text)) {
      throw headerValue.error("use printable ASCII characters on one line");
    }
    headers.set(name, text);
  }
  return headers;
}

function readUsers(value: Value): ReadonlyMap<string, string> {
  const users = new Map<string, string>();
  for (const [user, hashValue] of value.entries()) {
    if (user === "" || user.includes(":") || /\p{Cc}/u.test(user)) {
      throw hashValue.error("a user needs a name without colons and control characters");
    }
    const hash = hashValue.anyText();
    const cost = Number(BCRYPT_HASH.exec(hash)?.groups?.cost);
    if (Number.isNaN(cost)) {
      throw hashValue.error('this is no bcrypt hash, make one with "htpasswd -nBC 10 USER"');
    }
    if (cost < MINIMUM_BCRYPT_COST || cost > MAXIMUM_BCRYPT_COST) {
      throw hashValue.error(
        `the cost of this bcrypt hash is ${cost}, use ${MINIMUM_BCRYPT_COST} to ${MAXIMUM_BCRYPT_COST}`,
      );
    }
    users.set(user, hash);
  }
  return users;
}

/** Milliseconds in the units of Go's durations that make sense here. */
const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};

function readRateLimit(value: Value): RateLimitConfig | undefined {
  const fields = value.fields(["interval", "burst"]);
  const intervalMilliseconds = readDuration(fields.interval);
  const burst = fields.burst.numberOrText() ?? "0";
  if (!/^\d{1,9}$/.test(burst)) throw fields.burst.error("expected a whole number");
  if (intervalMilliseconds === 0) return undefined;
  if (burst === "0") {
    throw fields.burst.error("give 1 at least, or no request would ever be answered");
  }
  return { intervalMilliseconds, burst: Number(burst) };
}

function readDuration(value: Value): number {
  const text = value.numberOrText() ?? "0";
  if (/^0+$/.test(text)) return 0;
  const parts = /^(?:\d{1,9}(?:\.\d{1,9})?(?:ms|s|m|h))+$/.test(text)
    ? text.matchAll(/(?<amount>[\d.]+)(?<unit>ms|s|m|h)/g)
    : undefined;
  if (parts === undefined) throw value.error("give a duration such as 500ms, 1s or 1m30s");
  return [...parts].reduce(
    (sum, { groups }) => sum + Number(groups?.amount) * (DURATION_UNITS[groups?.unit ?? ""] ?? 0),
    0,
  );
}
