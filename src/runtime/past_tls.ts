/**
 * Bun 1.4 sends nothing any more on a socket whose TLS handshake has failed, nor on the socket below it. The system's socket is
 * open until that event is over.
 */
import { writeSync } from "node:fs";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";

/** The socket that carries an encrypted one. Node, Deno and Bun keep it under this name, which Node does not document. */
export function bareSocket(socket: TLSSocket): Socket | undefined {
  return "_parent" in socket ? socket._parent as Socket : undefined;
}

/** Writes a short text to a client past TLS. Nothing was sent on the system's socket before, so it has room. */
export function writePastTls(socket: TLSSocket, text: string): void {
  const bare = bareSocket(socket);
  const handle = bare !== undefined && "_handle" in bare ? bare._handle : undefined;
  if (typeof handle !== "object" || handle === null || !("fd" in handle)) return;
  if (typeof handle.fd !== "number" || handle.fd < 0) return;
  try {
    writeSync(handle.fd, text);
  } catch {
    // The client has gone.
  }
}
