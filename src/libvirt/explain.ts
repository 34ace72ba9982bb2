import { readFileSync, statSync } from "node:fs";
import { type ConnectionUri, readConnectionUri } from "./connection_uri.ts";
import { type CallFailure, OPENING_CALL } from "./hypervisor.ts";

/** Values of `virErrorNumber`. Source: virterror.h. */
const Code = {
  internalError: 1,
  systemError: 38,
  authenticationFailed: 45,
  accessDenied: 88,
  authenticationUnavailable: 94,
} as const;

/** Values of `virErrorDomain`. Source: virterror.h. */
const Origin = {
  /** What failed has said nothing. */
  none: 0,
  /** The way to a daemon: sockets, ssh, TLS. */
  transport: 7,
  /** The client's side of a daemon. */
  client: 13,
  /** Passwords that somebody is to be asked for. */
  password: 46,
  libssh2: 50,
  /** The rules of `access_drivers`. */
  accessRules: 55,
  polkit: 60,
  libssh: 66,
} as const;

/** The transports for which libvirt starts a program, and those for which it speaks the protocol of ssh itself. */
const PROGRAMS: ReadonlySet<string> = new Set(["ssh", "ext"]);
const OWN_SSH: ReadonlySet<string> = new Set(["libssh", "libssh2"]);

const GIVE_KEY = "give the exporter's user a key that the host accepts";

/** How libvirt begins and ends what a program has printed. */
const BEFORE_PRINTED = /^(?:Cannot recv data|End of file while reading data): /;
const AFTER_PRINTED = /: (?:Connection reset by peer|Input\/output error|Broken pipe)$/;

/** libvirt has no field for the system's reason, and writes it in English whatever the locale. */
const SOCKET_FAILURE =
  /^Failed to connect socket to '(?<path>[^']+)': (?<reason>No such file or directory|Connection refused|Permission denied)$/;

/** What is needed of a failure to explain it. */
export type ExplainedFailure = Pick<CallFailure, "call" | "code" | "origin" | "message">;

/**
 * Why a libvirt call failed, in one line, with what to do about it when that is known for sure. What to do depends on the part
 * of libvirt that raised the error, its code, and what was being done: words such as "permission denied" have as many causes
 * as there are things that need a permission.
 *
 * @param uri how the hypervisor is reached
 *
 * @example "Failed to connect socket to '/run/libvirt/libvirt-sock-ro': Permission denied: add the exporter's user to
 * the group \"libvirt\""
 */
export function explainFailure(failure: ExplainedFailure, uri: string): string {
  const connection = readConnectionUri(uri);
  const reason = reasonOf(failure, connection);
  const remedy = findRemedy(failure, reason, connection);
  return remedy === undefined ? reason : `${reason}: ${remedy}`;
}

function isOfTransport({ code, origin }: ExplainedFailure): boolean {
  return origin === Origin.transport && code === Code.systemError;
}

/** One line of what libvirt says: its first one, or the last one of what it repeats of a program. */
function reasonOf(failure: ExplainedFailure, { transport }: ConnectionUri): string {
  const { message } = failure;
  const [first = ""] = message.split(/[\r\n]/, 1);
  const isPrinted = PROGRAMS.has(transport) && isOfTransport(failure);
  if (!isPrinted || !BEFORE_PRINTED.test(message)) return first;
  const printed = message.replace(BEFORE_PRINTED, "").replace(AFTER_PRINTED, "");
  return printed.split(/[\r\n]+/).findLast((line) => line.trim() !== "")?.trim() ?? first;
}

function findRemedy(
  failure: ExplainedFailure,
  reason: string,
  connection: ConnectionUri,
): string | undefined {
  const { code, origin, call } = failure;
  const isOpening = call === OPENING_CALL;
  if (origin === Origin.accessRules && code === Code.accessDenied) {
    return "let the rules of libvirt's \"access_drivers\" allow it to the exporter's user";
  }
  if (isOpening && connection.transport === "unix" && origin === Origin.polkit) {
    return code === Code.authenticationFailed || code === Code.authenticationUnavailable
      ? 'let a rule of polkit allow "org.libvirt.unix.monitor" to the exporter\'s user'
      : undefined;
  }
  if (!isOfTransport(failure)) return isOpening ? loginRemedy(failure, connection) : undefined;
  if (PROGRAMS.has(connection.transport)) {
    return isOpening ? programRemedy(reason, connection) : undefined;
  }
  if (connection.transport !== "unix") return undefined;
  if (isOpening && connection.driver === "qemu" && connection.path === "/session") {
    return 'use "qemu:///system", which has Nova\'s instances';
  }
  return socketRemedy(call, reason, connection);
}

