import { Buffer } from "node:buffer";
import { createHmac, randomBytes } from "node:crypto";
import { isIPv6 } from "node:net";
import { LoginQueue, type LoginQueueLimits, type QueuedLogin } from "./login_queue.ts";

/** Compares a password with a bcrypt hash; resolves whatever both hold. */
export type PasswordVerifier = (password: Uint8Array, hash: string) => Promise<boolean>;

/** What a client logs in with. */
export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** Whether the credentials are right, or that too many others have to be looked at first. */
export type LoginOutcome = "right" | "wrong" | "busy";

/** A login. */
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
  readonly queue?: LoginQueueLimits;
}

/** Logins that may wait: one is compared at a time, for a hypervisor's processors belong to its guests. */
const QUEUE_LIMITS: LoginQueueLimits = { total: 64, perClient: 8 };

/** Outcomes that are remembered. Right ones take a place for each user; wrong ones are for clients that try again. */
const REMEMBERED_RIGHT = 256;
const REMEMBERED_WRONG = 1_024;
const REMEMBERED_BUSY = 4_096;

interface PendingLogin extends QueuedLogin {
  readonly digest: string;
  readonly password: Buffer;
  /** For an unknown user one that takes as long to compare. */
  readonly hash: string;
  readonly isKnown: boolean;
  /** Takes the outcome, for each request with these credentials whose client is still there. */
  readonly waiting: Set<(outcome: LoginOutcome) => void>;
}

/**
 * Decides which logins are right. bcrypt is slow on purpose, so
 *
 * - credentials that were right once are recognised by their digest, without bcrypt: a client that guesses, however fast, does
 *   not delay one that has the right password;
 * - one comparison is made at a time, away from the JavaScript thread. Clients take turns, and one that has
 *   too many logins waiting is told to come again;
 * - credentials that had to come again go first then. A guess is made once, but a client with the right password tries again.
 *
 * An unknown user costs as much time as a known one.
 */
export class Authenticator {
  readonly #verifyPassword: PasswordVerifier;
  readonly #queue: LoginQueue<PendingLogin>;
  /** Digests are kept for the life of the process only, so nobody needs to know the key. */
  readonly #key = randomBytes(32);
  readonly #right = new RecentSet(REMEMBERED_RIGHT);
  readonly #wrong = new RecentSet(REMEMBERED_WRONG);
  readonly #busy = new RecentSet(REMEMBERED_BUSY);
  readonly #pending = new Map<string, PendingLogin>();
  #isComparing = false;

  constructor({ verifyPassword, queue = QUEUE_LIMITS }: AuthenticatorOptions) {
    this.#verifyPassword = verifyPassword;
    this.#queue = new LoginQueue(queue);
  }

  /** Never rejects; a comparison that fails counts as wrong. */
  async check({ credentials, users, client, signal }: Login): Promise<LoginOutcome> {
    const { user, password } = credentials;
    const knownHash = users.get(user);
    const hash = knownHash ?? hashForUnknownUser(users);
    const digest = this.#digest(user, hash, password);
    if (this.#right.has(digest)) return "right";
    if (this.#wrong.has(digest)) return "wrong";
    return await new Promise((resolve) => {
      const pending = this.#pending.get(digest);
      const login = pending ?? {
        client,
        preferred: this.#busy.has(digest),
        digest,
        password: Buffer.from(password, "utf8"),
        hash,
        isKnown: knownHash !== undefined,
        waiting: new Set(),
      };
      login.waiting.add(resolve);
      signal.addEventListener("abort", () => {
        resolve("busy");
        login.waiting.delete(resolve);
        // Of one that is being compared, the outcome is for whoever comes next.
        if (login.waiting.size === 0 && this.#queue.remove(login)) this.#settle(login, "busy");
      }, { once: true });
      if (pending === undefined) this.#enqueue(login);
    });
  }

  #enqueue(login: PendingLogin): void {
    this.#pending.set(login.digest, login);
    const dropped = this.#queue.add(login);
    if (dropped !== undefined) {
      this.#busy.add(dropped.digest);
      this.#settle(dropped, "busy");
    }
    this.#compareNext();
  }

  #settle({ digest, waiting }: PendingLogin, outcome: LoginOutcome): void {
    this.#pending.delete(digest);
    for (const resolve of waiting) resolve(outcome);
  }

  #compareNext(): void {
    if (this.#isComparing) return;
    const login = this.#queue.next();
    if (login === undefined) return;
    this.#isComparing = true;
    this.#compare(login).then((outcome) => {
      this.#isComparing = false;
      this.#settle(login, outcome);
      this.#compareNext();
    });
  }

  async #compare({ digest, password, hash, isKnown }: PendingLogin): Promise<LoginOutcome> {
    let isRight = false;
    try {
      isRight = await this.#verifyPassword(password, hash);
    } catch {
      // What cannot be compared is wrong.
    }
    isRight &&= isKnown;
    (isRight ? this.#right : this.#wrong).add(digest);
    this.#busy.delete(digest);
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
const EMPTY_SALT_AND_HASH = ".".repeat(22 + 31);

/** A hash that no password has, with the cost that the first user's has, so that comparing takes as long. */
function hashForUnknownUser(users: ReadonlyMap<string, string>): string {
  const [first = "$2b$10$"] = users.values();
  return `${first.slice(0, 7)}${EMPTY_SALT_AND_HASH}`;
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
