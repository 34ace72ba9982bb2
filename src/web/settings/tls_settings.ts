import type { Buffer } from "node:buffer";
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import process from "node:process";
import { createSecureContext, type SecureContextOptions, type TlsOptions } from "node:tls";
import { unsupportedTlsSetting } from "../../runtime/tls_support.ts";
import type { PemSource, TlsConfig } from "./web_config.ts";
import { WebConfigError } from "./web_config_schema.ts";
import { codeOf, messageOf, oneLine, quote } from "../../text.ts";

/** What serving TLS takes. */
export interface TlsSettings {
  readonly options: TlsOptions & SecureContextOptions;
  /** When the server's certificate ends. */
  readonly expiresAt: Date;
  /** Those of the server and its authorities, the server's own first, and then those of the clients' authorities. */
  readonly certificates: readonly CertificateTerm[];
  /** Bits of the server's key if that is one of RSA. */
  readonly rsaBits: number | undefined;
  /** What the server's certificate may be used for, as object identifiers; undefined when for anything, or under Deno. */
  readonly uses: readonly string[] | undefined;
}

/** From when until when a certificate is valid. */
export interface CertificateTerm {
  /** Which certificate it is, in words. */
  readonly whose: string;
  readonly validFrom: Date;
  readonly validTo: Date;
}

/** Something that can be served and that clients will refuse all the same. */
export interface TlsDoubt {
  /** What is the matter and what to do. */
  readonly message: string;
  /** The values that it is about, by name. */
  readonly fields: Readonly<Record<string, string | number>>;
}

/** Bits of RSA below which clients refuse a key. Source: OpenSSL, security level 2. */
const LEAST_RSA_BITS = 2_048;

/** Bits of RSA above which Prometheus refuses a key. Source: Go, `crypto/tls`, since its release 1.20.7. */
const MOST_RSA_BITS = 8_192;

/** The uses of a certificate by which a server may prove who it is. Source: RFC 5280, id-kp-serverAuth and anyExtendedKeyUsage. */
const SERVER_USES: readonly string[] = ["1.3.6.1.5.5.7.3.1", "2.5.29.37.0"];

/** Says what of the certificates and the key clients will refuse, or makes the server refuse all clients. */
export function tlsDoubts(
  { certificates, rsaBits, uses }:
    & Pick<TlsSettings, "certificates" | "rsaBits">
    & Partial<Pick<TlsSettings, "uses">>,
  now: Date = new Date(),
): readonly TlsDoubt[] {
  const terms = certificates.flatMap(({ whose, validFrom, validTo }): TlsDoubt | readonly [] => {
    if (validTo.getTime() < now.getTime()) {
      return {
        message: `${whose} has expired: renew it`,
        fields: { expired: validTo.toISOString() },
      };
    }
    if (validFrom.getTime() > now.getTime()) {
      return {
        message: `${whose} is not valid yet: wait, or set the clock`,
        fields: { validFrom: validFrom.toISOString() },
      };
    }
    return [];
  });
  return [...terms, ...useDoubts(uses), ...keyDoubts(rsaBits)];
}

function useDoubts(uses: readonly string[] | undefined): readonly TlsDoubt[] {
  if (uses === undefined || uses.some((use) => SERVER_USES.includes(use))) return [];
  const message =
    "The server's certificate is not for servers: make one whose extended key usage has serverAuth";
  return [{ message, fields: { extendedKeyUsage: uses.join(" ") } }];
}

function keyDoubts(rsaBits: number | undefined): readonly TlsDoubt[] {
  if (rsaBits === undefined || (rsaBits >= LEAST_RSA_BITS && rsaBits <= MOST_RSA_BITS)) return [];
  const size = rsaBits < LEAST_RSA_BITS ? "short" : "long";
  const message =
    `The server's key is so ${size} that clients refuse it: make one of RSA with ${LEAST_RSA_BITS} bits, or of ECDSA with P-256`;
  return [{ message, fields: { bits: rsaBits } }];
}

/** Reads a file as a whole; rejects with the system's error. */
export type FileReader = (file: string) => Promise<Buffer>;

/** Names the files that a configuration needs besides its own. */
export function filesOfTls(config: TlsConfig): readonly string[] {
  return [config.certificate, config.key, config.clientAuthorities]
    .flatMap((source) => source !== undefined && "file" in source ? [source.file] : []);
}

/**
 * Reads the certificates and keys of a configuration and sees that they go together.
 *
 * @throws {WebConfigError} when one of them is missing or wrong, or when this runtime cannot do what is asked
 */
export async function loadTlsSettings(
  config: TlsConfig,
  readFile: FileReader,
  versions: Readonly<Record<string, string | undefined>> = process.versions,
): Promise<TlsSettings> {
  checkSupport(config, versions);
  const certificatePem = await readPem(config.certificate, readFile);
  const [certificate, ...intermediate] = parseCertificates(config.certificate, certificatePem);
  const keyPem = await readPem(config.key, readFile);
  const key = parseKey(config.key, keyPem);
  if (!certificate?.checkPrivateKey(key)) {
    throw sourceError(
      config.key,
      "does not belong to the certificate: give the key that the certificate was made for",
    );
  }
  const authorities = await readAuthorities(config, readFile);
  const options = {
    cert: certificatePem,
    key: keyPem,
    ...clientOptions(config, authorities),
    minVersion: config.minimumVersion,
    maxVersion: config.maximumVersion,
    ...(config.ciphers.length > 0 ? { ciphers: config.ciphers.join(":") } : {}),
    ...(config.curves.length > 0 ? { ecdhCurve: config.curves.join(":") } : {}),
    honorCipherOrder: config.preferServerCiphers ?? true,
    ALPNProtocols: ["http/1.1"],
    secureOptions: NO_SESSION_TICKETS,
  };
  try {
    createSecureContext(options);
  } catch (error) {
    throw new WebConfigError(
      `Web configuration: tls_server_config: TLS cannot be served so: ${oneLine(messageOf(error))}`,
    );
  }
  return {
    options,
    expiresAt: new Date(certificate.validTo),
    certificates: [
      term("The server's certificate", certificate),
      ...intermediate.map((one) => term("A certificate below the server's", one)),
      ...authorities.map((one) => term("The certificate of an authority for clients", one)),
    ],
    rsaBits: key.asymmetricKeyType === "rsa" ? key.asymmetricKeyDetails?.modulusLength : undefined,
    uses: certificate.keyUsage,
  };
}

