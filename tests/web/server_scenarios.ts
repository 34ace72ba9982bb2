import type { WebServerSetup } from "../../testing/web_server_process.ts";
import type { ServerProcess } from "../../testing/web_server.ts";
import { type Client, openClient } from "../../testing/web_client.ts";

/** The size of the page `/big`. */
export const BIG_PAGE_BYTES = 15 * 1024 * 1024;

/** Opens connections for a test, and closes them whatever becomes of it. */
export async function withClients(
  count: number,
  port: number,
  use: (clients: readonly Client[]) => Promise<void>,
): Promise<void> {
  const clients = await Promise.all(Array.from({ length: count }, () => openClient(port)));
  try {
    await use(clients);
  } finally {
    for (const client of clients) client.close();
  }
}

/** Something that the server does under each runtime. */
export interface Scenario {
  /** Follows "startWebServer() under Deno ". */
  readonly name: string;
  readonly setup?: Partial<WebServerSetup>;
  check(server: ServerProcess): Promise<void>;
}

/** The page of metrics. */
export async function getMetrics(server: ServerProcess): Promise<string> {
  return await (await fetch(`${server.url}/metrics`)).text();
}
