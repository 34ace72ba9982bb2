import type { Socket } from "node:net";

/** One client's connection. */
export interface Connection {
  readonly socket: Socket;
  /** Aborts when the connection has closed or was given up. */
  readonly signal: AbortSignal;
  /** Whether one of its requests is being answered. */
  readonly busy: boolean;
  /** Requests taken from it and not answered in full yet. */
  readonly pending: number;
}

/** All open connections of a server, over all of its listen addresses. */
export interface ConnectionTable {
  /** Takes a new connection in; may close another one, or this one, to stay within the maximum. */
  add(socket: Socket): void;
  /**
   * Puts the encrypted socket of a connection in the place of the bare one that carries it; closes it when the connection
   * is no longer there.
   */
  secure(bare: Socket, encrypted: Socket): void;
  /** The connections that are not busy. */
  idle(): Iterable<Connection>;
  /** Finds a connection by its socket; `undefined` once it has closed. */
  find(socket: Socket): Connection | undefined;
  /** Runs a task, which must not throw, after the connection's earlier ones have ended. */
  enqueue(connection: Connection, task: () => Promise<void>): void;
  /** Makes a connection busy, if need be in place of a stalled one; `false` when too many are already. */
  begin(connection: Connection): boolean;
  /** Says whether a busy connection waits for its client to take more of the answer. */
  setStalled(connection: Connection, stalled: boolean): void;
  /** Makes a connection idle again. */
  end(connection: Connection): void;
  /** Closes a connection after a last message; its tasks find their signal aborted. */
  abandon(connection: Connection, lastMessage: string): void;
  /** Closes the idle connections at once, and each busy one, and each new one, when it becomes idle. */
  drain(): void;
  /** Closes the idle connections at once, and each busy one when it becomes idle; new ones are welcome. */
  retire(): void;
  /** Whether {@linkcode ConnectionTable.drain} was called. */
  readonly draining: boolean;
  /** Closes every connection at once. */
  destroyAll(): void;
  /** Resolves as soon as no connection is open. */
  whenEmpty(): Promise<void>;
}

/** What a {@linkcode ConnectionTable} needs. */
export interface ConnectionTableOptions {
  /** Open connections; has to be more than may be busy, or else busy ones keep new clients out. */
  readonly maximumConnections: number;
  /** Connections that may be busy at the same time. */
  readonly maximumBusy: number;
  /** Told whenever there were too many. */
  readonly onOverflow: (overflow: Overflow) => void;
}

/**
 * What had to go because there were too many: the connection idle for longest, the one stalled for longest, a
 * new connection, or a request.
 */
export type Overflow = "idle" | "stalled" | "new" | "request";

interface Entry extends Connection {
  busy: boolean;
  pending: number;
  /** Whether it closes when it becomes idle. */
  retired: boolean;
  tail: Promise<void>;
  readonly controller: AbortController;
}

/**
 * Keeps count of connections so that neither idle ones nor clients that read slowly, however many, keep a new
 * client out: over the maximum the connection that has been so for longest is closed. One that is slow to send
 * its request counts as idle.
 */
export function createConnectionTable(options: ConnectionTableOptions): ConnectionTable {
  const entries = new Map<Socket, Entry>();
  // A Set iterates in the order of insertion: its first member has been in it for longest.
  const idle = new Set<Entry>();
  const stalled = new Set<Entry>();
  const waiters: (() => void)[] = [];
  let draining = false;

  function remove(entry: Entry): void {
    entries.delete(entry.socket);
    idle.delete(entry);
    stalled.delete(entry);
    entry.controller.abort();
    if (entries.size === 0) waiters.splice(0).forEach((resolve) => resolve());
  }

  // The entry goes before the socket's "close" event does, so that the count is right at once.
  function destroy(entry: Entry): void {
    entry.socket.destroy();
    remove(entry);
  }

  function makeRoom(): boolean {
    if (entries.size < options.maximumConnections) return true;
    return destroyOldest(idle, "idle") || destroyOldest(stalled, "stalled");
  }

  function destroyOldest(candidates: ReadonlySet<Entry>, overflow: Overflow): boolean {
    const [oldest] = candidates;
    if (oldest === undefined) return false;
    options.onOverflow(overflow);
    destroy(oldest);
    return true;
  }

  function mayBeBusy(): boolean {
    return entries.size - idle.size < options.maximumBusy || destroyOldest(stalled, "stalled");
  }

  function enter(socket: Socket): void {
    // Without a listener a reset by the client would end the process.
    socket.on("error", () => {});
    const controller = new AbortController();
    const entry: Entry = {
      socket,
      busy: false,
      pending: 0,
      retired: false,
      tail: Promise.resolve(),
      controller,
      signal: controller.signal,
    };
    entries.set(socket, entry);
    idle.add(entry);
    socket.once("close", () => remove(entry));
  }

  return {
    add(socket): void {
      if (!draining && makeRoom()) {
        enter(socket);
        return;
      }
      if (!draining) options.onOverflow("new");
      socket.on("error", () => {});
      socket.destroy();
    },
    secure(bare, encrypted): void {
      const entry = entries.get(bare);
      enter(encrypted);
      if (entry === undefined) encrypted.destroy();
      else remove(entry);
    },
    idle: () => [...idle],
    find(socket): Connection | undefined {
      return entries.get(socket);
    },
    enqueue({ socket }, task): void {
      const entry = entries.get(socket);
      if (entry === undefined) return;
      entry.pending += 1;
      entry.tail = entry.tail.then(task).finally(() => {
        entry.pending -= 1;
      });
    },
    begin({ socket }): boolean {
      const entry = entries.get(socket);
      if (entry === undefined) return false;
      if (!mayBeBusy()) {
        options.onOverflow("request");
        return false;
      }
      entry.busy = true;
      idle.delete(entry);
      return true;
    },
    setStalled({ socket }, isStalled): void {
      const entry = entries.get(socket);
      if (entry?.busy && isStalled) stalled.add(entry);
      else if (entry !== undefined) stalled.delete(entry);
    },
    end({ socket }): void {
      const entry = entries.get(socket);
      if (entry === undefined) return;
      entry.busy = false;
      stalled.delete(entry);
      if (draining || entry.retired) socket.destroySoon();
      else idle.add(entry);
    },
    abandon({ socket }, lastMessage): void {
      const entry = entries.get(socket);
      entry?.controller.abort();
      socket.end(lastMessage, () => socket.destroy());
    },
    drain(): void {
      draining = true;
      for (const entry of [...idle]) destroy(entry);
    },
    retire(): void {
      for (const entry of entries.values()) entry.retired = true;
      for (const entry of [...idle]) destroy(entry);
    },
    get draining(): boolean {
      return draining;
    },
    destroyAll(): void {
      for (const entry of [...entries.values()]) destroy(entry);
    },
    whenEmpty(): Promise<void> {
      return entries.size === 0
        ? Promise.resolve()
        : new Promise((resolve) => waiters.push(() => resolve()));
    },
  };
}
