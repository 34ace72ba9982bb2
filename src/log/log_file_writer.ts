import { Buffer } from "node:buffer";
import { codeOf } from "../text.ts";
import { isDoneWithin } from "../time.ts";
import type { LogFields, LogLevel } from "./line.ts";
import { type LogFile, type LogFileSystem, openLogFile } from "./log_file.ts";

/** Milliseconds after which the next line tries a file that could not be written. */
export const RETRY_MILLISECONDS = 60_000;

/** Milliseconds that one operation may take before standard error gets the lines as well. */
const STALL_MILLISECONDS = 3_000;

/** Milliseconds that closing waits for the lines that are not in the file yet. */
export const CLOSE_MILLISECONDS = 1_000;

/** Lines that may wait for the file. */
export const MAXIMUM_WAITING_LINES = 1_000;

/** Bytes of lines that may wait for the file. */
export const MAXIMUM_WAITING_BYTES = 1_000_000;

/** What a {@linkcode LogFileWriter} needs. */
export interface LogFileWriterOptions {
  readonly path: string;
  /** The clock of the pace of retries. */
  readonly clock: () => Date;
  /** Makes a line of what the writer itself has to say. */
  readonly render: (level: LogLevel, message: string, fields: LogFields) => string;
  /** Takes a line for standard error; does not throw. */
  readonly tell: (line: string) => void;
  /** The system's unless given. */
  readonly fileSystem?: LogFileSystem;
  /** {@linkcode STALL_MILLISECONDS} unless given. */
  readonly stallMilliseconds?: number;
  /** {@linkcode CLOSE_MILLISECONDS} unless given. */
  readonly closeMilliseconds?: number;
}

interface Line {
  readonly kind: "line";
  readonly text: string;
  /** Bytes of the text and its line feed. */
  readonly bytes: number;
  isOnStandardError: boolean;
}

interface Task {
  readonly kind: "task";
  readonly run: () => Promise<void>;
}

/**
 * Writes lines to a log file in the order in which they come, without making those wait who log them.
 *
 * One operation of the file system is outstanding at most, so a stalled disk holds one thread of the runtime's pool.
 * Meanwhile lines wait in memory, and once the stall is noticed they are on standard error as well. Those for which there
 * is no more room are on standard error only, and a line at their place in the file says how many they are.
 *
 * While the file cannot be written the lines go to standard error; one line there says so and why, and one more, in both
 * places, that the file works again. It is tried again by {@linkcode LogFileWriter.reopen} and by the first line that
 * comes {@linkcode RETRY_MILLISECONDS} after the last try.
 */
export class LogFileWriter {
  readonly #options: LogFileWriterOptions;
  /** What is to be done, including what is being written. */
  #queue: readonly (Line | Task)[] = [];
  #isRunning = false;
  #file: LogFile | undefined;
  #failedAt: number | undefined;
  #isStalled = false;
  #missingLines = 0;
  #closing: Promise<void> | undefined;

  /** Begins to open the file. */
  constructor(options: LogFileWriterOptions) {
    this.#options = options;
    this.#enqueueTask(() => this.#tryToWrite([]));
  }

  /** Takes a line without its line feed, for the file or, when that does not work, for standard error. */
  write(text: string): void {
    if (this.#closing !== undefined) return this.#options.tell(text);
    const line: Line = {
      kind: "line",
      text,
      bytes: Buffer.byteLength(text) + 1,
      isOnStandardError: false,
    };
    const hasRoom = this.#hasRoomFor(line);
    if (!hasRoom) this.#noteStall("too many lines wait for it");
    if (this.#isStalled) this.#tellOnce([line]);
    if (hasRoom) this.#enqueue(line);
    else this.#missingLines += 1;
  }

  /**
   * Opens the file anew under its name, once it has taken the lines so far; also tries a failed one.
   *
   * @returns whether that worked
   */
  async reopen(): Promise<boolean> {
    if (this.#closing !== undefined) return false;
    const count = await this.#enqueueTask(async () => {
      await this.#release();
      return await this.#tryToWrite([]);
    });
    return count !== undefined;
  }

  /** Resolves when the lines so far are in the file, or on standard error because that failed. */
  flush(): Promise<void> {
    return this.#enqueueTask(() => Promise.resolve());
  }

  /**
   * Closes the file when it has taken the lines so far. When that takes longer than {@linkcode CLOSE_MILLISECONDS}, what is
   * not in the file is on standard error.
   */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    const { closeMilliseconds = CLOSE_MILLISECONDS } = this.#options;
    const isClosed = await isDoneWithin(
      this.#enqueueTask(() => this.#release()),
      closeMilliseconds,
    );
    if (isClosed) return;
    this.#noteStall(`it has not taken the last lines in ${closeMilliseconds / 1_000} s`);
    // Standard error has the lines, and an operation that ends after all must not go on with them.
    this.#queue = this.#queue.filter(({ kind }) => kind === "task");
    this.#isStalled = false;
  }

  #hasRoomFor({ bytes }: Line): boolean {
    // The lines that are missing in the file are to be missing at one place.
    if (this.#missingLines > 0) return false;
    const waiting = this.#queue.filter(isLine);
    const waitingBytes = waiting.reduce((sum, line) => sum + line.bytes, 0);
    return waiting.length === 0 ||
      waiting.length < MAXIMUM_WAITING_LINES && waitingBytes + bytes <= MAXIMUM_WAITING_BYTES;
  }

