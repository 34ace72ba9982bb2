/**
 * Bun 1.4 has timeouts only for connections that its HTTP server has accepted itself, which those of TLS, of Unix sockets and of
 * systemd are not. They are watched here, under all runtimes.
 */
import type { Socket } from "node:net";
import { clearInterval, setInterval } from "node:timers";

/** A connection that is watched. */
export interface WatchedConnection {
  readonly socket: Socket;
  /** Requests taken from it and not answered in full yet. */
  readonly pending: number;
}

/** Finds out clients that take too long to send a request's headers, and connections that nobody uses. */
export interface SlowClientWatch {
  /** Says that a connection has been opened, so that its first request is due. */
  opened(socket: Socket): void;
  /** Says that an answer has gone out, so that the connection is idle. */
  answered(socket: Socket): void;
  stop(): void;
}

/** What a {@linkcode SlowClientWatch} needs. */
export interface SlowClientWatchOptions<Connection extends WatchedConnection> {
  readonly connections: { idle(): Iterable<Connection> };
  readonly limits: {
    /** Within which a request's headers have to arrive. */
    readonly headersMilliseconds: number;
    /** For which a connection may stay open between two requests. */
    readonly idleMilliseconds: number;
  };
  /** Told of a connection whose request does not arrive in time. */
  readonly onLate: (connection: Connection) => void;
  /** Told of a connection that has not been used for long. */
  readonly onUnused: (connection: Connection) => void;
}

/** Longest milliseconds by which it finds a client out too late. */
const LOOK_MILLISECONDS = 1_000;

interface IdleTime {
  readonly since: number;
  /** Bytes that had come when it began. */
  readonly bytes: number;
  /** When the next request was seen to begin. */
  requestSince: number | undefined;
}

/** Watches the connections of a server. */
export function watchSlowClients<Connection extends WatchedConnection>(
  { connections, limits, onLate, onUnused }: SlowClientWatchOptions<Connection>,
): SlowClientWatch {
  const idleTimes = new WeakMap<Socket, IdleTime>();
  const timer = setInterval(() => {
    const now = performance.now();
    for (const connection of connections.idle()) {
      // A request that waits for its body or its turn has a bound of its own.
      const idleTime = connection.pending > 0 ? undefined : idleTimes.get(connection.socket);
      if (idleTime === undefined) continue;
      if (hasBegun(connection.socket, idleTime)) idleTime.requestSince ??= now;
      if (now - (idleTime.requestSince ?? now) >= limits.headersMilliseconds) onLate(connection);
      else if (now - idleTime.since >= limits.idleMilliseconds) onUnused(connection);
    }
  }, Math.min(LOOK_MILLISECONDS, limits.headersMilliseconds));
  return {
    opened(socket): void {
      const now = performance.now();
      idleTimes.set(socket, { since: now, bytes: socket.bytesRead, requestSince: now });
    },
    answered(socket): void {
      idleTimes.set(socket, {
        since: performance.now(),
        bytes: socket.bytesRead,
        requestSince: undefined,
      });
    },
    stop: () => clearInterval(timer),
  };
}

/** Says whether a part of the next request has come. */
function hasBegun(socket: Socket, { bytes }: IdleTime): boolean {
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
