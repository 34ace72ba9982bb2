import { lookup } from "node:dns/promises";
import type { Server } from "node:http";
import { isIP } from "node:net";

/** Where to listen. */
export interface ListenAddress {
  /** A host name or an IP address without brackets; `undefined` for all addresses of both families. */
  readonly host: string | undefined;
  /** TCP port; 0 lets the system choose a free one. */
  readonly port: number;
}

/** Where a server listens once it does: an IP address and the port in use. */
export interface BoundAddress {
  readonly host: string;
  readonly port: number;
}

/** The web server cannot start; its message is one line for the operator. */
export class WebServerError extends Error {
  override readonly name = "WebServerError";
}

const IPV6_ALL = "::";
const IPV4_ALL = "0.0.0.0";

/**
 * Binds a server to one address and waits until it accepts connections.
 *
 * @returns the address it got, with the port that the system chose when 0 was asked for
 * @throws {WebServerError} when the host is unknown or the address cannot be bound
 */
export async function bind(server: Server, address: ListenAddress): Promise<BoundAddress> {
  try {
    if (address.host === undefined) return await bindToAll(server, address.port);
    return await listen(server, await resolve(address.host), address.port);
  } catch (error) {
    throw new WebServerError(describeBindFailure(address, errorCode(error)), { cause: error });
  }
}

async function bindToAll(server: Server, port: number): Promise<BoundAddress> {
  try {
    // Linux and the runtimes leave IPV6_V6ONLY off: this socket takes IPv4 clients as well.
    return await listen(server, IPV6_ALL, port);
  } catch (error) {
    if (errorCode(error) !== "EAFNOSUPPORT") throw error;
    return await listen(server, IPV4_ALL, port);
  }
}

// The runtimes name an unknown host differently when listen() looks it up, so it gets an IP address only.
async function resolve(host: string): Promise<string> {
  return isIP(host) === 0 ? (await lookup(host)).address : host;
}

function listen(server: Server, host: string, port: number): Promise<BoundAddress> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.off("error", reject);
      const bound = server.address();
      resolve(
        bound !== null && typeof bound === "object"
          ? { host: bound.address, port: bound.port }
          : { host, port },
      );
    });
  });
}

function errorCode(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : String(error);
}

/**
 * Says in one line why an address cannot be listened on and what to do about it.
 *
 * @param code the system's error code, such as `EADDRINUSE`
 */
export function describeBindFailure(address: ListenAddress, code: string): string {
  const where = `Cannot listen on "${formatListenAddress(address)}"`;
  switch (code) {
    case "EADDRINUSE":
      return `${where}: the port is in use, stop the other program or choose another with --port or --web.listen-address`;
    case "EACCES":
    case "EPERM":
      return `${where}: permission denied, use a port above 1023 or grant CAP_NET_BIND_SERVICE`;
    case "EADDRNOTAVAIL":
    case "EINVAL": // what Deno makes of EADDRNOTAVAIL
    case "ENODEV":
      return `${where}: no network interface of this host has that address, use one that "ip address" lists`;
    case "ENOTFOUND":
    case "EAI_AGAIN":
    case "EAI_FAIL":
    case "EAI_NODATA":
    case "EAI_NONAME":
      return `${where}: the host name is unknown, use an IP address or a name that resolves`;
    case "EAFNOSUPPORT":
      return `${where}: this host has that address family switched off, use an address of the other one`;
    default:
      return `${where}: ${code}, choose another address or port`;
  }
}

/** Writes an address as operators do: `host:port`, `[IPv6]:port`, and `*:port` for all addresses. */
export function formatListenAddress(address: ListenAddress): string {
  const host = address.host ?? "*";
  return host.includes(":") ? `[${host}]:${address.port}` : `${host}:${address.port}`;
}
