import { chmod, lstat, unlink } from "node:fs/promises";
import { connect, type ListenOptions, type Server } from "node:net";
import { codeOf } from "../text.ts";
import { addressOf, systemListenCode } from "../runtime/listen_errors.ts";

/** Where to listen. */
export type ListenAddress = TcpListenAddress | UnixListenAddress | InheritedListenAddress;

/** A TCP port. */
export interface TcpListenAddress {
  /** A host name or an IP address without brackets; `undefined` for all addresses of both families. */
  readonly host: string | undefined;
  /** TCP port; 0 lets the system choose a free one. */
  readonly port: number;
}

/** A Unix socket. */
export interface UnixListenAddress {
  /** The absolute path of its file. */
  readonly path: string;
  /** Permission bits of the file: who may write to it may connect. */
  readonly mode: number;
}

/** A socket that listens already when the process starts, as one of systemd does. */
export interface InheritedListenAddress {
  readonly fileDescriptor: number;
}

/** Where a server listens once it does. */
export type BoundAddress = BoundTcpAddress | BoundPath;

/** An IP address and the port in use. */
export interface BoundTcpAddress {
  readonly host: string;
  readonly port: number;
}

/** The file of a Unix socket. */
export interface BoundPath {
  readonly path: string;
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
    if ("path" in address) return await bindToPath(server, address);
    if ("fileDescriptor" in address) return await listen(server, { fd: address.fileDescriptor });
    const { host, port } = address;
    if (host === undefined) return await bindToAll(server, port);
    return await listen(server, { host: await addressOf(host), port });
  } catch (error) {
    throw new WebServerError(explainBindFailure(address, errorCode(error)), {
      cause: error,
    });
  }
}

async function bindToAll(server: Server, port: number): Promise<BoundAddress> {
  try {
    // Linux and the runtimes leave IPV6_V6ONLY off: this socket takes IPv4 clients as well.
    return await listen(server, { host: IPV6_ALL, port });
  } catch (error) {
    if (errorCode(error) !== "EAFNOSUPPORT") throw error;
    return await listen(server, { host: IPV4_ALL, port });
  }
}

async function bindToPath(
  server: Server,
  { path, mode }: UnixListenAddress,
): Promise<BoundAddress> {
  await removeStaleSocket(path);
  const bound = await listen(server, { path });
  // Until here it had the permissions that the umask leaves.
  await chmod(path, mode);
  return bound;
}

// A process that was killed leaves its socket's file behind, which nobody answers on and nobody else can bind to.
async function removeStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket()) throw codedError("ENOTSOCK");
  if (await isAnswered(path)) throw codedError("EADDRINUSE");
  await unlink(path);
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    // Of what can go wrong only this says that there is nobody: a full queue, for one, is somebody's.
    socket.once("error", (error) => resolve(errorCode(error) !== "ECONNREFUSED"));
  });
}

function codedError(code: string): Error {
  return Object.assign(new Error(code), { code });
}

function listen(
  server: Server,
  where: ListenOptions & { readonly fd?: number },
): Promise<BoundAddress> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(where, () => {
      server.off("error", reject);
      const bound = server.address();
      resolve(
        bound !== null && typeof bound === "object" && bound.address !== undefined
          ? { host: bound.address, port: bound.port }
          : { path: typeof bound === "string" ? bound : where.path ?? `socket ${where.fd}` },
      );
    });
  });
}

function errorCode(error: unknown): string {
  return codeOf(error) || String(error);
}

/**
 * Says in one line why an address cannot be listened on and what to do about it.
 *
 * @param code the system's error code, such as `EADDRINUSE`
 */
export function explainBindFailure(address: ListenAddress, code: string): string {
  const where = `Cannot listen on "${formatListenAddress(address)}"`;
  if ("path" in address) return `${where}: ${explainPathFailure(code)}`;
  if ("fileDescriptor" in address) {
    return `${where}: ${code}, it has to be a stream socket that systemd listens on`;
  }
  switch (systemListenCode(code)) {
    case "EADDRINUSE":
      return `${where}: the port is in use, stop the other program or choose another with --port or --web.listen-address`;
    case "EACCES":
    case "EPERM":
      return `${where}: permission denied, use a port above 1023 or grant CAP_NET_BIND_SERVICE`;
    case "EADDRNOTAVAIL":
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

function explainPathFailure(code: string): string {
  switch (code) {
    case "EADDRINUSE":
      return "another program answers there, stop it or choose another path";
    case "ENOTSOCK":
      return "there is a file that is no socket, remove it or choose another path";
    case "ENOENT":
    case "ENOTDIR":
      return "its folder does not exist, create it (with systemd: RuntimeDirectory=)";
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return "permission denied, let the exporter's user write to its folder (with systemd: RuntimeDirectory=)";
    default:
      return `${code}, choose another path`;
  }
}

/** Writes an address as operators do: `host:port`, `[IPv6]:port`, `*:port` for all addresses, `unix:path`. */
export function formatListenAddress(address: ListenAddress | BoundAddress): string {
  if ("path" in address) return `unix:${address.path}`;
  if ("fileDescriptor" in address) return `socket ${address.fileDescriptor} of systemd`;
  const host = address.host ?? "*";
  return host.includes(":") ? `[${host}]:${address.port}` : `${host}:${address.port}`;
}
