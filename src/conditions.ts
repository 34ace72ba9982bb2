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

/**
 * Writes a log line when a condition begins and when it ends, and none while it lasts: what is the matter for a night
 * must not fill a disk with a line for each scrape.
 */
export class ConditionLog {
  readonly #log: LogWriter;
  #current: ReadonlyMap<string, Condition> = new Map();

  constructor(log: LogWriter) {
    this.#log = log;
  }

  /** What was the matter at the last report. */
  get current(): readonly Condition[] {
    return [...this.#current.values()];
  }

  /** Takes over what is the matter now, by a key that stays the same while it lasts. */
  report(conditions: ReadonlyMap<string, Condition>): void {
    const begun = [...conditions].filter(([key]) => !this.#current.has(key));
    const ended = [...this.#current].filter(([key]) => !conditions.has(key));
    for (const [, { level, message, fields }] of begun.slice(0, MAXIMUM_LINES)) {
      this.#log[level](message, fields);
    }
    if (begun.length > MAXIMUM_LINES) {
      this.#log.warn("More of the same", { count: begun.length - MAXIMUM_LINES });
    }
    for (const [, { message, fields }] of ended.slice(0, MAXIMUM_LINES)) {
      this.#log.info(`Over: ${message}`, fields);
    }
    if (ended.length > MAXIMUM_LINES) {
      this.#log.info("More of the same is over", { count: ended.length - MAXIMUM_LINES });
    }
    this.#current = new Map(conditions);
  }
}
