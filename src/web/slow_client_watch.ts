import type { Socket } from "node:net";
import { clearInterval, setInterval } from "node:timers";
import type { Connection, ConnectionTable } from "./connection_table.ts";
import type { WebLimits } from "./request_limits.ts";

/** Finds out clients that take too long to send a request's headers, and connections that nobody uses. */
export interface SlowClientWatch {
  /** Says that a connection has been opened, so that its first request is due. */
  opened(socket: Socket): void;
  /** Says that an answer has gone out, so that the connection rests. */
  answered(socket: Socket): void;
  stop(): void;
}

/** What a {@linkcode SlowClientWatch} needs. */
export interface SlowClientWatchOptions {
  readonly connections: Pick<ConnectionTable, "idle">;
  readonly limits: Pick<WebLimits, "headersMilliseconds" | "idleMilliseconds">;
  /** Told of a connection whose request does not arrive in time. */
  readonly onLate: (connection: Connection) => void;
  /** Told of a connection that has not been used for long. */
  readonly onUnused: (connection: Connection) => void;
}

/** Longest milliseconds by which it finds a client out too late. */
const LOOK_MILLISECONDS = 1_000;

interface Rest {
  readonly since: number;
  /** Bytes that had come when the rest began. */
  readonly bytes: number;
  /** When the next request was seen to begin. */
  requestSince: number | undefined;
}

/**
 * Watches the connections of a server. The runtimes have such timeouts too, but Bun only for connections that its HTTP
 * server has accepted itself, which those of TLS, of Unix sockets and of systemd are not.
 */
export function watchSlowClients(
  { connections, limits, onLate, onUnused }: SlowClientWatchOptions,
): SlowClientWatch {
  const rests = new WeakMap<Socket, Rest>();
  const timer = setInterval(() => {
    const now = performance.now();
    for (const connection of connections.idle()) {
      // A request that waits for its body or its turn has a bound of its own.
      const rest = connection.pending > 0 ? undefined : rests.get(connection.socket);
      if (rest === undefined) continue;
      if (hasBegun(connection.socket, rest)) rest.requestSince ??= now;
      if (now - (rest.requestSince ?? now) >= limits.headersMilliseconds) onLate(connection);
      else if (now - rest.since >= limits.idleMilliseconds) onUnused(connection);
    }
  }, Math.min(LOOK_MILLISECONDS, limits.headersMilliseconds));
  return {
    opened(socket): void {
      const now = performance.now();
      rests.set(socket, { since: now, bytes: socket.bytesRead, requestSince: now });
    },
    answered(socket): void {
      rests.set(socket, {
        since: performance.now(),
        bytes: socket.bytesRead,
        requestSince: undefined,
      });
    },
    stop: () => clearInterval(timer),
  };
}

/** Says whether a part of the next request has come. */
function hasBegun(socket: Socket, { bytes }: Rest): boolean {
  return socket.bytesRead > bytes || isInMessage(socket);
}

/**
 * A part that came together with the end of the request before shows in the parser only, which Bun and Node keep with the
 * socket without documenting it. Deno does not, but has a timeout of its own.
 */
function isInMessage(socket: Socket): boolean {
  const parser = "parser" in socket ? socket.parser : undefined;
  if (typeof parser !== "object" || parser === null || !("duration" in parser)) return false;
  return typeof parser.duration === "function" && parser.duration() > 0;
}
