/**
 * Deno 2.9 takes some settings of TLS and then leaves them out of account, and writes a certificate's names so that one with a
 * comma looks like two. Bun, which the executable runs on, has all of them right.
 */
import process from "node:process";

/** Settings of TLS that not every runtime has, by the key of the web configuration. */
export interface RareTlsSettings {
  readonly "cipher_suites": boolean;
  readonly "curve_preferences": boolean;
  readonly "prefer_server_cipher_suites": boolean;
  readonly "client_allowed_sans": boolean;
}

/** The first setting that is made and that this runtime does not have; undefined when it has all of them. */
export function unsupportedTlsSetting(
  made: RareTlsSettings,
  versions: Readonly<Record<string, string | undefined>> = process.versions,
): string | undefined {
  if (versions["deno"] === undefined) return undefined;
  return Object.entries(made).find(([, isMade]) => isMade)?.[0];
}
