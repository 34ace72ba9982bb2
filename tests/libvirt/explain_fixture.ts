import { explainFailure } from "../../src/libvirt/explain.ts";
import { OPENING_CALL } from "../../src/libvirt/hypervisor.ts";

/** The URI of this machine's daemon. */
export const SYSTEM = "qemu:///system";

/** A URI that names a socket which is not there. */
export const MISTYPED = "qemu+unix:///system?socket=/nonexistent/libvirt-sock-ro";

/** A URI whose daemon the program `ssh` reaches. */
export const SSH = "qemu+ssh://nova@compute2/system";

/** A URI whose daemon a program reaches that the operator names. */
export const EXTERNAL = "qemu+ext:///system?command=/usr/bin/reach";

/** A URI whose daemon the library libssh reaches. */
export const LIBSSH = "qemu+libssh://nova@compute2/system?sshauth=privkey";

/** A URI whose daemon the library libssh2 reaches. */
export const LIBSSH2 = "qemu+libssh2://nova@compute2/system?sshauth=privkey";

/** A URI whose daemon is reached over TCP. */
export const TCP = "qemu+tcp://compute2/system";

/** How libvirt's message begins when it cannot connect to the usual socket. */
export const DEFAULT_SOCKET = "Failed to connect socket to '/var/run/libvirt/libvirt-sock-ro'";

/** The call that opens a connection. */
export const OPEN = OPENING_CALL;

/** The remedy for a host that refuses the exporter's key. */
export const GIVE_KEY = "give the exporter's user a key that the host accepts";

/** The line that is made of a failure of the way to a daemon. */
export function explainTransport(call: string, message: string, uri: string): string {
  return explainFailure({ call, code: 38, origin: 7, message }, uri);
}

/** What the system says of something that one may not do. */
export const DENIED = "Permission denied";
