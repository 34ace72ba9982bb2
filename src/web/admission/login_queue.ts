/** How many logins may wait in a {@linkcode LoginQueue}. */
export interface LoginQueueLimits {
  /** Logins of all clients together. */
  readonly total: number;
  /** Logins of one client. */
  readonly perClient: number;
}

/** A login that waits. */
export interface QueuedLogin {
  /** The client that it came from; clients take turns. */
  readonly client: string;
  /** Whether this one goes before the client's others, and stays when one of them has to go. */
  readonly preferred: boolean;
}

/**
 * Keeps logins that wait to be compared. Clients take turns, so that one with many logins waits as long for each as one with a
 * single login. When the queue is full one of those is dropped that belong to the client with the most, at random. If the last
 * one were dropped, a client that never stops would keep all others out.
 */
export class LoginQueue<Login extends QueuedLogin> {
  readonly #limits: LoginQueueLimits;
  readonly #random: () => number;
  /** By client, in the order of their turns. */
  readonly #logins = new Map<string, Login[]>();
  #size = 0;

  /** @param random a number from 0 to below 1 */
  constructor(limits: LoginQueueLimits, random: () => number = Math.random) {
    this.#limits = limits;
    this.#random = random;
  }

  /** How many logins wait. */
  get size(): number {
    return this.#size;
  }

  /** Adds a login; returns the one that is dropped for it, which may be the same. */
  add(login: Login): Login | undefined {
    const own = this.#logins.get(login.client) ?? [];
    own.push(login);
    this.#logins.set(login.client, own);
    this.#size += 1;
    if (own.length > this.#limits.perClient) return this.#drop(own);
    if (this.#size <= this.#limits.total) return undefined;
    const byClient = [...this.#logins.values()];
    const most = Math.max(...byClient.map((logins) => logins.length));
    return this.#drop(byClient.filter((logins) => logins.length === most).flat());
  }

  /** Takes out the login whose turn it is; `undefined` when none waits. */
  next(): Login | undefined {
    const [first] = this.#logins;
    if (first === undefined) return undefined;
    const [client, logins] = first;
    const login = logins.find(({ preferred }) => preferred) ?? logins[0];
    if (login === undefined) return undefined;
    this.remove(login);
    // The client's next turn comes after everybody else's.
    if (this.#logins.delete(client)) this.#logins.set(client, logins);
    return login;
  }

  /** Takes a login out; says whether it was there. */
  remove(login: Login): boolean {
    const own = this.#logins.get(login.client);
    const position = own?.indexOf(login) ?? -1;
    if (own === undefined || position === -1) return false;
    own.splice(position, 1);
    this.#size -= 1;
    if (own.length === 0) this.#logins.delete(login.client);
    return true;
  }

  #drop(candidates: readonly Login[]): Login | undefined {
    const ordinary = candidates.filter(({ preferred }) => !preferred);
    const pool = ordinary.length > 0 ? ordinary : candidates;
    const login = pool[Math.floor(this.#random() * pool.length)];
    if (login !== undefined) this.remove(login);
    return login;
  }
}
