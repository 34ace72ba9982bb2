import { lstatSync } from "node:fs";
import { posix } from "node:path";
import { socketIn } from "./connection_uri.ts";

/** Where to look for the files of libvirt's QEMU driver. */
export interface DomainStartOptions {
  /** The connection URI by which the domain was found. */
  readonly uri: string;
}

/** Where the privileged daemons have their sockets and, in a directory for each driver, their state. */
const RUNTIME_DIRECTORY = "/run/libvirt";
/** Only this driver writes such files, and only on this machine can they be read. */
const LOCAL_SYSTEM_URI = /^qemu(?:\+unix)?:\/\/\/system(?:\?(?<query>[^#]*))?$/;
/** A name with one of these is not what its file would be called. */
const NO_FILE_NAME = /^$|[/\0]/;

/**
 * Tells when the present run of a domain started on this host, which no call of libvirt's says.
 *
 * When libvirt starts QEMU, the process that becomes QEMU writes its process id to `<name>.pid` in the state directory
 * of libvirt's QEMU driver. This is the time of that file's last modification. As seen with libvirt 9.0.0 and QEMU
 * 7.2 on Debian 12 (`tests/real/domain_start_test.ts`):
 *
 * - It is the start of QEMU's process as `/proc/<pid>/stat` has it, within its resolution of 10 ms. A domain that
 *   was started paused has it too.
 * - Suspending, resuming, a reset or reboot, changes of metadata, and a restart or crash of libvirtd leave it. So a
 *   guest that rebooted by itself may have been up for less long.
 * - The file goes when QEMU ends, whatever ends it. Starting after a managed save and restoring from a saved
 *   file write a new one, since a new QEMU is started.
 * - Every user may see it: libvirtd makes the directory with mode 0755 and the file with 0644, and to see
 *   its time takes no right to the file itself. The systemd unit in `contrib/systemd` makes only sockets beside
 *   it inaccessible.
 *
 * A migration, which was not tried, starts a new QEMU on its destination when it begins.
 *
 * It is a time of the wall clock as it was then: a clock that was set later does not change it.
 *
 * @param name the domain's name
 * @returns Unix time in seconds, to the millisecond; `undefined` when the connection is none to the system's QEMU
 * driver on this machine, and when there is no such file, as in a container that has not been given the
 * directory, or it cannot be seen or is no regular file.
 */
export function domainStartSeconds(
  name: string,
  options: DomainStartOptions,
): number | undefined {
  const path = domainProcessFile(name, options);
  if (path === undefined) return undefined;
  try {
    const status = lstatSync(path);
    return status.isFile() ? Math.round(status.mtimeMs) / 1000 : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The file in which libvirt keeps the process id of a domain's QEMU. Where the URI names a socket, the directory that
 * has the socket is taken for libvirt's runtime directory, as when a container sees it under another path.
 *
 * @param name the domain's name
 * @returns an absolute path; `undefined` when no such file can be on this machine
 */
export function domainProcessFile(
  name: string,
  { uri }: DomainStartOptions,
): string | undefined {
  const match = LOCAL_SYSTEM_URI.exec(uri);
  if (match === null || NO_FILE_NAME.test(name)) return undefined;
  const socket = socketIn(match.groups?.["query"] ?? "");
  if (socket === undefined) return `${RUNTIME_DIRECTORY}/qemu/${name}.pid`;
  return socket.startsWith("/") ? `${posix.dirname(socket)}/qemu/${name}.pid` : undefined;
}
