import { Buffer } from "node:buffer";
import { closeSync, constants, fstatSync, openSync, write, writeSync } from "node:fs";
import { isDoneWithin } from "../time.ts";
import {
  CLOSE_MILLISECONDS,
  MAXIMUM_WAITING_BYTES,
  MAXIMUM_WAITING_LINES,
} from "./log_file_writer.ts";

const STANDARD_ERROR = 2;

/** What may wait for standard error: all that waits for a log file when that stalls comes at once, and as much again. */
const MAXIMUM_LINES = 2 * MAXIMUM_WAITING_LINES;
const MAXIMUM_BYTES = 2 * MAXIMUM_WAITING_BYTES;

/** Standard error for a process that must not be held up by it. */
export interface StandardError {
  /**
   * Takes a line without its line feed. Gives it up, by throwing or silently, when standard error cannot be written or too much
   * waits for it.
   */
  readonly write: (line: string) => void;
  /** Resolves when the lines so far are written or given up, after {@linkcode CLOSE_MILLISECONDS} at the latest. */
  readonly flush: () => Promise<void>;
}

/**
 * Standard error as it is at the start of a process that serves. What cannot be asked not to block, a file on a disk that
 * stalls or a socket that nobody reads, is written away from the JavaScript thread, one line at a time.
 */
export function openStandardError(): StandardError {
  return mayBlock(STANDARD_ERROR)
    ? waitingStandardError()
    : { write: writeToStandardError, flush: () => Promise.resolve() };
}

function mayBlock(descriptor: number): boolean {
  try {
    const kind = fstatSync(descriptor);
    return kind.isFile() || kind.isSocket();
  } catch {
    return false;
  }
}

function waitingStandardError(): StandardError {
  /** The first one is being written. */
  const waiting: Buffer[] = [];
  let waitingBytes = 0;
  let written = Promise.resolve();

  async function writeAll(): Promise<void> {
    for (let line = waiting[0]; line !== undefined; line = waiting[0]) {
      await writeWhole(line);
      waiting.shift();
      waitingBytes -= line.length;
    }
  }

  return {
    write(text): void {
      const line = Buffer.from(`${text}\n`);
      const isFull = waiting.length >= MAXIMUM_LINES || waitingBytes + line.length > MAXIMUM_BYTES;
      if (waiting.length > 0 && isFull) return;
      waitingBytes += line.length;
      if (waiting.push(line) === 1) written = writeAll();
    },
    async flush(): Promise<void> {
      await isDoneWithin(written, CLOSE_MILLISECONDS);
    },
  };
}

async function writeWhole(line: Buffer): Promise<void> {
  for (let left = line; left.length > 0;) {
    const count = await writeSome(left);
    // There is nowhere left to say so.
    if (count === undefined) return;
    left = left.subarray(count);
  }
}

/** How many bytes were written; undefined when none could be. Deno, unlike Bun, writes them on the JavaScript thread. */
function writeSome(bytes: Buffer): Promise<number | undefined> {
  return new Promise((resolve) => {
    write(STANDARD_ERROR, bytes, 0, bytes.length, null, (error, count) => {
      resolve(error === null || error === undefined ? count : undefined);
    });
  });
}

/**
 * Writes a line to standard error at once; a file or a socket that does not take it holds up the process. Unlike
 * `process.stderr`, which raises an error event later when its reader has gone, this fails by throwing, which a log copes with.
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

/**
 * Writes a line to standard error, or gives it up when that cannot be written.
 *
 * @param write as a process does that must not be held up, see {@linkcode openStandardError}
 */
export function tellOnStandardError(
  line: string,
  write: StandardError["write"] = writeToStandardError,
): void {
  try {
    write(line);
  } catch {
    // There is nowhere left to say so.
  }
}