/** What to do about a login that a daemon (SASL) or one of libvirt's own clients for ssh asks for. */
function loginRemedy(
  { code, origin, message }: ExplainedFailure,
  { transport }: ConnectionUri,
): string | undefined {
  if (OWN_SSH.has(transport)) {
    const remedy = ownSshRemedy(code, origin, message);
    if (remedy !== undefined) return remedy;
  }
  // All that libvirt has to say of a file of credentials that it cannot open.
  if (origin === Origin.none && code === Code.internalError && transport !== "none") {
    return "if authfile= in the URI or LIBVIRT_AUTH_FILE names a file, let the exporter's user read it";
  }
  if (code !== Code.authenticationFailed) return undefined;
  if (origin === Origin.client && message.endsWith(": Failed to collect auth credentials")) {
    return "enter authname and password for the daemon's host into libvirt's auth.conf, " +
      "where the exporter's user can read it";
  }
  if (origin !== Origin.transport) return undefined;
  // The number is SASL's own, of no common mechanism.
  if (/: Failed to start SASL negotiation: -4 /.test(message)) {
    return "install the SASL mechanism that the daemon offers, such as Debian's package libsasl2-modules";
  }
  return message === "authentication failed: authentication failed"
    ? "correct authname and password of the daemon's host in libvirt's auth.conf"
    : undefined;
}

/** What to do about a login by libssh or libssh2. Each has one code for most of what can go wrong. */
function ownSshRemedy(code: number, origin: number, message: string): string | undefined {
  // The key was refused, and a password is what is left to try.
  if (origin === Origin.password && code === Code.authenticationFailed) return GIVE_KEY;
  if (origin !== Origin.libssh && origin !== Origin.libssh2) return undefined;
  if (/\bhost key verification\b/i.test(message)) {
    return "enter the host's present key into the file of known_hosts= in the URI";
  }
  return code === Code.authenticationFailed || message.includes(": failed to authenticate: ")
    ? GIVE_KEY
    : undefined;
}

/** What to do about what a program prints last: OpenSSH, a shell at the other end, or libvirt before it starts the program. */
function programRemedy(reason: string, { transport, socket }: ConnectionUri): string | undefined {
  if (/^libvirt: .*: cannot apply process capabilities /.test(reason)) {
    return "let the service start programs with the drop-in for ssh";
  }
  if (transport !== "ssh") return undefined;
  // With the ways to prove who one is that it has tried; without them it is a file that cannot be read.
  if (
    /: Permission denied \([^)]*\)\.$/.test(reason) ||
    reason === "Permission denied, please try again."
  ) return GIVE_KEY;
  if (reason === "Host key verification failed.") {
    return "enter the host's present key into /etc/ssh/ssh_known_hosts";
  }
  if (/(?:^|: )nc: (?:command )?not found$/.test(reason)) {
    return socket === undefined
      ? "install nc on the host"
      : "install nc on the host, or leave socket= out of the URI";
  }
  return undefined;
}

function socketRemedy(
  call: string,
  message: string,
  { driver, socket }: ConnectionUri,
): string | undefined {
  const { path = "", reason } = SOCKET_FAILURE.exec(message)?.groups ?? {};
  if (reason === undefined) return undefined;
  const daemon = /\/(?<daemon>virt[a-z]+d)-sock(?:-ro)?$/.exec(path)?.groups?.["daemon"];
  if (call !== OPENING_CALL || (socket !== undefined && socket !== path)) {
    // A daemon on the way says so of another daemon, whose socket the exporter does not use.
    return daemon === undefined || reason === "Permission denied" ? undefined : `start ${daemon}`;
  }
  if (reason === "Permission denied") {
    const group = helpfulGroup(path);
    return group === undefined ? undefined : `add the exporter's user to the group ${group}`;
  }
  if (socket !== undefined) {
    return reason === "Connection refused"
      ? "start the daemon that listens there"
      : 'correct the path after "socket=" in the URI, or start the daemon that listens there';
  }
  const start = `start ${daemon ?? (driver === "qemu" ? "libvirtd or virtqemud" : "libvirtd")}`;
  // A daemon that is restarted makes another socket, and a container that has the file mounted keeps the one that was.
  if (reason === "Connection refused") {
    return `${start}, or restart the container if it has an old socket mounted`;
  }
  return daemon === undefined ? `${start}, or mount its socket into the container` : start;
}

/** Not all runtimes tell the further groups of a process. */
function isOwnGroup(gid: number): boolean {
  const status = readFileSync("/proc/self/status", "utf8");
  return new RegExp(`^(?:Gid|Groups):.*\\b${gid}\\b`, "m").test(status);
}

/** The permission to write, which a client of a socket needs: of the group, and of everybody. */
const GROUP_WRITES = 0o020;
const ALL_WRITE = 0o002;

/**
 * The group whose members may use a socket that not everybody may use, quoted, or its number when it has no name here, as in a
 * container; `undefined` when it cannot be told, or would change nothing.
 */
function helpfulGroup(path: string): string | undefined {
  try {
    const { gid, mode } = statSync(path);
    if (gid === 0 || (mode & GROUP_WRITES) === 0 || (mode & ALL_WRITE) !== 0) return undefined;
    // Something else keeps the exporter out that has the group already, such as a mandatory access control.
    if (isOwnGroup(gid)) return undefined;
    const line = new RegExp(`^([^:\\n]+):[^:\\n]*:${gid}:`, "m").exec(
      readFileSync("/etc/group", "utf8"),
    );
    return line?.[1] === undefined ? String(gid) : `"${line[1]}"`;
  } catch {
    return undefined;
  }
}
