// Certificates of the tests' own, made by the openssl program.
import { outputOf } from "./command.ts";

/** A certificate and its key, in files and as PEM text. */
export interface TestCertificate {
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly certificate: string;
  readonly key: string;
}

/** What a certificate is for and by whom it is signed. */
export interface CertificateOptions {
  /** Alternative names in openssl's form, such as `DNS:a.example,IP:127.0.0.1`, or `@` with the name of a section and that. */
  readonly names?: string;
  /** By itself unless given. */
  readonly authority?: TestCertificate;
  /** Such as `serverAuth`; any use unless given. */
  readonly usage?: string;
  /** Whether it has ended yesterday. */
  readonly isExpired?: boolean;
  /** Bits of a key of RSA; ECDSA with P-256 unless given. */
  readonly rsaBits?: number;
}

/**
 * Makes a certificate in a folder.
 *
 * @param name its common name, and the beginning of its files' names
 */
export async function makeCertificate(
  folder: string,
  name: string,
  { names, authority, usage, isExpired = false, rsaBits }: CertificateOptions = {},
): Promise<TestCertificate> {
  const keyFile = `${folder}/${name}.key`;
  const certificateFile = `${folder}/${name}.crt`;
  const requestFile = `${folder}/${name}.csr`;
  const extensionFile = `${folder}/${name}.extensions`;
  const extensions = [
    ...(usage === undefined ? [] : [`extendedKeyUsage=${usage}`]),
    `basicConstraints=critical,CA:${authority === undefined ? "TRUE" : "FALSE"}`,
    // The last one, as it may go on with a section.
    ...(names === undefined ? [] : [`subjectAltName=${names}`]),
  ];
  await Deno.writeTextFile(extensionFile, `${extensions.join("\n")}\n`);
  const kind = rsaBits === undefined
    ? ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    : ["-newkey", `rsa:${rsaBits}`];
  await openssl(
    "req",
    ...kind,
    "-nodes",
    "-keyout",
    keyFile,
    "-out",
    requestFile,
    "-subj",
    `/CN=${name}`,
  );
  const signer = authority === undefined
    ? ["-key", keyFile]
    : ["-CA", authority.certificateFile, "-CAkey", authority.keyFile];
  const days = isExpired ? "-1" : "30";
  const serial = `0x${crypto.randomUUID().replaceAll("-", "")}`;
  await openssl(
    "x509",
    "-req",
    "-in",
    requestFile,
    "-out",
    certificateFile,
    "-days",
    days,
    "-set_serial",
    serial,
    "-extfile",
    extensionFile,
    ...signer,
  );
  return {
    certificateFile,
    keyFile,
    certificate: await Deno.readTextFile(certificateFile),
    key: await Deno.readTextFile(keyFile),
  };
}

async function openssl(...args: readonly string[]): Promise<void> {
  await outputOf("openssl", args);
}
