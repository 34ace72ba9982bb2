import { performance } from "node:perf_hooks";
import type { LogFields, LogLevel, LogWriter } from "../log/line.ts";
import { Allowance } from "../time.ts";

/** Something that is wrong now, as the log needs it. */
export interface Condition {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields?: LogFields;
  /** What it affects, where that may change while it lasts. */
  readonly affected?: Affected;
}

/** Something that is or was wrong, for people. */
export interface Problem {
  /** In the words of the log, with what it affects and why. */
  readonly text: string;
  /** The same without both. */
  readonly message: string;
  readonly since: Date;
  /** When it was over; undefined while it lasts. */
  readonly until: Date | undefined;
}

/** What a condition affects, such as instances, by name. */
export interface Affected {
  /** What they are, as a field of the log, such as `instance`. */
  readonly kind: string;
  readonly names: readonly string[];
}

/** How many of the affected a text names. */
const MAXIMUM_NAMES = 10;

/** A condition in one line, with what it affects and the reason, where there are such. */
export function conditionText({ message, fields, affected }: Condition): string {
  const { instance, reason } = fields ?? {};
  const names = affected?.names ?? [];
  const more = names.length - MAXIMUM_NAMES;
  const who = names.length === 0
    ? instance
    : shownNames(names) + (more > 0 ? ` and ${more} more` : "");
  return [message, who, reason].filter((part) => part !== undefined).map(String).join(": ");
}

function shownNames(names: readonly string[]): string {
  return names.slice(0, MAXIMUM_NAMES).join(", ");
}

/** Lines about conditions that begin or grow, except errors: so many at once, and so many in a minute. */
const MAXIMUM_LINES = 20;
const MINUTE_MILLISECONDS = 60_000;

/** Lines about one condition that comes and goes, or that affects one after the other. */
const MAXIMUM_LINES_OF_ONE = 6;
const INTERVAL_OF_ONE_MILLISECONDS = 30_000;

/** Problems that are over and still known. */
const MAXIMUM_PAST = 10;

/** After this long a name that was logged is logged again when it is affected again. */
const FORGOTTEN_AFTER_MILLISECONDS = 10 * MINUTE_MILLISECONDS;

/**
 * After this long a condition that no report could confirm or end is given up, as when one scrape for all collectors has found it
 * and all later ones are for fewer. The log does not say that it is over, which nobody knows, but says so much that there is an end
 * to it: the same trouble gets a line of its own when it is found again.
 */
const UNCONFIRMED_MILLISECONDS = 10 * MINUTE_MILLISECONDS;

/** What was collected when a condition was found; a later report can end it only if it collected as much. */
type Scope = ReadonlySet<string>;

const EMPTY_SCOPE: Scope = new Set();

/** A condition that lasts. */
interface CurrentCondition {
  readonly condition: Condition;
  readonly since: Date;
  readonly scope: Scope;
  /** When a report had it last, in milliseconds of a steady clock. */
  readonly confirmedAt: number;
  /** What the log has said of it; undefined while no line was left for it. */
  readonly logged: LoggedCondition | undefined;
  /** Whether it was among those that one line has counted. */
  readonly isCounted: boolean;
}

/** What the log has said of a condition. */
interface LoggedCondition {
  readonly condition: Condition;
  /** The names that were logged, or counted in a line, and when each was affected last. */
  readonly names: ReadonlyMap<string, number>;
}

/**
 * Writes a log line when a condition begins, when it affects others as well, and when it ends. It writes none while the
 * condition lasts: a trouble that lasts for a night must not fill a disk with a line for each scrape. When much begins or changes
 * at a time, the lines have a bounded rate. A condition that got no line gets one later if it still lasts.
 */
export class ConditionLog {
  readonly #log: LogWriter;
  readonly #now: () => number;
  readonly #date: () => Date;
  #current: ReadonlyMap<string, CurrentCondition> = new Map();
  #past: readonly Problem[] = [];
  readonly #allowance: Allowance;
  readonly #countAllowance: Allowance;
  /** By key. It stays when the condition ends, so that one that comes and goes is bounded, too. */
  readonly #allowances = new Map<string, Allowance>();

