import type { Comparison } from "./comparison.ts";
import type { AppearedDomain, Survey } from "./hypervisor.ts";
import { type DomainRecord, isActive } from "./snapshot.ts";
import type { DomainDescription } from "./domain_description.ts";

/** What the roster keeps of a domain. */
interface Entry {
  readonly record: DomainRecord;
  /** When its definition is read again at the latest, in milliseconds of a steady clock. */
  readonly expiresAt: number;
  /** Why its definition is not understood. */
  readonly problem: string | undefined;
  /** Stands for the definition's text. */
  readonly digest: string | undefined;
  /** In what its statistics have differed from its definition, by aspect, since that was last the same. */
  readonly differences: Map<string, string>;
}

/**
 * The active domains and what their definitions say: the cache that makes reading definitions rare. An entry lives
 * exactly as long as one run of its domain, so the cache is as large as the hypervisor is full.
 *
 * A definition is read when its domain appears, when libvirt's events say that it changed, when statistics say
 * otherwise, and when it is older than `maximumAgeMilliseconds`.
 */
export class Roster {
  readonly #maximumAgeMilliseconds: number;
  readonly #startSecondsOf: (name: string) => number | undefined;
  #entries = new Map<number, Entry>();

  /** @param startSecondsOf when an active domain that has just appeared was started, where that can be found out */
  constructor(
    maximumAgeMilliseconds: number,
    startSecondsOf: (name: string) => number | undefined = () => undefined,
  ) {
    this.#maximumAgeMilliseconds = maximumAgeMilliseconds;
    this.#startSecondsOf = startSecondsOf;
  }

  /** Takes over which domains there are; those that are new or changed become stale. */
  update(survey: Survey): void {
    const entries = new Map<number, Entry>();
    const appeared = new Map(survey.appeared.map((domain) => [domain.handle, domain]));
    for (const handle of survey.handles) {
      const known = this.#entries.get(handle);
      if (known !== undefined) {
        entries.set(handle, known);
        continue;
      }
      const domain = appeared.get(handle);
      if (domain === undefined) throw new RangeError(`Nobody has introduced domain ${handle}`);
      entries.set(handle, {
        record: this.#introduce(domain),
        expiresAt: -Infinity,
        problem: undefined,
        digest: undefined,
        differences: new Map(),
      });
    }
    this.#entries = entries;
    for (const handle of survey.changed) {
      this.expire(handle);
      this.#askForStart(handle);
    }
  }

  #introduce({ handle, uuid, id, name }: AppearedDomain): DomainRecord {
    const startSeconds = this.#startOf({ id, name });
    const nothing = { description: undefined, definition: "unread" } as const;
    return { handle, uuid, id, name, startSeconds, ...nothing };
  }

  #startOf(domain: Pick<DomainRecord, "id" | "name">): number | undefined {
    return isActive(domain) ? this.#startSecondsOf(domain.name) : undefined;
  }

  /** libvirt's daemon counts ids anew when it was restarted, so a domain that was started anew may have the id that it had. */
  #askForStart(handle: number): void {
    const entry = this.#entries.get(handle);
    if (entry === undefined) return;
    const startSeconds = this.#startOf(entry.record);
    if (startSeconds === entry.record.startSeconds) return;
    this.#entries.set(handle, { ...entry, record: { ...entry.record, startSeconds } });
  }

  /** Asks for the domain's definition to be read again at the next scrape. */
  expire(handle: number): void {
    const entry = this.#entries.get(handle);
    if (entry !== undefined) this.#entries.set(handle, { ...entry, expiresAt: -Infinity });
  }

  /** Whether the statistics of a domain said otherwise than its definition when they were last compared. */
  hasDifference(handle: number): boolean {
    return (this.#entries.get(handle)?.differences.size ?? 0) > 0;
  }

  /**
   * Has the definition read again when the statistics say otherwise than they did. A difference that stays when it has been read
   * is none that reading can end: it does not count again.
   */
  compare(handle: number, comparisons: readonly Comparison[]): void {
    const differences = this.#entries.get(handle)?.differences;
    if (differences === undefined) return;
    for (const { aspect, difference } of comparisons) {
      if (difference === undefined) differences.delete(aspect);
      else if (differences.get(aspect) !== difference) {
        differences.set(aspect, difference);
        this.expire(handle);
      }
    }
  }

  /** The domains whose definition has to be read. Those that are not on the page without it come first. */
  stale(handles: readonly number[], now: number): number[] {
    const stale = handles.filter((handle) => {
      const entry = this.#entries.get(handle);
      return entry !== undefined && entry.expiresAt <= now;
    });
    const isUnread = (handle: number): boolean => this.record(handle).definition === "unread";
    return [...stale.filter(isUnread), ...stale.filter((handle) => !isUnread(handle))];
  }

  /**
   * Notes that the definition of a domain has been read.
   *
   * @param digest stands for its text
   * @returns whether that is the one that was described before, so that nothing is left to do; it may have a problem
   */
  confirm(handle: number, digest: string, now: number): boolean {
    const entry = this.#entries.get(handle);
    if (entry === undefined || entry.digest !== digest) return false;
    this.#entries.set(handle, { ...entry, expiresAt: this.#expiry(handle, now) });
    return true;
  }

  /**
   * Notes what the definition of a domain says, and what of it is not understood.
   *
   * @param digest stands for its text
   */
  setDescription(
    handle: number,
    { description, problem, digest }: {
      readonly description: DomainDescription | undefined;
      readonly problem: string | undefined;
      readonly digest: string;
    },
    now: number,
  ): void {
    const entry = this.#entries.get(handle);
    if (entry === undefined) return;
    this.#entries.set(handle, {
      ...entry,
      record: {
        ...entry.record,
        name: presentName(entry.record, description),
        description,
        definition: "given",
      },
      expiresAt: this.#expiry(handle, now),
      problem,
      digest,
    });
  }

  #expiry(handle: number, now: number): number {
    return now + this.#maximumAgeMilliseconds * (1 - jitter(handle));
  }

  /** Why the definition of a domain is not understood. */
  problem(handle: number): string | undefined {
    return this.#entries.get(handle)?.problem;
  }

  /** Notes that libvirt did not give a domain's definition; what an earlier one said stays. */
  markRefused(handle: number): void {
    const entry = this.#entries.get(handle);
    if (entry === undefined || entry.record.definition !== "unread") return;
    this.#entries.set(handle, { ...entry, record: { ...entry.record, definition: "refused" } });
  }

  /** The domains whose definition is not understood, and why. */
  problems(): { readonly record: DomainRecord; readonly problem: string }[] {
    return [...this.#entries.values()].flatMap(({ record, problem }) =>
      problem === undefined ? [] : [{ record, problem }]
    );
  }

  /**
   * The record of a domain of the last survey.
   *
   * @throws {RangeError} for another
   */
  record(handle: number): DomainRecord {
    const entry = this.#entries.get(handle);
    if (entry === undefined) throw new RangeError(`Nobody has introduced domain ${handle}`);
    return entry.record;
  }
}

/** What a domain is called: one that is shut off can be renamed. */
function presentName(record: DomainRecord, description: DomainDescription | undefined): string {
  return isActive(record) ? record.name : description?.name || record.name;
}

/** Between 0 and a half, the same for the same domain: definitions read together do not expire together. */
function jitter(handle: number): number {
  // The fractional parts of multiples of the golden ratio are spread evenly.
  return (handle * 0.618_033_988_749_895) % 1 / 2;
}
