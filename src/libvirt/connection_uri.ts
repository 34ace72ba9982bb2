/** What a connection URI says about the way to libvirt. */
export interface ConnectionUri {
  /** Such as `qemu` or `test`; `""` for a URI that is of another form, such as an alias. */
  readonly driver: string;
  /**
   * How libvirt is reached: `unix`, `ssh`, `tls`, `tcp` and so on; `none` where the client library is the hypervisor itself,
   * and `""` where the URI does not say it.
   */
  readonly transport: string;
  /** What is behind the host, such as `/system` or `/session`. */
  readonly path: string;
  /** The socket that it names; `undefined` when libvirt is to find it by itself. */
  readonly socket: string | undefined;
}

const FORM =
  /^(?<driver>[a-z0-9]+)(?:\+(?<transport>[a-z0-9]+))?:\/\/(?<host>[^/?#]*)(?<path>[^?#]*)(?:\?(?<query>[^#]*))?/i;

/** The driver that runs in the exporter itself when the URI names neither a host nor a transport. */
const TEST_DRIVER = "test";

/** Reads a connection URI as libvirt's client library does. */
export function readConnectionUri(uri: string): ConnectionUri {
  const groups = FORM.exec(uri)?.groups;
  if (groups === undefined) return { driver: "", transport: "", path: "", socket: undefined };
  const { driver = "", host = "", path = "", query = "" } = groups;
  const local = driver === TEST_DRIVER ? "none" : "unix";
  return {
    driver,
    transport: groups["transport"]?.toLowerCase() ?? (host === "" ? local : "tls"),
    path,
    socket: socketIn(query),
  };
}

/**
 * The socket that the query of a URI names. libvirt takes the last one, and reads `+` as it stands.
 *
 * @returns `""` for one that has no form of a path
 */
export function socketIn(query: string): string | undefined {
  const parameter = query.split(/[&;]/).findLast((part) => part.startsWith("socket="));
  if (parameter === undefined) return undefined;
  try {
    const socket = decodeURIComponent(parameter.slice("socket=".length));
    return socket.includes("\0") ? "" : socket;
  } catch {
    return "";
  }
}
