import type { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import process from "node:process";
import { createSecureContext, type SecureContextOptions, type TlsOptions } from "node:tls";
import type { PemSource, TlsConfig } from "./web_config.ts";
import { quoteText, WebConfigError } from "./web_config_schema.ts";
import { oneLine } from "./web_log.ts";

/** What serving TLS takes. */
export interface TlsSettings {
  readonly options: TlsOptions & SecureContextOptions;
  /** When the server's certificate ends. */
  readonly expiresAt: Date;
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
  refuseUnsupported(config, versions);
  const certificatePem = await readPem(config.certificate, readFile);
  const [certificate] = parseCertificates(config.certificate, certificatePem);
  const keyPem = await readPem(config.key, readFile);
  if (!certificate?.checkPrivateKey(parseKey(config.key, keyPem))) {
    throw sourceError(
      config.key,
      "does not belong to the certificate: give the key that the certificate was made for",
    );
  }
  const options = {
    cert: certificatePem,
    key: keyPem,
    ...await clientOptions(config, readFile),
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
      `Web configuration: tls_server_config: TLS cannot be served so: ${oneLine(error)}`,
    );
  }
  return { options, expiresAt: new Date(certificate.validTo) };
}

/**
 * OpenSSL's SSL_OP_NO_TICKET. A client that resumes a session shows no certificate again, so a session would outlive what
 * its certificate was accepted for; and who scrapes keeps the connection open anyway.
 */
const NO_SESSION_TICKETS = 0x4000;

/**
 * Deno takes these settings for TLS and leaves them out of account, and writes a certificate's names so that one with a
 * comma looks like two. The executable, which runs on Bun, has all of them right.
 */
function refuseUnsupported(
  config: TlsConfig,
  versions: Readonly<Record<string, string | undefined>>,
): void {
  if (versions["deno"] === undefined) return;
  const [key] = [
    config.ciphers.length > 0 ? "cipher_suites" : undefined,
    config.curves.length > 0 ? "curve_preferences" : undefined,
    config.preferServerCiphers !== undefined ? "prefer_server_cipher_suites" : undefined,
    config.clientAllowedNames !== undefined ? "client_allowed_sans" : undefined,
  ].filter((name) => name !== undefined);
  if (key === undefined) return;
  throw new WebConfigError(
    `Web configuration: tls_server_config.${key}: not possible under Deno, leave it out or run the executable`,
  );
}

async function clientOptions(
  { clientAuthorities, clientAuthType }: TlsConfig,
  readFile: FileReader,
): Promise<TlsOptions & SecureContextOptions> {
  // Whether a certificate suffices is decided after the handshake, in the same way by all runtimes.
  const common = { requestCert: clientAuthType !== "NoClientCert", rejectUnauthorized: false };
  if (clientAuthorities === undefined) return common;
  const pem = await readPem(clientAuthorities, readFile);
  const ca = parseCertificates(clientAuthorities, pem).map((authority) => authority.toString());
  return { ...common, ca };
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
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
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
  try {
    const key = createPrivateKey(pem);
    // Deno finds out only here that a key is damaged.
    createPublicKey(key);
    return key;
  } catch {
    throw sourceError(source, "has no private key in PEM form (-----BEGIN PRIVATE KEY-----)");
  }
}

function sourceError(source: PemSource, problem: string): WebConfigError {
  const place = "file" in source ? ` ${quoteText(source.file)}` : "";
  return new WebConfigError(
    `Web configuration: tls_server_config.${source.key}${place}: ${problem}`,
  );
}
