import { Buffer } from "node:buffer";
import {
  appendFileSync,
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  realpathSync,
  renameSync,
  statSync,
  writeSync,
} from "node:fs";

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
  /**
   * Opens the file again under its name, as after logrotate has moved it away; also tries a failed one. Says whether
   * that worked.
   */
  reopen(): boolean;
  /** Closes the file; later lines go to standard error. */
  close(): void;
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

/** Size in bytes that a log file never exceeds: the line that would is the first of the next file. */
export const MAXIMUM_FILE_BYTES = 3_000_000;

/** Old files kept beside the log file: `.1`, the newest, to `.4`. */
export const OLD_FILES = 4;

/** Milliseconds after which the next line tries a file that could not be written. */
export const RETRY_MILLISECONDS = 60_000;

/** Characters of a message or a field beyond which it is cut. */
export const MAXIMUM_TEXT_LENGTH = 2_000;

/**
 * Opens a log. Each line is in the file when its method returns, so that a crash loses none.
 *
 * While the file cannot be written the lines go to standard error; one line there says so and why, and one
 * more, in both places, that the file works again. It is tried again by {@linkcode Log.reopen} and by the
 * first line that comes {@linkcode RETRY_MILLISECONDS} after the last try.
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
    : keepFile({ path: options.file, clock, render, tell });

  function log(level: LogLevel, message: string, fields?: LogFields): void {
    if (LOG_LEVELS.indexOf(level) < threshold) return;
    const line = render(level, message, fields);
    if (file?.write(line) !== true) tell(line);
  }

  return {
    debug: (message, fields) => log("debug", message, fields),
    info: (message, fields) => log("info", message, fields),
    warn: (message, fields) => log("warn", message, fields),
    error: (message, fields) => log("error", message, fields),
    reopen: () => file?.reopen() ?? true,
    close: () => file?.close(),
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

interface KeptFile {
  /** Says whether the line is in the file. */
  write(line: string): boolean;
  reopen(): boolean;
  close(): void;
}

interface KeptFileOptions {
  readonly path: string;
  readonly clock: () => Date;
  readonly render: (level: LogLevel, message: string, fields: LogFields) => string;
  readonly tell: (line: string) => void;
}

function keepFile({ path, clock, render, tell }: KeptFileOptions): KeptFile {
  let file: LogFile | undefined;
  let failedAt: number | undefined;
  let closed = false;

  function release(): void {
    try {
      file?.close();
    } catch {
      // Each line is in the file already, and the file is given up whether closing it worked or not.
    }
    file = undefined;
  }

  function opened(): LogFile {
    if (file?.isReplaced() === true) release();
    file ??= openLogFile(path);
    return file;
  }

  // Only a line that was written proves that the file works, as even a full disk lets it be opened; and the
  // notice alone would not, as it may still fit where a longer line does not.
  function put(...lines: readonly string[]): void {
    const notices = failedAt === undefined ? [] : [render("warn", RECOVERY, { file: path })];
    const text = [...notices, ...lines].join("\n");
    const destination = opened();
    if (text !== "") destination.write(text);
    failedAt = undefined;
    notices.forEach(tell);
  }

  function attempt(action: () => void): boolean {
    try {
      action();
      return true;
    } catch (error) {
      release();
      const isNews = failedAt === undefined;
      failedAt = clock().getTime();
      if (isNews) tell(render("error", FAILURE, { file: path, ...describeFailure(error) }));
      return false;
    }
  }

  // The clock may be set back, which must not put off the next try.
  function isResting(): boolean {
    return failedAt !== undefined && Math.abs(clock().getTime() - failedAt) < RETRY_MILLISECONDS;
  }

  attempt(() => put());
  return {
    write(line): boolean {
      if (closed || isResting()) return false;
      return attempt(() => put(line));
    },
    reopen(): boolean {
      if (closed) return false;
      release();
      return attempt(() => put());
    },
    close(): void {
      closed = true;
      release();
    },
  };
}

interface LogFile {
  /**
   * Adds one or more lines, without their last line feed.
   *
   * @throws {Error} when they are not in the file as a whole; then no part of them is in a regular file
   */
  write(text: string): void;
  /** Says whether the path leads to another file by now, or to none. */
  isReplaced(): boolean;
  /** Closes the file unless it is closed already. */
  close(): void;
}

const APPEND = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND;

function openLogFile(path: string): LogFile {
  // Without O_NONBLOCK a FIFO that nobody reads would block the whole exporter here.
  const descriptor = openSync(path, APPEND | constants.O_NONBLOCK);
  // Rotation would rename what is not a regular file, and /dev/null is every program's.
  if (!fstatSync(descriptor).isFile()) return openStream(descriptor);
  closeSync(descriptor);
  // Rotation would rename a symbolic link, such as /dev/stdout, and not what it leads to.
  return openRotatingFile(realpathSync(path));
}

