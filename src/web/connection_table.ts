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
 * All open connections of a server, over all of its listen addresses. It keeps count of them so that neither idle ones nor
 * clients that read slowly, however many, keep a new client out: over the maximum the connection that has been so for longest is
 * closed. One that is slow to send its request counts as idle.
 */
export class ConnectionTable {
  readonly #options: ConnectionTableOptions;
  readonly #entries = new Map<Socket, Entry>();
  // A Set iterates in the order of insertion: its first member has been in it for longest.
  readonly #idle = new Set<Entry>();
  readonly #stalled = new Set<Entry>();
  readonly #waiters: (() => void)[] = [];
  #isDraining = false;

  constructor(options: ConnectionTableOptions) {
    this.#options = options;
  }

  /** Takes a new connection in; may close another one, or this one, to stay within the maximum. */
  add(socket: Socket): void {
    if (!this.#isDraining && this.#makeRoom()) {
      this.#enter(socket);
      return;
    }
    if (!this.#isDraining) this.#options.onOverflow("new");
    socket.on("error", () => {});
    socket.destroy();
  }

  /**
   * Puts the encrypted socket of a connection in the place of the bare one that carries it; closes it when the connection
   * is no longer there.
   */
  secure(bare: Socket, encrypted: Socket): void {
    const entry = this.#entries.get(bare);
    this.#enter(encrypted);
    if (entry === undefined) encrypted.destroy();
    else this.#remove(entry);
  }

  /** The connections that are not busy. */
  idle(): Iterable<Connection> {
    return [...this.#idle];
  }

  /** Finds a connection by its socket; `undefined` once it has closed. */
  find(socket: Socket): Connection | undefined {
    return this.#entries.get(socket);
  }

  /** Runs a task, which must not throw, after the connection's earlier ones have ended. */
  enqueue({ socket }: Connection, task: () => Promise<void>): void {
    const entry = this.#entries.get(socket);
    if (entry === undefined) return;
    entry.pending += 1;
    entry.tail = entry.tail.then(task).finally(() => {
      entry.pending -= 1;
    });
  }

  /** Makes a connection busy, if need be in place of a stalled one; `false` when too many are already. */
  begin({ socket }: Connection): boolean {
    const entry = this.#entries.get(socket);
    if (entry === undefined) return false;
    if (!this.#mayBeBusy()) {
      this.#options.onOverflow("request");
      return false;
    }
    entry.busy = true;
    this.#idle.delete(entry);
    return true;
  }

  /** Says whether a busy connection waits for its client to take more of the answer. */
  setStalled({ socket }: Connection, isStalled: boolean): void {
    const entry = this.#entries.get(socket);
    if (entry?.busy && isStalled) this.#stalled.add(entry);
    else if (entry !== undefined) this.#stalled.delete(entry);
  }

  /** Makes a connection idle again. */
  end({ socket }: Connection): void {
    const entry = this.#entries.get(socket);
    if (entry === undefined) return;
    entry.busy = false;
    this.#stalled.delete(entry);
    if (this.#isDraining || entry.retired) socket.destroySoon();
    else this.#idle.add(entry);
  }

  /** Closes a connection after a last message; its tasks find their signal aborted. */
  abandon({ socket }: Connection, lastMessage: string): void {
    this.#entries.get(socket)?.controller.abort();
    socket.end(lastMessage, () => socket.destroy());
  }

  /** Closes the idle connections at once, and each busy one, and each new one, when it becomes idle. */
  drain(): void {
    this.#isDraining = true;
    this.#destroyIdle();
  }

  /** Closes the idle connections at once, and each busy one when it becomes idle; new ones are welcome. */
  retire(): void {
    for (const entry of this.#entries.values()) entry.retired = true;
    this.#destroyIdle();
  }

  /** Whether {@linkcode ConnectionTable.drain} was called. */
  get draining(): boolean {
    return this.#isDraining;
  }

  /** Closes every connection at once. */
  destroyAll(): void {
    for (const entry of [...this.#entries.values()]) this.#destroy(entry);
  }

  /** Resolves as soon as no connection is open. */
  whenEmpty(): Promise<void> {
    return this.#entries.size === 0
      ? Promise.resolve()
      : new Promise((resolve) => this.#waiters.push(() => resolve()));
  }

  #enter(socket: Socket): void {
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
    this.#entries.set(socket, entry);
    this.#idle.add(entry);
    socket.once("close", () => this.#remove(entry));
  }

  #remove(entry: Entry): void {
    this.#entries.delete(entry.socket);
    this.#idle.delete(entry);
    this.#stalled.delete(entry);
    entry.controller.abort();
    if (this.#entries.size === 0) this.#waiters.splice(0).forEach((resolve) => resolve());
  }

  // The entry goes before the socket's "close" event does, so that the count is right at once.
  #destroy(entry: Entry): void {
    entry.socket.destroy();
    this.#remove(entry);
  }

  #destroyIdle(): void {
    for (const entry of [...this.#idle]) this.#destroy(entry);
  }

  #makeRoom(): boolean {
    if (this.#entries.size < this.#options.maximumConnections) return true;
    return this.#destroyOldest(this.#idle, "idle") ||
      this.#destroyOldest(this.#stalled, "stalled");
  }

  #mayBeBusy(): boolean {
    return this.#entries.size - this.#idle.size < this.#options.maximumBusy ||
      this.#destroyOldest(this.#stalled, "stalled");
  }

  #destroyOldest(candidates: ReadonlySet<Entry>, overflow: Overflow): boolean {
    const [oldest] = candidates;
    if (oldest === undefined) return false;
    this.#options.onOverflow(overflow);
    this.#destroy(oldest);
    return true;
  }
}
