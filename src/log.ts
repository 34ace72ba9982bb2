import { closeSync, constants, fstatSync, openSync, writeSync } from "node:fs";
import { LogFileWriter } from "./log_file_writer.ts";

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

/** Takes lines; no method throws, whatever happens to the file or to standard error. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** How many lines of each level there were so far, those that had no place to go included. */
  readonly lines: Readonly<Record<LogLevel, number>>;
  /**
   * Opens the file again under its name, as after logrotate has moved it away; also tries a failed one. The lines so far
   * go where it was before.
   *
   * @returns whether that worked, as soon as the file system has answered
   */
  reopen(): Promise<boolean>;
  /** Resolves when the lines so far are in the file, or on standard error because that failed. */
  flush(): Promise<void>;
  /**
   * Closes the file when it has taken the lines so far, or gives it up when it does not in
   * a second, with the lines on standard error; later lines go there, too.
   */
  close(): Promise<void>;
}

/** What a {@linkcode Log} needs. */
export interface LogOptions {
  /** The file's path; `undefined` for standard error only. */
  readonly file: string | undefined;
  /** Lines of lower levels are dropped. */
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Takes one line without its line feed, such as {@linkcode writeToStandardError}. */
  readonly standardError: (line: string) => void;
  /** The clock of the lines and of the pace of retries. */
  readonly now?: () => Date;
}

/** Characters of a message or a field beyond which it is cut. */
export const MAXIMUM_TEXT_LENGTH = 2_000;

/**
 * Opens a log. Its methods never wait for the file: {@linkcode LogFileWriter} says what becomes of their lines.
 */
export function openLog(options: LogOptions): Log {
  const clock = options.now ?? ((): Date => new Date());
  const threshold = LOG_LEVELS.indexOf(options.level);

  function render(level: LogLevel, message: string, fields: LogFields = {}): string {
    return formatLine(options.format, clock(), level, message, fields);
  }

  function tell(line: string): void {
    try {
      options.standardError(line);
    } catch {
      // Standard error was the last resort, and its end must not be the exporter's.
    }
  }

  const file = options.file === undefined
    ? undefined
    : new LogFileWriter({ path: options.file, clock, render, tell });

  const lines: Record<LogLevel, number> = { debug: 0, info: 0, warn: 0, error: 0 };

  function log(level: LogLevel, message: string, fields?: LogFields): void {
    if (LOG_LEVELS.indexOf(level) < threshold) return;
    lines[level]++;
    const line = render(level, message, fields);
    if (file === undefined) tell(line);
    else file.write(line);
  }

  return {
    debug: (message, fields) => log("debug", message, fields),
    info: (message, fields) => log("info", message, fields),
    warn: (message, fields) => log("warn", message, fields),
    error: (message, fields) => log("error", message, fields),
    lines,
    reopen: () => file?.reopen() ?? Promise.resolve(true),
    flush: () => file?.flush() ?? Promise.resolve(),
    close: () => file?.close() ?? Promise.resolve(),
  };
}

const STANDARD_ERROR = 2;

/**
 * Writes a line to standard error at once. Unlike `process.stderr`, which raises an error event later when its
 * reader has gone, this fails by throwing, which {@linkcode openLog} copes with.
 *
 * @throws {Error} when standard error cannot be written, with the system's code, such as `EPIPE`, or `EAGAIN` for a pipe
 * that is full because nobody reads it
 */
export function writeToStandardError(line: string): void {
  const descriptor = openUnblocked(STANDARD_ERROR);
  try {
    writeSync(descriptor, `${line}\n`);
  } finally {
    if (descriptor !== STANDARD_ERROR) closeSync(descriptor);
  }
}

/**
 * A pipe or terminal opened anew, so that writing to it fails when it is full. Blocking would hold up the exporter for as
 * long as nobody reads, and to set O_NONBLOCK on what other processes share would make their writing fail.
 *
 * @returns `descriptor` itself for anything else, and where the system does not let it be opened
 */
function openUnblocked(descriptor: number): number {
  try {
    const kind = fstatSync(descriptor);
    if (!kind.isFIFO() && !kind.isCharacterDevice()) return descriptor;
    return openSync(`/proc/self/fd/${descriptor}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    return descriptor;
  }
}

/** Like {@linkcode writeToStandardError}, but gives the line up when standard error cannot be written. */
export function tellOnStandardError(line: string): void {
  try {
    writeToStandardError(line);
  } catch {
    // There is nowhere left to say so.
  }
}

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

const TAKEN_KEYS: ReadonlySet<string> = new Set(["time", "level", "message"]);

function toKey(key: string): string {
  const word = key.replaceAll(/[^\w.-]/g, "_");
  return TAKEN_KEYS.has(word) ? `${word}_` : word;
}

function toJson(value: Entry[1]): string {
  const isJson = typeof value === "boolean" || Number.isFinite(value);
  return isJson ? String(value) : quote(String(value));
}

const BARE = /^[\w.,:/@%+-]+$/;

function toLogfmt(value: Entry[1]): string {
  const text = String(value);
  return BARE.test(text) && text.length <= MAXIMUM_TEXT_LENGTH ? text : quote(text);
}

/** Control characters, line separators, and the characters that change the direction of text. */
const UNSAFE = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

// Logfmt's parsers take JSON's strings, so both formats share this.
function quote(text: string): string {
  return JSON.stringify(cut(text)).replaceAll(
    UNSAFE,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function cut(text: string): string {
  if (text.length <= MAXIMUM_TEXT_LENGTH) return text.toWellFormed();
  // A cut between the halves of a surrogate pair would leave half a character.
  return `${text.slice(0, MAXIMUM_TEXT_LENGTH).replace(/[\ud800-\udbff]$/, "").toWellFormed()}…`;
}
