import { explainFailure } from "../../src/libvirt/explain.ts";
import { OPENING_CALL } from "../../src/libvirt/hypervisor.ts";

export const SYSTEM = "qemu:///system";

export const MISTYPED = "qemu+unix:///system?socket=/nonexistent/libvirt-sock-ro";

export const SSH = "qemu+ssh://nova@compute2/system";

export const EXTERNAL = "qemu+ext:///system?command=/usr/bin/reach";

export const LIBSSH = "qemu+libssh://nova@compute2/system?sshauth=privkey";

export const LIBSSH2 = "qemu+libssh2://nova@compute2/system?sshauth=privkey";

export const TCP = "qemu+tcp://compute2/system";

export const DEFAULT_SOCKET = "Failed to connect socket to '/var/run/libvirt/libvirt-sock-ro'";

export const OPEN = OPENING_CALL;

export const GIVE_KEY = "give the exporter's user a key that the host accepts";

/** The line that is made of a failure of the way to a daemon. */
export function explainTransport(call: string, message: string, uri: string): string {
  return explainFailure({ call, code: 38, origin: 7, message }, uri);
}

export const DENIED = "Permission denied";