  /**
   * @param now milliseconds of a steady clock
   * @param date the time of day
   */
  constructor(
    log: LogWriter,
    now: () => number = () => performance.now(),
    date: () => Date = () => new Date(),
  ) {
    this.#log = log;
    this.#now = now;
    this.#date = date;
    this.#allowance = new Allowance(MAXIMUM_LINES, MINUTE_MILLISECONDS / MAXIMUM_LINES);
    this.#countAllowance = new Allowance(1, MINUTE_MILLISECONDS);
  }

  /** The conditions of the last report. */
  get current(): readonly Problem[] {
    return Array.from(
      this.#current.values(),
      ({ condition, since }) => problemOf(condition, since, undefined),
    );
  }

  /** The last conditions that the log has named and that are over, the latest first. */
  get past(): readonly Problem[] {
    return this.#past;
  }

  /**
   * Takes over the conditions of now, by a key that stays the same while it lasts.
   *
   * @param scope what was collected. A condition that was found with something else in its scope is not over because this report
   * does not have it; after {@linkcode UNCONFIRMED_MILLISECONDS} it is given up. Undefined when every earlier condition is over.
   */
  report(conditions: ReadonlyMap<string, Condition>, scope?: Scope): void {
    const now = this.#now();
    const missing = [...this.#current].filter(([key]) => !conditions.has(key));
    const isOver = (found: Scope): boolean => scope === undefined || isWithin(found, scope);
    const ended = missing.filter(([, { scope: found }]) => isOver(found));
    const unknown = missing.filter(([, { scope: found }]) => !isOver(found));
    const isOld = (one: CurrentCondition): boolean =>
      now - one.confirmedAt >= UNCONFIRMED_MILLISECONDS;
    const lasting = unknown.filter(([, one]) => !isOld(one));
    const givenUp = unknown.filter(([, one]) => isOld(one));
    const reported = Array.from(conditions, ([key, condition]) =>
      [
        key,
        this.#reportOne(key, condition, scope ?? EMPTY_SCOPE, now),
      ] as const);
    this.#current = this.#logCount(new Map([...lasting, ...reported]), now);
    this.#logEnd(OVER, ended.map(([, one]) => one));
    this.#logEnd(GIVEN_UP, givenUp.map(([, one]) => one));
    this.#keepPast(ended.map(([, one]) => one));
    for (const [key, allowance] of this.#allowances) {
      if (allowance.isFull(now)) this.#allowances.delete(key);
    }
  }

  #reportOne(key: string, condition: Condition, scope: Scope, now: number): CurrentCondition {
    const { logged, since = this.#date(), isCounted = false } = this.#current.get(key) ?? {};
    const names = condition.affected?.names ?? [];
    const added = names.filter((name) => logged?.names.has(name) !== true);
    const isNews = logged === undefined || added.length > 0;
    const found = { condition, since, scope, confirmedAt: now };
    if (!isNews) return { ...found, logged: stillAffected(logged, names, now), isCounted };
    if (!this.#mayLog(key, condition, now)) return { ...found, logged, isCounted };
    const others = names.filter((name) => logged?.names.has(name) === true);
    const shown = withNames(condition, [...added, ...others]);
    const prefix = logged === undefined ? "" : "Still: ";
    this.#log[condition.level](prefix + condition.message, fieldsOf(shown));
    const known = stillAffected(logged ?? { condition, names: new Map() }, names, now);
    return { ...found, logged: { ...known, condition: shown }, isCounted: false };
  }

  /** There are few kinds of errors, so only those that come and go are bounded. */
  #mayLog(key: string, { level }: Condition, now: number): boolean {
    const own = this.#allowances.get(key) ??
      new Allowance(MAXIMUM_LINES_OF_ONE, INTERVAL_OF_ONE_MILLISECONDS);
    this.#allowances.set(key, own);
    if (own.isEmpty(now) || (level !== "error" && !this.#allowance.take(now))) return false;
    return own.take(now);
  }

  /** Logs how many conditions have no line yet, when some of them were not counted before. */
  #logCount(
    all: ReadonlyMap<string, CurrentCondition>,
    now: number,
  ): ReadonlyMap<string, CurrentCondition> {
    const isUnlogged = ({ logged }: CurrentCondition): boolean => logged === undefined;
    const unlogged = [...all.values()].filter(isUnlogged);
    if (unlogged.every(({ isCounted }) => isCounted) || !this.#allowance.isEmpty(now)) return all;
    if (!this.#countAllowance.take(now)) return all;
    this.#log.warn("More of the same", { count: unlogged.length });
    return new Map(
      Array.from(all, ([key, one]) => [key, isUnlogged(one) ? { ...one, isCounted: true } : one]),
    );
  }

  #logEnd(words: EndWords, ended: readonly CurrentCondition[]): void {
    const logged = loggedOf(ended);
    for (const { condition } of logged.slice(0, MAXIMUM_LINES)) {
      this.#log.info(`${words.one}: ${condition.message}`, fieldsOf(condition));
    }
    const counted = ended.filter(({ logged, isCounted }) => logged === undefined && isCounted);
    const unlogged = Math.max(0, logged.length - MAXIMUM_LINES) + counted.length;
    if (unlogged > 0) this.#log.info(words.more, { count: unlogged });
  }

  #keepPast(ended: readonly CurrentCondition[]): void {
    const over = loggedOf(ended).slice(0, MAXIMUM_PAST)
      .map(({ condition, since }) => problemOf(condition, since, this.#date()));
    this.#past = [...over, ...this.#past].slice(0, MAXIMUM_PAST);
  }
}

/** How the log tells that a condition is no longer there, and that further ones are not. */
interface EndWords {
  readonly one: string;
  readonly more: string;
}

const OVER: EndWords = { one: "Over", more: "More of the same is over" };
const GIVEN_UP: EndWords = {
  one: "No longer looked for",
  more: "More of the same is no longer looked for",
};

/** Those that the log has named, with all whom it has named. */
function loggedOf(
  ended: readonly CurrentCondition[],
): readonly Pick<CurrentCondition, "condition" | "since">[] {
  return ended.flatMap(({ logged, since }) =>
    logged === undefined
      ? []
      : [{ condition: withNames(logged.condition, [...logged.names.keys()]), since }]
  );
}

function problemOf(condition: Condition, since: Date, until: Date | undefined): Problem {
  return { text: conditionText(condition), message: condition.message, since, until };
}

/** The names that were logged, with those that are affected now and without those that were so long ago. */
function stillAffected(
  logged: LoggedCondition,
  names: readonly string[],
  now: number,
): LoggedCondition {
  if (names.length === 0 && logged.names.size === 0) return logged;
  const seen = new Map([...logged.names, ...names.map((name) => [name, now] as const)]);
  for (const [name, time] of seen) {
    if (now - time > FORGOTTEN_AFTER_MILLISECONDS) seen.delete(name);
  }
  return { ...logged, names: seen };
}

function withNames(condition: Condition, names: readonly string[]): Condition {
  const { affected } = condition;
  return affected === undefined ? condition : { ...condition, affected: { ...affected, names } };
}

/** The fields of a line: some of the affected by name, and how many they are when there is more than one. */
function fieldsOf({ fields, affected }: Condition): LogFields | undefined {
  if (affected === undefined || affected.names.length === 0) return fields;
  const { kind, names } = affected;
  const { reason, ...others } = fields ?? {};
  return {
    ...others,
    [kind]: shownNames(names),
    ...(names.length > 1 ? { [`${kind}s`]: names.length } : {}),
    ...(reason === undefined ? {} : { reason }),
  };
}

function isWithin(part: Scope, whole: Scope): boolean {
  for (const one of part) {
    if (!whole.has(one)) return false;
  }
  return true;
}
