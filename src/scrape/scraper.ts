import { performance } from "node:perf_hooks";
import type { ExpositionFormat } from "../metrics/exposition.ts";
import type { Collector } from "../metrics/family.ts";
import { withinTime } from "../time.ts";
import { CollectionMaker, type CollectOptions } from "./collect.ts";
import type { Collection } from "./collection.ts";
import type { ExporterStatus } from "./status.ts";
import { Turns } from "./turns.ts";

/**
 * What a collection is given at least, unless `--libvirt.timeout` is less. Calls that are given up after a few milliseconds
 * would be missing on the pages of others, who share the connection and the bound of such calls.
 */
const MINIMUM_COLLECTION_MILLISECONDS = 500;

/**
 * Choices of collectors, besides the usual one, for which there may be collections at the same time or within
 * `--scrape.min-interval`. There are as many choices as there are subsets, so without a bound one client could keep libvirt
 * at work without end.
 */
const MAXIMUM_CHOICES = 8;

/** Of two times of which one is less by no more than this part, neither brings more: a turn that comes at once takes a moment. */
const ALIKE_PART = 0.1;

/** How scrapes are made. */
export interface ScraperOptions extends CollectOptions {
  /** What is collected unless a request says otherwise. */
  readonly collectors: readonly Collector[];
  /** Scrapes within this time of a collection's end share it. */
  readonly minimumIntervalMilliseconds: number;
  /** Told of each collection that was made. */
  readonly onCollection: (collection: Collection) => void;
}

/** What a scrape asks for; what is left out is as the options say. */
export interface ScrapeRequest {
  /** How long it may take, when that is less than the configured time. */
  readonly timeoutMilliseconds?: number;
  readonly collectors?: readonly Collector[];
  /** The format in which the page will be wanted. */
  readonly format?: ExpositionFormat;
}

/** A collection that is under way, or waits for its turn. */
interface PendingCollection {
  /** Undefined when no scrape waited for it any more as its turn came. */
  readonly collection: Promise<Collection | undefined>;
  /** Until when a scrape waits for it, in milliseconds of `performance.now()`. */
  until: number;
  /** The milliseconds that it has, or the most that a scrape which waits for it gives it until it begins. */
  milliseconds: number;
  hasBegun: boolean;
}

/** A collection that scrapes within `--scrape.min-interval` share. */
interface KeptCollection {
  readonly collection: Collection;
  /** The milliseconds that it was given. */
  readonly milliseconds: number;
}

/**
 * Answers scrapes. Scrapes at the same time share one collection, and each is answered in time whatever libvirt does.
 * Collections for different collectors take turns, those for all that are on every other one.
 */
export class Scraper {
  readonly #options: ScraperOptions;
  readonly #maker: CollectionMaker;
  /** By choice of collectors: the last one that was begun, or will be. */
  readonly #pending = new Map<string, PendingCollection>();
  readonly #latest = new Map<string, KeptCollection>();
  #status: ExporterStatus;
  readonly #turns = new Turns();
  /** Stands for the usual choice of collectors. */
  readonly #usualKey: string;

