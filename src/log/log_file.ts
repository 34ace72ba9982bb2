import { Buffer } from "node:buffer";
import { constants } from "node:fs";
import * as promises from "node:fs/promises";
import { codeOf } from "../text.ts";

/** What a log file needs of the file system. */
export type LogFileSystem = Pick<typeof promises, "open" | "realpath" | "rename" | "stat">;

/** An open log file, which waits for the disk without holding up the JavaScript thread. One call at a time. */
export interface LogFile {
  /**
   * Adds the first of these texts, and those after it that the same file has room for.
   *
   * @param texts at least one; each is one or more lines, without their last line feed
   * @returns how many are in the file now
   * @throws {Error} when they are not in the file as a whole; then no part of them is in a regular file
   */
  write(texts: readonly string[]): Promise<number>;
  /** Says whether the path leads to another file by now, or to none. */
  isReplaced(): Promise<boolean>;
  /** Closes the file unless it is closed already. */
  close(): Promise<void>;
}

/** Size in bytes that a log file never exceeds: the line that would is the first of the next file. */
export const MAXIMUM_FILE_BYTES = 3_000_000;

/** Old files kept beside the log file: `.1`, the newest, to `.4`. */
export const OLD_FILES = 4;

const APPEND = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND;

/** To read back as well, see {@linkcode RotatingFile}. */
const APPEND_AND_READ = constants.O_RDWR | constants.O_CREAT | constants.O_APPEND;

/**
 * Opens a file to append to, or makes it. A regular file is rotated at {@linkcode MAXIMUM_FILE_BYTES}.
 *
 * @param fileSystem the system's, but for tests
 * @throws {Error} with the system's code when it cannot be opened
 */
export async function openLogFile(
  path: string,
  fileSystem: LogFileSystem = promises,
): Promise<LogFile> {
  // Without O_NONBLOCK a FIFO that nobody reads would hold up the opening for ever.
  const handle = await fileSystem.open(path, APPEND | constants.O_NONBLOCK);
  // Rotation would rename what is not a regular file, and /dev/null is every program's.
  if (!(await handle.stat()).isFile()) return new Stream(handle);
  await handle.close();
  // Rotation would rename a symbolic link, such as /dev/stdout, and not what it leads to.
  const realPath = await fileSystem.realpath(path);
  await endLastLine(realPath, fileSystem);
  return new RotatingFile(realPath, fileSystem, await openAtEnd(realPath, fileSystem));
}

class Stream implements LogFile {
  #handle: promises.FileHandle | undefined;

  constructor(handle: promises.FileHandle) {
    this.#handle = handle;
  }

  async write(texts: readonly string[]): Promise<number> {
    if (this.#handle === undefined) throw new ClosedError();
    await this.#handle.appendFile(toBytes(texts));
    return texts.length;
  }

  isReplaced(): Promise<boolean> {
    return Promise.resolve(false);
  }

  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }
}

interface OpenFile {
  readonly handle: promises.FileHandle;
  readonly device: number;
  readonly inode: number;
}

// Written by hand, as the rotating sinks of the logging libraries wait for the disk on the JavaScript thread: a stalled
// disk, which is when operators need the exporter most, would stall it too.
class RotatingFile implements LogFile {
  readonly #path: string;
  readonly #fileSystem: LogFileSystem;
  #current: OpenFile | undefined;

  constructor(path: string, fileSystem: LogFileSystem, current: OpenFile) {
    this.#path = path;
    this.#fileSystem = fileSystem;
    this.#current = current;
  }

  async write(texts: readonly string[]): Promise<number> {
    const [first = ""] = texts;
    if (this.#current === undefined) throw new ClosedError();
    // Others may have cut it meanwhile, as logrotate's "copytruncate" does.
    const { size } = await this.#current.handle.stat();
    const isFull = size > 0 && size + byteLength(first) > MAXIMUM_FILE_BYTES;
    const { handle } = isFull ? await this.#rotate() : this.#current;
    const begin = isFull ? 0 : size;
    const count = fittingCount(texts, MAXIMUM_FILE_BYTES - begin);
    try {
      await handle.appendFile(toBytes(texts.slice(0, count)));
    } catch (error) {
      await cutBack(handle, begin);
      throw error;
    }
    return count;
  }

  async isReplaced(): Promise<boolean> {
    try {
      const { ino, dev } = await this.#fileSystem.stat(this.#path);
      return ino !== this.#current?.inode || dev !== this.#current.device;
    } catch (error) {
      if (isMissing(error)) return true;
      throw error;
    }
  }

  async close(): Promise<void> {
    const file = this.#current;
    // Its number may be given out again, so it is closed once, whether that works or not.
    this.#current = undefined;
    await file?.handle.close();
  }

  async #rotate(): Promise<OpenFile> {
    await this.close();
    for (let number = OLD_FILES - 1; number > 0; number--) {
      await this.#renameIfPresent(`${this.#path}.${number}`, `${this.#path}.${number + 1}`);
    }
    await this.#renameIfPresent(this.#path, `${this.#path}.1`);
    return this.#current = await openAtEnd(this.#path, this.#fileSystem);
  }

  async #renameIfPresent(from: string, to: string): Promise<void> {
    try {
      await this.#fileSystem.rename(from, to);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
}

/**
 * Takes back what a disk that is about to be full took: the first part of a line. A file that others have cut meanwhile is
 * not lengthened, which would fill it with zeros; and if that came between looking and cutting, it is emptied once more.
 */
async function cutBack(handle: promises.FileHandle, size: number): Promise<void> {
  if ((await handle.stat()).size <= size) return;
  await handle.truncate(size);
  if (size === 0) return;
  const lastByte = Buffer.alloc(1, "\n");
  await handle.read(lastByte, 0, 1, size - 1);
  if (lastByte[0] === 0) await handle.truncate(0);
}

class ClosedError extends Error {
  constructor() {
    super("The log file is closed");
  }
}

async function openAtEnd(path: string, fileSystem: LogFileSystem): Promise<OpenFile> {
  const handle = await fileSystem.open(path, APPEND_AND_READ);
  const { dev, ino } = await handle.stat();
  return { handle, device: dev, inode: ino };
}

// A power failure may have cut the last line off, and the next one must not be glued to it.
async function endLastLine(path: string, fileSystem: LogFileSystem): Promise<void> {
  const { size } = await fileSystem.stat(path);
  if (size === 0) return;
  const lastByte = Buffer.alloc(1);
  const reader = await fileSystem.open(path, constants.O_RDONLY);
  try {
    await reader.read(lastByte, 0, 1, size - 1);
  } finally {
    await reader.close();
  }
  if (lastByte.toString() === "\n") return;
  const { handle } = await openAtEnd(path, fileSystem);
  try {
    await handle.appendFile("\n");
  } finally {
    await handle.close();
  }
}

/** How many texts from the first on `room` bytes take; at least the first, however long it is. */
function fittingCount([first = "", ...rest]: readonly string[], room: number): number {
  let left = room - byteLength(first);
  const beyond = rest.findIndex((text) => {
    left -= byteLength(text);
    return left < 0;
  });
  return 1 + (beyond < 0 ? rest.length : beyond);
}

function toBytes(texts: readonly string[]): Buffer {
  return Buffer.from(texts.map((text) => `${text}\n`).join(""));
}

/** Bytes of a text and its line feed. */
function byteLength(text: string): number {
  return Buffer.byteLength(text) + 1;
}

function isMissing(error: unknown): boolean {
  return codeOf(error) === "ENOENT";
}