  #enqueueTask<Result>(run: () => Promise<Result>): Promise<Result> {
    return new Promise((resolve, reject) =>
      this.#enqueue({ kind: "task", run: () => run().then(resolve, reject) })
    );
  }

  #enqueue(entry: Line | Task): void {
    this.#queue = [...this.#queue, entry];
    if (!this.#isRunning) this.#run();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#queue.length > 0) {
      const { stallMilliseconds = STALL_MILLISECONDS } = this.#options;
      const timer = setTimeout(
        () => this.#noteStall(`an operation takes longer than ${stallMilliseconds / 1_000} s`),
        stallMilliseconds,
      );
      await this.#doNext();
      clearTimeout(timer);
      if (!this.#queue.some(isLine)) this.#noteEndOfStall();
    }
    this.#isRunning = false;
  }

  /** Does what stands first in the queue: a task, or lines. */
  async #doNext(): Promise<void> {
    const [first, ...rest] = this.#queue;
    if (first?.kind === "task") {
      this.#queue = rest;
      return await first.run();
    }
    const beyond = this.#queue.findIndex(({ kind }) => kind === "task");
    const lines = this.#queue.slice(0, beyond < 0 ? undefined : beyond).filter(isLine);
    const count = this.#isResting() ? undefined : await this.#tryToWrite(lines);
    if (count === undefined) this.#tellOnce(lines);
    const done = new Set<Line | Task>(lines.slice(0, count));
    this.#queue = this.#queue.filter((entry) => !done.has(entry));
  }

  /** Writes the first of the lines, or all; returns how many, or undefined when that failed. */
  async #tryToWrite(lines: readonly Line[]): Promise<number | undefined> {
    try {
      return await this.#put(lines.map(({ text }) => text));
    } catch (error) {
      await this.#release();
      const { path, clock, render, tell } = this.#options;
      const isNews = this.#failedAt === undefined;
      this.#failedAt = clock().getTime();
      if (isNews) tell(render("error", FAILURE, { file: path, ...explainFailure(error) }));
      return undefined;
    }
  }

  // Only a line that was written proves that the file works, as even a full disk lets it be opened; and the notice
  // alone would not, as it may still fit where a longer line does not.
  async #put([first, ...rest]: readonly string[]): Promise<number> {
    const { path, render, tell } = this.#options;
    const notice = this.#failedAt === undefined
      ? undefined
      : render("warn", RECOVERY, { file: path });
    const beginning = [notice, first].filter((text) => text !== undefined);
    const file = await this.#opened();
    const count = beginning.length === 0 ? 0 : await file.write([beginning.join("\n"), ...rest]);
    this.#failedAt = undefined;
    if (notice !== undefined) tell(notice);
    return count;
  }

  async #opened(): Promise<LogFile> {
    const { path, fileSystem } = this.#options;
    if (await this.#file?.isReplaced() === true) await this.#release();
    return this.#file ??= await openLogFile(path, fileSystem);
  }

  async #release(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    try {
      await file?.close();
    } catch {
      // Each line is in the file already, and the file is given up whether closing it worked or not.
    }
  }

  // The clock may be set back, which must not put off the next try.
  #isResting(): boolean {
    return this.#failedAt !== undefined &&
      Math.abs(this.#options.clock().getTime() - this.#failedAt) < RETRY_MILLISECONDS;
  }

  #noteStall(reason: string): void {
    if (this.#isStalled) return;
    this.#isStalled = true;
    const { path, render, tell } = this.#options;
    tell(render("error", STALL, { file: path, reason, remedy: STALL_REMEDY }));
    this.#tellOnce(this.#queue.filter(isLine));
  }

  #noteEndOfStall(): void {
    if (!this.#isStalled) return;
    const missingLines = this.#missingLines;
    this.#isStalled = false;
    this.#missingLines = 0;
    // What is said of a file that cannot be written says enough.
    if (this.#failedAt !== undefined) return;
    const { path, render } = this.#options;
    const text = render("warn", END_OF_STALL, { file: path, missingLines });
    const line: Line = {
      kind: "line",
      text,
      bytes: Buffer.byteLength(text) + 1,
      isOnStandardError: false,
    };
    this.#tellOnce([line]);
    this.#queue = [line, ...this.#queue];
  }

  #tellOnce(lines: readonly Line[]): void {
    for (const line of lines.filter(({ isOnStandardError }) => !isOnStandardError)) {
      line.isOnStandardError = true;
      this.#options.tell(line.text);
    }
  }
}

function isLine(entry: Line | Task): entry is Line {
  return entry.kind === "line";
}

const FAILURE = "Cannot write the log file, lines go to standard error until it can be written";
const RECOVERY =
  "The log file can be written again, the lines since the failure went to standard error";
const STALL = "The log file does not take lines, they go to standard error too until it does";
const END_OF_STALL = "The log file takes lines again, missing ones are on standard error only";

const STALL_REMEDY = "thaw its file system or mend its disk, or choose another file with --log";
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

function explainFailure(error: unknown): { readonly reason: string; readonly remedy: string } {
  const [reason, remedy] = FAILURES[codeOf(error)] ?? [String(error), NAME_REMEDY];
  return { reason, remedy };
}
