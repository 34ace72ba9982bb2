import { readlinkSync } from "node:fs";
import process from "node:process";
import { type InheritedListenAddress, WebServerError } from "../web/listen_address.ts";

/** The first file descriptor that systemd hands over. Source: sd_listen_fds(3), SD_LISTEN_FDS_START. */
const FIRST_FILE_DESCRIPTOR = 3;

/** More sockets than any unit has. */
const MAXIMUM_SOCKETS = 64;

/** What the process learns from the system. */
export interface ProcessFacts {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly processId: number;
  /** What a file descriptor leads to, such as `socket:[123]`; throws when it is not open. */
  readonly target: (fileDescriptor: number) => string;
}

const THIS_PROCESS: ProcessFacts = {
  environment: process.env,
  processId: process.pid,
  target: (fileDescriptor) => readlinkSync(`/proc/self/fd/${fileDescriptor}`),
};

/**
 * The sockets that systemd has passed to this process, as sd_listen_fds(3) describes.
 *
 * @throws {WebServerError} when there is none, or when one of them is no socket
 */
export function systemdSockets(
  { environment, processId, target }: ProcessFacts = THIS_PROCESS,
): readonly InheritedListenAddress[] {
  const { LISTEN_PID, LISTEN_FDS } = environment;
  const count = /^[1-9]\d?$/.test(LISTEN_FDS ?? "") ? Number(LISTEN_FDS) : 0;
  if (count === 0 || count > MAXIMUM_SOCKETS || LISTEN_PID !== String(processId)) {
    throw new WebServerError(
      "Cannot use --web.systemd-socket: systemd has passed no socket, start the exporter through its .socket unit",
    );
  }
  return Array.from({ length: count }, (_, index) => {
    const fileDescriptor = FIRST_FILE_DESCRIPTOR + index;
    if (!isSocket(target, fileDescriptor)) {
      throw new WebServerError(
        `Cannot use --web.systemd-socket: file descriptor ${fileDescriptor} is no socket, have ListenStream= only in the .socket unit`,
      );
    }
    return { fileDescriptor };
  });
}

function isSocket(target: ProcessFacts["target"], fileDescriptor: number): boolean {
  try {
    return target(fileDescriptor).startsWith("socket:");
  } catch {
    return false;
  }
}
