import { tlsDoubts } from "./tls_settings.ts";
import { loadWebSettings } from "./web_settings.ts";

/** What a check of the web configuration file says. */
export interface WebConfigReport {
  /** One line that says that it can be used. */
  readonly summary: string;
  /** One line for each thing that can be used and will be of no use. */
  readonly warnings: readonly string[];
}

/**
 * Checks a web configuration file and the certificates that it names.
 *
 * @throws {WebConfigError} when they cannot be used
 */
export async function checkWebConfig(file: string): Promise<WebConfigReport> {
  const { tls, users } = await loadWebSettings(file);
  const parts = [
    tls === undefined ? "no TLS" : "TLS",
    users.size === 1 ? "1 user" : `${users.size} users`,
  ];
  return {
    summary: `The web configuration ${JSON.stringify(file)} can be used: ${parts.join(", ")}`,
    warnings: (tls === undefined ? [] : tlsDoubts(tls)).map(({ message, fields }) => {
      const values = Object.entries(fields).map(([name, value]) => `${name}: ${value}`);
      return `Warning: ${message} (${values.join(", ")})`;
    }),
  };
}
