import type { Log, LogFields, LogLevel } from "./log.ts";

/** What is needed of a log. */
export type LogWriter = Pick<Log, LogLevel>;

/** Something that is the matter now. */
export interface Condition {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields?: LogFields;
}

/** A condition in one line, with the instance that it concerns and the reason where there are such. */
export function conditionText({ message, fields }: Condition): string {
  const { instance, reason } = fields ?? {};
  const parts = [message, instance, reason].filter((part) => part !== undefined);
  return parts.map(String).join(": ");
}

/** Lines of one kind of change that one report may write; the rest is counted in one more line. */
const MAXIMUM_LINES = 20;

/** What a report had to look for, to find what it found; nothing in particular where it is empty. */
type Scope = ReadonlySet<string>;

const NOTHING_IN_PARTICULAR: Scope = new Set();

/**
 * Writes a log line when a condition begins and when it ends, and none while it lasts: what is the matter for a night
 * must not fill a disk with a line for each scrape.
 */
export class ConditionLog {
  readonly #log: LogWriter;
  #current: ReadonlyMap<string, { readonly condition: Condition; readonly scope: Scope }> =
    new Map();

  constructor(log: LogWriter) {
    this.#log = log;
  }

  /** What was the matter at the last report. */
  get current(): readonly Condition[] {
    return Array.from(this.#current.values(), ({ condition }) => condition);
  }

  /**
   * Takes over what is the matter now, by a key that stays the same while it lasts.
   *
   * @param scope what was looked for. What an earlier report with something else in its scope has found is not over because
   * this one did not find it. Undefined when everything that was the matter before is over, or of no account any more.
   */
  report(conditions: ReadonlyMap<string, Condition>, scope?: Scope): void {
    const begun = [...conditions].filter(([key]) => !this.#current.has(key));
    const missing = [...this.#current].filter(([key]) => !conditions.has(key));
    const isOver = (found: Scope): boolean => scope === undefined || isWithin(found, scope);
    const ended = missing.filter(([, { scope: found }]) => isOver(found));
    const lasting = missing.filter(([, { scope: found }]) => !isOver(found));
    for (const [, { level, message, fields }] of begun.slice(0, MAXIMUM_LINES)) {
      this.#log[level](message, fields);
    }
    if (begun.length > MAXIMUM_LINES) {
      this.#log.warn("More of the same", { count: begun.length - MAXIMUM_LINES });
    }
    for (const [, { condition: { message, fields } }] of ended.slice(0, MAXIMUM_LINES)) {
      this.#log.info(`Over: ${message}`, fields);
    }
    if (ended.length > MAXIMUM_LINES) {
      this.#log.info("More of the same is over", { count: ended.length - MAXIMUM_LINES });
    }
    const reported = Array.from(
      conditions,
      ([key, condition]) => [key, { condition, scope: scope ?? NOTHING_IN_PARTICULAR }] as const,
    );
    this.#current = new Map([...lasting, ...reported]);
  }
}

function isWithin(part: Scope, whole: Scope): boolean {
  for (const one of part) {
    if (!whole.has(one)) return false;
  }
  return true;
}
