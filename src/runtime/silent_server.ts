/**
 * Deno 2.9 closes each connection after its first answer when its HTTP server does not listen, and heeds the server's timeouts
 * only when it has begun to.
 */
import type { Server } from "node:http";

/** Lets an HTTP server that gets its connections from elsewhere keep them open. */
export function actAsListening(server: Server): void {
  Object.defineProperty(server, "listening", { value: true });
  server.emit("listening");
}
