import {
  formatLine,
  LOG_LEVELS,
  type LogFields,
  type LogFormat,
  type LogLevel,
  type LogWriter,
} from "./line.ts";
import { LogFileWriter } from "./log_file_writer.ts";

/** Takes lines; no method throws, whatever happens to the file or to standard error. */
export interface Log extends LogWriter {
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
  /** Takes one line without its line feed, such as `writeToStandardError`. */
  readonly standardError: (line: string) => void;
  /** The clock of the lines and of the pace of retries. */
  readonly now?: () => Date;
}

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
