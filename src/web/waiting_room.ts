/** How many may wait in a {@linkcode WaitingRoom}. */
export interface WaitingRoomLimits {
  /** In all. */
  readonly total: number;
  /** Of one client. */
  readonly perClient: number;
}

/** Somebody who waits. */
export interface Visitor {
  /** Whose; clients take turns. */
  readonly client: string;
  /** Whether this one goes before the client's others, and stays when one of them has to go. */
  readonly preferred: boolean;
}

/**
 * Keeps those who wait for something scarce. Clients take turns, so that one with many visitors waits as long for each as
 * one with a single visitor. When the room is full one of those leaves who belong to the client with the most, by lot,
 * because who comes last would leave otherwise, and a client that never stops coming would keep all others out.
 */
export class WaitingRoom<Guest extends Visitor> {
  readonly #limits: WaitingRoomLimits;
  readonly #random: () => number;
  /** In the order of their turns. */
  readonly #guests = new Map<string, Guest[]>();
  #size = 0;

  /** @param random a number from 0 to below 1 */
  constructor(limits: WaitingRoomLimits, random: () => number = Math.random) {
    this.#limits = limits;
    this.#random = random;
  }

  /** How many wait. */
  get size(): number {
    return this.#size;
  }

  /** Lets a guest in; returns the one who has to leave for it, who may be the same. */
  enter(guest: Guest): Guest | undefined {
    const own = this.#guests.get(guest.client) ?? [];
    own.push(guest);
    this.#guests.set(guest.client, own);
    this.#size += 1;
    if (own.length > this.#limits.perClient) return this.#evict(own);
    if (this.#size <= this.#limits.total) return undefined;
    const crowds = [...this.#guests.values()];
    const most = Math.max(...crowds.map((crowd) => crowd.length));
    return this.#evict(crowds.filter((crowd) => crowd.length === most).flat());
  }

  /** Takes out whose turn it is; `undefined` when nobody waits. */
  next(): Guest | undefined {
    const [first] = this.#guests;
    if (first === undefined) return undefined;
    const [client, guests] = first;
    const guest = guests.find(({ preferred }) => preferred) ?? guests[0];
    if (guest === undefined) return undefined;
    this.leave(guest);
    // The client's next turn comes after everybody else's.
    if (this.#guests.delete(client)) this.#guests.set(client, guests);
    return guest;
  }

  /** Takes a guest out; nothing happens when it is not there. */
  leave(guest: Guest): void {
    const own = this.#guests.get(guest.client);
    const position = own?.indexOf(guest) ?? -1;
    if (own === undefined || position === -1) return;
    own.splice(position, 1);
    this.#size -= 1;
    if (own.length === 0) this.#guests.delete(guest.client);
  }

  #evict(candidates: readonly Guest[]): Guest | undefined {
    const ordinary = candidates.filter(({ preferred }) => !preferred);
    const pool = ordinary.length > 0 ? ordinary : candidates;
    const guest = pool[Math.floor(this.#random() * pool.length)];
    if (guest !== undefined) this.leave(guest);
    return guest;
  }
}
