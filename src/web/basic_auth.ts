import { Buffer } from "node:buffer";
import { createHmac, randomBytes } from "node:crypto";
import { isIPv6 } from "node:net";
import type { PasswordVerifier } from "./password_hash.ts";
import { type Visitor, WaitingRoom, type WaitingRoomLimits } from "./waiting_room.ts";

/** What a client says to be let in. */
export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** Whether the credentials are right, or that too many others have to be looked at first. */
export type LoginOutcome = "right" | "wrong" | "busy";

/** A request to be let in. */
export interface Login {
  readonly credentials: Credentials;
  /** bcrypt hashes by user. */
  readonly users: ReadonlyMap<string, string>;
  /** What tells clients apart, see {@linkcode clientKey}. */
  readonly client: string;
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal;
}

/** What an {@linkcode Authenticator} needs. */
export interface AuthenticatorOptions {
  readonly verifyPassword: PasswordVerifier;
  readonly waitingRoom?: WaitingRoomLimits;
}

/** Comparisons at a time: a hypervisor's processors belong to its guests. */
const WAITING_ROOM: WaitingRoomLimits = { total: 64, perClient: 8 };

/** Outcomes that are remembered. Right ones take a place for each user; wrong ones are for clients that try again. */
const REMEMBERED_RIGHT = 256;
const REMEMBERED_WRONG = 1_024;
const REMEMBERED_TURNED_AWAY = 4_096;

interface Guest extends Visitor {
  readonly digest: string;
  readonly password: Buffer;
  /** For an unknown user one that takes as long to compare. */
  readonly hash: string;
  readonly isKnown: boolean;
  readonly settle: (outcome: LoginOutcome) => void;
}

/**
 * Decides who is let in. bcrypt is slow on purpose, so
 *
 * - credentials that were right once are recognised by their digest, without it: who guesses, however fast, takes nothing
 *   from those who know;
 * - one comparison is made at a time, away from the JavaScript thread. Clients take turns, and one that has
 *   too many waiting is told to come again;
 * - credentials that were told so go first when they come again. A guess is made once, but who knows keeps trying.
 *
 * An unknown user costs as much time as a known one.
 */
export class Authenticator {
  readonly #verifyPassword: PasswordVerifier;
  readonly #room: WaitingRoom<Guest>;
  /** Digests are kept for the life of the process only, so nobody needs to know the key. */
  readonly #key = randomBytes(32);
  readonly #right = new RecentSet(REMEMBERED_RIGHT);
  readonly #wrong = new RecentSet(REMEMBERED_WRONG);
  readonly #turnedAway = new RecentSet(REMEMBERED_TURNED_AWAY);
  readonly #pending = new Map<string, Promise<LoginOutcome>>();
  #isComparing = false;

  constructor({ verifyPassword, waitingRoom = WAITING_ROOM }: AuthenticatorOptions) {
    this.#verifyPassword = verifyPassword;
    this.#room = new WaitingRoom(waitingRoom);
  }

  /** Never rejects; a comparison that fails counts as wrong. */
  async check({ credentials, users, client, signal }: Login): Promise<LoginOutcome> {
    const { user, password } = credentials;
    const knownHash = users.get(user);
    const hash = knownHash ?? hashOfNobody(users);
    const digest = this.#digest(user, hash, password);
    if (this.#right.has(digest)) return "right";
    if (this.#wrong.has(digest)) return "wrong";
    const pending = this.#pending.get(digest);
    if (pending !== undefined) return await pending;
    const outcome = new Promise<LoginOutcome>((resolve) => {
      const guest: Guest = {
        client,
        preferred: this.#turnedAway.has(digest),
        digest,
        password: Buffer.from(password, "utf8"),
        hash,
        isKnown: knownHash !== undefined,
        settle: resolve,
      };
      signal.addEventListener("abort", () => {
        this.#room.leave(guest);
        resolve("busy");
      }, { once: true });
      const leaving = this.#room.enter(guest);
      if (leaving !== undefined) {
        this.#turnedAway.add(leaving.digest);
        leaving.settle("busy");
      }
    });
    this.#pending.set(digest, outcome);
    this.#compareNext();
    try {
      return await outcome;
    } finally {
      this.#pending.delete(digest);
    }
  }

  #compareNext(): void {
    if (this.#isComparing) return;
    const guest = this.#room.next();
    if (guest === undefined) return;
    this.#isComparing = true;
    this.#compare(guest).then((outcome) => {
      this.#isComparing = false;
      guest.settle(outcome);
      this.#compareNext();
    });
  }

