import { cut, quoteAsJson } from "../text.ts";

/** Levels from the most to the least talkative. */
export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;

/** How much a line matters. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Ways to write a line: `key=value` pairs, or one JSON object. */
export const LOG_FORMATS = ["logfmt", "json"] as const;

/** How lines are written. */
export type LogFormat = (typeof LOG_FORMATS)[number];

/** What a line says besides its message; `undefined` is left out. The keys are the program's own words. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** What takes lines. */
export type LogWriter = Readonly<
  Record<LogLevel, (message: string, fields?: LogFields) => void>
>;

/** A log that says these fields with each line. */
export function withFields(log: LogWriter, always: LogFields): LogWriter {
  return {
    debug: (message, fields) => log.debug(message, { ...always, ...fields }),
    info: (message, fields) => log.info(message, { ...always, ...fields }),
    warn: (message, fields) => log.warn(message, { ...always, ...fields }),
    error: (message, fields) => log.error(message, { ...always, ...fields }),
  };
}

/** Characters of a message or a field beyond which it is cut. */
export const MAXIMUM_TEXT_LENGTH = 2_000;

/**
 * Writes one line of a log, without its line feed. Texts are cut at {@linkcode MAXIMUM_TEXT_LENGTH} and
 * escaped, so that one from outside, such as the name of an instance, can neither forge a line or a field nor
 * turn a terminal's text around.
 */
export function formatLine(
  format: LogFormat,
  time: Date,
  level: LogLevel,
  message: string,
  fields: LogFields,
): string {
  const entries: readonly Entry[] = [
    ["time", time.toISOString()],
    ["level", level],
    ["message", message],
    ...Object.entries(fields).map(([key, value]): Entry => [toKey(key), value]),
  ];
  const present = entries.filter(([, value]) => value !== undefined);
  return format === "json"
    ? `{${present.map(([key, value]) => `"${key}":${toJson(value)}`).join(",")}}`
    : present.map(([key, value]) => `${key}=${toLogfmt(value)}`).join(" ");
}

type Entry = readonly [key: string, value: string | number | boolean | undefined];

const RESERVED_KEYS: ReadonlySet<string> = new Set(["time", "level", "message"]);

function toKey(key: string): string {
  const word = key.replaceAll(/[^\w.-]/g, "_");
  return RESERVED_KEYS.has(word) ? `${word}_` : word;
}

// Logfmt's parsers take JSON's strings, so both formats share them.
function toJson(value: Entry[1]): string {
  const isJson = typeof value === "boolean" || Number.isFinite(value);
  return isJson ? String(value) : quoteAsJson(cut(String(value), MAXIMUM_TEXT_LENGTH));
}

const UNQUOTED = /^[\w.,:/@%+-]+$/;

function toLogfmt(value: Entry[1]): string {
  const text = String(value);
  return UNQUOTED.test(text) && text.length <= MAXIMUM_TEXT_LENGTH
    ? text
    : quoteAsJson(cut(text, MAXIMUM_TEXT_LENGTH));
}