function term(whose: string, { validFrom, validTo }: X509Certificate): CertificateTerm {
  return { whose, validFrom: new Date(validFrom), validTo: new Date(validTo) };
}

/**
 * OpenSSL's SSL_OP_NO_TICKET. A client that resumes a session shows no certificate again, so a session would outlive what
 * its certificate was accepted for; and who scrapes keeps the connection open anyway.
 */
const NO_SESSION_TICKETS = 0x4000;

function checkSupport(
  { ciphers, curves, preferServerCiphers, clientAllowedNames }: TlsConfig,
  versions: Readonly<Record<string, string | undefined>>,
): void {
  const key = unsupportedTlsSetting({
    "cipher_suites": ciphers.length > 0,
    "curve_preferences": curves.length > 0,
    "prefer_server_cipher_suites": preferServerCiphers !== undefined,
    "client_allowed_sans": clientAllowedNames !== undefined,
  }, versions);
  if (key === undefined) return;
  throw new WebConfigError(
    `Web configuration: tls_server_config.${key}: not possible under Deno, leave it out or run the executable`,
  );
}

function clientOptions(
  { clientAuthType }: TlsConfig,
  authorities: readonly X509Certificate[],
): TlsOptions & SecureContextOptions {
  // Whether a certificate suffices is decided after the handshake, in the same way by all runtimes.
  const common = { requestCert: clientAuthType !== "NoClientCert", rejectUnauthorized: false };
  if (authorities.length === 0) return common;
  return { ...common, ca: authorities.map((authority) => authority.toString()) };
}

async function readAuthorities(
  { clientAuthorities }: TlsConfig,
  readFile: FileReader,
): Promise<readonly X509Certificate[]> {
  if (clientAuthorities === undefined) return [];
  return parseCertificates(clientAuthorities, await readPem(clientAuthorities, readFile));
}

async function readPem(source: PemSource, readFile: FileReader): Promise<string> {
  if ("pem" in source) return source.pem;
  try {
    return (await readFile(source.file)).toString("latin1");
  } catch (error) {
    throw sourceError(source, explainRead(error));
  }
}

/** Says why a file cannot be read and what to do, by the system's error code. */
export function explainRead(error: unknown): string {
  const code = codeOf(error);
  switch (code) {
    case "ENOENT":
      return "there is no such file: correct the path, or create it";
    case "EACCES":
    case "EPERM":
      return "permission denied: let the exporter's user read it";
    case "EISDIR":
      return "it is a directory: name a file";
    case "EINVAL":
      return "it is neither a file nor a link to one: name a file";
    case "EFBIG":
      return "it is far too large: name another file";
    default:
      return `it cannot be read (${code || String(error)}): see to it that it can`;
  }
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

function parseCertificates(source: PemSource, pem: string): readonly X509Certificate[] {
  const blocks = pem.match(CERTIFICATE);
  if (blocks === null) {
    throw sourceError(source, "has no certificate in PEM form (-----BEGIN CERTIFICATE-----)");
  }
  return blocks.map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch {
      throw sourceError(source, `its certificate number ${index + 1} is damaged: copy it again`);
    }
  });
}

function parseKey(source: PemSource, pem: string): KeyObject {
  if (/ENCRYPTED/.test(pem)) {
    throw sourceError(source, 'is encrypted: take the passphrase off with "openssl pkey"');
  }
  const key = readKey(source, pem);
  if (!isTaken(key)) throw sourceError(source, `is ${WRONG_KIND}`);
  return key;
}

function readKey(source: PemSource, pem: string): KeyObject {
  if (!PRIVATE_KEY.test(pem)) {
    throw sourceError(source, "has no private key in PEM form (-----BEGIN PRIVATE KEY-----)");
  }
  try {
    return createPrivateKey(pem);
  } catch {
    // The runtimes say the same of a curve that they do not know as of a damaged key.
    throw sourceError(source, `is damaged, or ${WRONG_KIND}`);
  }
}

const PRIVATE_KEY = /-----BEGIN (?:EC |RSA )?PRIVATE KEY-----/;

const WRONG_KIND =
  "of a kind that clients do not take: make one of ECDSA with P-256, P-384 or P-521, or of RSA with 2048 bits";

/** The curves that clients take in certificates, by OpenSSL's names. */
const KEY_CURVES: readonly string[] = ["prime256v1", "secp384r1", "secp521r1"];

function isTaken({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): boolean {
  if (asymmetricKeyType === "ec") {
    return KEY_CURVES.includes(asymmetricKeyDetails?.namedCurve ?? "");
  }
  return asymmetricKeyType === "rsa" || asymmetricKeyType === "ed25519";
}

function sourceError(source: PemSource, problem: string): WebConfigError {
  const place = "file" in source ? ` ${quote(source.file)}` : "";
  return new WebConfigError(
    `Web configuration: tls_server_config.${source.key}${place}: ${problem}`,
  );
}