  async #compare({ digest, password, hash, isKnown }: Guest): Promise<LoginOutcome> {
    let isRight = false;
    try {
      isRight = await this.#verifyPassword(password, hash);
    } catch {
      // What cannot be compared lets nobody in.
    }
    isRight &&= isKnown;
    (isRight ? this.#right : this.#wrong).add(digest);
    this.#turnedAway.delete(digest);
    return isRight ? "right" : "wrong";
  }

  #digest(user: string, hash: string, password: string): string {
    // JSON keeps the parts apart whatever they hold.
    return createHmac("sha256", this.#key).update(JSON.stringify([user, hash, password]))
      .digest("base64");
  }
}

/** A set that forgets what was not used for longest when it is full. */
class RecentSet {
  readonly #maximum: number;
  readonly #values = new Set<string>();

  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  has(value: string): boolean {
    if (!this.#values.delete(value)) return false;
    this.#values.add(value);
    return true;
  }

  add(value: string): void {
    this.#values.add(value);
    const [oldest] = this.#values;
    if (this.#values.size > this.#maximum && oldest !== undefined) this.#values.delete(oldest);
  }

  delete(value: string): void {
    this.#values.delete(value);
  }
}

/** Zeros in bcrypt's own base64: a salt of 16 bytes and a hash of 23. */
const NO_ONES_SALT_AND_HASH = ".".repeat(22 + 31);

/** A hash that no password has, with the cost that the first user's has, so that comparing takes as long. */
function hashOfNobody(users: ReadonlyMap<string, string>): string {
  const [first = "$2b$10$"] = users.values();
  return `${first.slice(0, 7)}${NO_ONES_SALT_AND_HASH}`;
}

// What follows the scheme begins and ends with no space, so that no header, however long, can be taken apart in several ways.
const BASIC = /^basic +(?! )(?<encoded>[^ ]*)$/i;

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** Reads an `Authorization` header; `undefined` when it has not the form of RFC 7617. */
export function parseBasicAuth(header: string | undefined): Credentials | undefined {
  const encoded = BASIC.exec(header?.trimEnd() ?? "")?.groups?.encoded;
  if (encoded === undefined || !BASE64.test(encoded)) return undefined;
  const text = Buffer.from(encoded, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon === -1 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

const IPV4_IN_IPV6 = /^::ffff:(?<ipv4>\d+\.\d+\.\d+\.\d+)$/i;

/**
 * What counts as one client: an IPv4 address, the first 64 bits of an IPv6 address, as one machine usually has all
 * addresses that begin so, or all who come through a Unix socket.
 *
 * @param address `undefined` for a Unix socket
 */
export function clientKey(address: string | undefined): string {
  if (address === undefined) return "unix";
  const ipv4 = IPV4_IN_IPV6.exec(address)?.groups?.ipv4;
  if (ipv4 !== undefined) return ipv4;
  const [withoutZone = ""] = address.split("%");
  return isIPv6(withoutZone) ? firstHalf(withoutZone) : address;
}

function firstHalf(ipv6: string): string {
  const [before = "", after] = ipv6.split("::");
  const head = before === "" ? [] : before.split(":");
  if (after === undefined) return head.slice(0, 4).join(":");
  const tail = after === "" ? [] : after.split(":");
  const groups = [
    ...head,
    ...Array.from({ length: 8 - head.length - tail.length }, () => "0"),
    ...tail,
  ];
  return groups.slice(0, 4).join(":");
}
