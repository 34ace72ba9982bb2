/**
 * The runtimes tell differently why a server cannot listen. Of an address that no interface has, Deno 2.9 says `EINVAL`. Of a
 * host name that is unknown, Bun 1.4 has no code, so names are looked up before.
 */
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";

/**
 * The IP address of a host.
 *
 * @throws {Error} with the system's code when the name is unknown
 */
export async function addressOf(host: string): Promise<string> {
  return isIP(host) === 0 ? (await lookup(host)).address : host;
}

/** A runtime's code of why a server cannot listen, as the system has it. */
export function systemListenCode(code: string): string {
  return code === "EINVAL" ? "EADDRNOTAVAIL" : code;
}