  constructor(options: ScraperOptions) {
    const { version, runtime } = options.build;
    this.#options = options;
    this.#maker = new CollectionMaker(options);
    this.#usualKey = keyOf(options.collectors);
    this.#status = {
      version,
      runtime,
      isUp: undefined,
      reason: undefined,
      instances: undefined,
      unread: 0,
      filtered: 0,
      collectedAt: undefined,
      problems: [],
      pastProblems: [],
    };
  }

  /**
   * A collection, at the latest after the configured time, or after that of the request when it is shorter. Never throws:
   * without libvirt the page says so.
   */
  async scrape(request: ScrapeRequest = {}): Promise<Collection> {
    const { collectors = this.#options.collectors, format = "text" } = request;
    const wait = Math.min(
      this.#options.timeoutMilliseconds,
      request.timeoutMilliseconds ?? Infinity,
    );
    const key = keyOf(collectors);
    const recent = this.#recent(key, this.#collectionMilliseconds(wait));
    if (recent !== undefined) return recent;
    const { collection } = this.#join(key, wait) ?? this.#enqueue(key, collectors, format, wait);
    return await withinTime(collection, wait) ?? await this.#maker.unanswered(wait);
  }

  /**
   * Whether a scrape for these collectors may be made now: always for the usual ones, and for others unless there are too
   * many other choices already.
   */
  hasRoomFor(collectors: readonly Collector[]): boolean {
    const key = keyOf(collectors);
    if (key === this.#usualKey) return true;
    const kept = [...this.#latest].filter(([, { collection }]) => this.#isFresh(collection));
    const choices = new Set([...this.#pending.keys(), ...kept.map(([choice]) => choice)]);
    choices.delete(this.#usualKey);
    return choices.has(key) || choices.size < MAXIMUM_CHOICES;
  }

  /** What the last collection found, without asking libvirt. */
  get status(): ExporterStatus {
    const { current, past } = this.#maker.problems;
    return { ...this.#status, problems: current, pastProblems: past };
  }

  #isFresh({ ageMilliseconds }: Collection): boolean {
    return ageMilliseconds < this.#options.minimumIntervalMilliseconds;
  }

  /** The milliseconds that a scrape which waits this long gives a collection. */
  #collectionMilliseconds(wait: number): number {
    const { timeoutMilliseconds } = this.#options;
    return Math.min(timeoutMilliseconds, Math.max(wait, MINIMUM_COLLECTION_MILLISECONDS));
  }

  /** The collection that others wait for already, unless it has begun with less time than this scrape gives it. */
  #join(key: string, wait: number): PendingCollection | undefined {
    const pending = this.#pending.get(key);
    if (pending === undefined) return undefined;
    const milliseconds = this.#collectionMilliseconds(wait);
    if (pending.hasBegun && isLess(pending.milliseconds, milliseconds)) return undefined;
    if (!pending.hasBegun) pending.milliseconds = Math.max(pending.milliseconds, milliseconds);
    pending.until = Math.max(pending.until, performance.now() + wait);
    return pending;
  }

  /** A kept collection, unless more time might have brought more. */
  #recent(key: string, milliseconds: number): Collection | undefined {
    const kept = this.#latest.get(key);
    if (kept === undefined) return undefined;
    const { collection } = kept;
    if (isLess(kept.milliseconds, milliseconds) && !isWhole(collection)) return undefined;
    return this.#isFresh(collection) ? collection : undefined;
  }

  #enqueue(
    key: string,
    collectors: readonly Collector[],
    format: ExpositionFormat,
    wait: number,
  ): PendingCollection {
    const begin = async (): Promise<Collection | undefined> => {
      try {
        const left = pending.until - performance.now();
        // The scrapes that waited have been answered already.
        if (left <= 0) return undefined;
        pending.hasBegun = true;
        const milliseconds = this.#collectionMilliseconds(left);
        pending.milliseconds = milliseconds;
        const collection = await this.#maker.make({ collectors, format, milliseconds });
        this.#note(collection);
        this.#keep(key, { collection, milliseconds });
        return collection;
      } finally {
        if (this.#pending.get(key) === pending) this.#pending.delete(key);
      }
    };
    const pending: PendingCollection = {
      // Requests can choose so many sets of collectors that their turns would take longer than any scrape waits.
      collection: this.#turns.run(key === this.#usualKey ? "all" : "choice", begin),
      until: performance.now() + wait,
      milliseconds: this.#collectionMilliseconds(wait),
      hasBegun: false,
    };
    this.#pending.set(key, pending);
    return pending;
  }

  #note(collection: Collection): void {
    const { isUp, reason, instances, unread, filtered = 0 } = collection.findings;
    const collectedAt = new Date();
    this.#status = { ...this.#status, isUp, reason, instances, unread, filtered, collectedAt };
    this.#options.onCollection(collection);
  }

  /** A collection that no later scrape may share would only take memory. */
  #keep(key: string, kept: KeptCollection): void {
    const { isUp, unread } = kept.collection.findings;
    this.#latest.delete(key);
    // What is missing for the moment must not be missing for the whole interval.
    if (this.#options.minimumIntervalMilliseconds === 0 || !isUp || unread > 0) return;
    this.#latest.set(key, kept);
    for (const oldest of this.#latest.keys()) {
      // One for each choice, and one for the usual collectors.
      if (this.#latest.size <= MAXIMUM_CHOICES + 1) return;
      if (oldest !== this.#usualKey) this.#latest.delete(oldest);
    }
  }
}

/** Whether all that was asked was answered, so that more time would have brought nothing more. */
function isWhole({ findings: { snapshot } }: Collection): boolean {
  return snapshot?.domains.every((_, domain) => snapshot.isComplete(domain)) ?? false;
}

/** Whether a collection that was given so much lacks what one with the wanted time may bring. */
function isLess(given: number, wanted: number): boolean {
  return given < wanted * (1 - ALIKE_PART);
}

/** Stands for a choice of collectors. */
function keyOf(collectors: readonly Collector[]): string {
  return collectors.map(({ name }) => name).join(" ");
}