function openStream(descriptor: number): LogFile {
  let isOpen = true;
  return {
    write(text): void {
      const bytes = Buffer.from(`${text}\n`);
      for (let start = 0; start < bytes.length;) start += writeSync(descriptor, bytes, start);
    },
    isReplaced: () => false,
    close(): void {
      if (isOpen) closeSync(descriptor);
      isOpen = false;
    },
  };
}

// Written by hand, for the rotating sinks of the logging libraries wait until the disk has taken each line:
// a stalled disk, which is when operators need the exporter most, would stall it too.
function openRotatingFile(path: string): LogFile {
  endLastLine(path);
  let descriptor: number | undefined = openSync(path, APPEND);
  let current = fstatSync(descriptor);
  let size = current.size;

  function close(): void {
    const open = descriptor;
    // Its number may be given out again, so it is closed once, whether that works or not.
    descriptor = undefined;
    if (open !== undefined) closeSync(open);
  }

  function rotate(): void {
    close();
    for (let number = OLD_FILES - 1; number > 0; number--) {
      renameIfPresent(`${path}.${number}`, `${path}.${number + 1}`);
    }
    renameIfPresent(path, `${path}.1`);
    descriptor = openSync(path, APPEND);
    current = fstatSync(descriptor);
    size = current.size;
  }

  return {
    write(text): void {
      const bytes = Buffer.from(`${text}\n`);
      if (size > 0 && size + bytes.length > MAXIMUM_FILE_BYTES) rotate();
      if (descriptor === undefined) throw new Error("The log file is closed");
      // A disk that is about to be full takes the first part of a line only, which is taken back.
      try {
        if (writeSync(descriptor, bytes) < bytes.length) throw new PartialWriteError();
      } catch (error) {
        ftruncateSync(descriptor, size);
        throw error;
      }
      size += bytes.length;
    },
    isReplaced(): boolean {
      const found = statSync(path, { throwIfNoEntry: false });
      return found?.ino !== current.ino || found.dev !== current.dev;
    },
    close,
  };
}

class PartialWriteError extends Error {
  readonly code = "ENOSPC";
}

function renameIfPresent(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
  }
}

// A power failure may have cut the last line off, and the next one must not be glued to it.
function endLastLine(path: string): void {
  const { size } = statSync(path);
  if (size === 0) return;
  const lastByte = Buffer.alloc(1);
  const descriptor = openSync(path, constants.O_RDONLY);
  try {
    readSync(descriptor, lastByte, 0, 1, size - 1);
  } finally {
    closeSync(descriptor);
  }
  if (lastByte.toString() !== "\n") appendFileSync(path, "\n");
}

const FAILURE = "Cannot write the log file, lines go to standard error until it can be written";
const RECOVERY =
  "The log file can be written again, the lines since the failure went to standard error";

const PERMISSION_REMEDY =
  "let the exporter's user write the file and its directory, or choose another file with --log";
const SPACE_REMEDY = "make room, or choose a file on another file system with --log";
const NAME_REMEDY = "choose another file with --log";

/** Reason and remedy by the system's error code. */
const FAILURES: Readonly<Record<string, readonly [reason: string, remedy: string]>> = {
  ENOENT: [
    "its directory does not exist",
    "create the directory, or choose another file with --log",
  ],
  ENOTDIR: ["a part of its path is not a directory", NAME_REMEDY],
  EISDIR: [
    "it is a directory, or an old file beside it is",
    "name a file with --log, or move the directory away",
  ],
  ENAMETOOLONG: ["its name is too long", NAME_REMEDY],
  ELOOP: ["its symbolic links lead in a circle", NAME_REMEDY],
  ENXIO: [
    "nobody reads from it, or it is a socket",
    "start its reader, or use --log - for standard error",
  ],
  EAGAIN: ["its reader is too slow", "speed up its reader, or choose another file with --log"],
  EACCES: ["permission denied", PERMISSION_REMEDY],
  EPERM: ["permission denied", PERMISSION_REMEDY],
  EROFS: ["the file system is read-only", "choose a file on another file system with --log"],
  ENOSPC: ["no space is left on the device", SPACE_REMEDY],
  EDQUOT: ["the disk quota is used up", SPACE_REMEDY],
  EFBIG: ["it has reached the limit of file sizes", "raise the limit (ulimit -f)"],
  EMFILE: ["the exporter has too many open files", "raise its limit of open files"],
};

function describeFailure(error: unknown): { readonly reason: string; readonly remedy: string } {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const [reason, remedy] = FAILURES[code] ?? [String(error), NAME_REMEDY];
  return { reason, remedy };
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
