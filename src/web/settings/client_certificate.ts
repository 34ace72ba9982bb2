import { isIPv6 } from "node:net";
import type { TlsConfig } from "./web_config.ts";

/** What a handshake told about the client. */
export interface HandshakeResult {
  /** Whether a certificate came and one of the authorities vouches for it. */
  readonly authorized: boolean;
  /** Why not, such as `CERT_HAS_EXPIRED`. */
  readonly authorizationError: unknown;
  /** The certificate as the runtimes describe it; `undefined` when none came. */
  readonly certificate: { readonly subjectaltname?: string | undefined } | undefined;
}

/**
 * Says why a client may not go on after its handshake; `undefined` when it may.
 *
 * @param policy what the web configuration asks of clients
 */
export function problemOfClient(
  { clientAuthType, clientAllowedNames }: Pick<TlsConfig, "clientAuthType" | "clientAllowedNames">,
  { authorized, authorizationError, certificate }: HandshakeResult,
): string | undefined {
  const isRequired = clientAuthType === "RequireAnyClientCert" ||
    clientAuthType === "RequireAndVerifyClientCert";
  const isVerified = clientAuthType === "VerifyClientCertIfGiven" ||
    clientAuthType === "RequireAndVerifyClientCert";
  if (certificate === undefined) return isRequired ? "it sent no certificate" : undefined;
  if (isVerified && !authorized) {
    return `its certificate is not accepted (${String(authorizationError)})`;
  }
  if (clientAllowedNames === undefined) return undefined;
  const names = parseAlternativeNames(certificate.subjectaltname ?? "");
  const allowed = clientAllowedNames.map(shortestForm);
  return names.some((name) => allowed.includes(name))
    ? undefined
    : "its certificate has none of the names in client_allowed_sans";
}

/** Kinds of names that count. Source: exporter-toolkit, tls_config.go. */
const KINDS: ReadonlySet<string> = new Set(["DNS", "email", "IP Address", "URI"]);

const ENTRY = /(?<kind>[^:,"]+):(?<value>"(?:[^"\\]|\\.)*"|[^,"]*)(?:, |$)/y;

/**
 * Takes the text apart in which the runtimes list the alternative names of a certificate, such as
 * `DNS:a.example, IP Address:10.0.0.1`. A value with a comma or a quote in it stands there as a JSON string, so that no
 * name can pretend to be two.
 *
 * @returns the values that count; none at all when the text has another form
 */
export function parseAlternativeNames(text: string): readonly string[] {
  const names: string[] = [];
  ENTRY.lastIndex = 0;
  while (ENTRY.lastIndex < text.length) {
    const groups = ENTRY.exec(text)?.groups;
    if (groups === undefined) return [];
    const { kind = "", value = "" } = groups;
    if (!KINDS.has(kind)) continue;
    const name = value.startsWith('"') ? parseQuoted(value) : value;
    if (name === undefined) return [];
    names.push(shortestForm(name));
  }
  return names;
}

/** A certificate may have any names. One that cannot be read must not throw in the middle of a handshake. */
function parseQuoted(text: string): string | undefined {
  try {
    return String(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** Writes an IPv6 address in its shortest form, in which Go has it; leaves other names alone, as those with a zone. */
function shortestForm(name: string): string {
  return isIPv6(name) && !name.includes("%")
    ? new URL(`http://[${name}]`).hostname.slice(1, -1)
    : name;
}
