import { randomUUID } from "node:crypto";
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { codeOf, quote } from "../text.ts";

const FILE = "shim.node";
const OWNER_ONLY = 0o700;
const WRITABLE_BY_OTHERS = 0o022;

/** Longer than any exporter takes to unpack the shim. */
const UNPACKING_MILLISECONDS = 60_000;

/** Something of that name is there already, and it belongs to another user. */
export class ForeignPathError extends Error {
  override readonly name = "ForeignPathError";

  constructor(readonly path: string) {
    super(`${quote(path)} is not a directory of this user`);
  }
}

/** The directory in a temporary directory that a user's exporters unpack the shim into. */
export function unpackingDirectory(temporaryDirectory: string, userId: number): string {
  return join(temporaryDirectory, `libvirt_nova_exporter-${userId}`);
}

/**
 * Sees to it that a directory of this user's own has the shim.
 *
 * @param content the shim
 * @param directory see {@linkcode unpackingDirectory}
 * @returns a descriptor of the file, which has just that content
 * @throws {ForeignPathError} when the directory is not this user's
 * @throws {Error} with the operating system's `code` when the shim cannot be unpacked
 */
export function openUnpacked(content: Uint8Array, directory: string, userId: number): number {
  const claimed = claimDirectory(directory, userId);
  try {
    // By its descriptor it stays the same directory, whatever those do who may rename it.
    return openIn(descriptorPath(claimed), content, userId);
  } finally {
    closeSync(claimed);
  }
}

/** A path that leads to what a descriptor of this process has open. */
export function descriptorPath(descriptor: number): string {
  return `/proc/self/fd/${descriptor}`;
}

/** Makes the directory, or takes it over when it is this user's; opens it. */
function claimDirectory(directory: string, userId: number): number {
  try {
    mkdirSync(directory, { mode: OWNER_ONLY });
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
  }
  const descriptor = openDirectory(directory);
  const found = fstatSync(descriptor);
  if (found.uid !== userId) {
    closeSync(descriptor);
    throw new ForeignPathError(directory);
  }
  // Kubernetes gives the group of a pod all rights to its volumes, each time it mounts them.
  if ((found.mode & 0o777) !== OWNER_ONLY) fchmodSync(descriptor, OWNER_ONLY);
  return descriptor;
}

function openDirectory(directory: string): number {
  try {
    return openSync(
      directory,
      constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW,
    );
  } catch (error) {
    if (hasCode(error, "ENOTDIR", "ELOOP", "EACCES")) throw new ForeignPathError(directory);
    throw error;
  }
}

function openIn(directory: string, content: Uint8Array, userId: number): number {
  const file = join(directory, FILE);
  removeUnfinished(directory);
  const present = openIfEqual(file, content, userId);
  if (present !== undefined) return present;
  replaceFile(file, content);
  const written = openIfEqual(file, content, userId);
  if (written === undefined) throw new Error(`"${FILE}" is not what was written to it`);
  return written;
}

/**
 * Opens the file if it has the content. What is loaded later is what was compared here: a descriptor stays with its file,
 * whatever the path leads to by then.
 */
function openIfEqual(file: string, content: Uint8Array, userId: number): number | undefined {
  let descriptor: number;
  try {
    // Without waiting, as it may be a pipe.
    descriptor = openSync(
      file,
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
    );
  } catch (error) {
    if (hasCode(error, "ENOENT", "ELOOP", "EACCES", "ENXIO")) return undefined;
    throw error;
  }
  if (hasContent(descriptor, content, userId)) return descriptor;
  closeSync(descriptor);
  return undefined;
}

function hasContent(descriptor: number, content: Uint8Array, userId: number): boolean {
  const found = fstatSync(descriptor);
  return found.isFile() && found.uid === userId && (found.mode & WRITABLE_BY_OTHERS) === 0 &&
    found.size === content.length && readFileSync(descriptor).equals(content);
}

/**
 * Writes the file beside and renames it: another exporter may have the old one mapped. Others may do so at the same time; the
 * last one stays.
 */
function replaceFile(file: string, content: Uint8Array): void {
  const unfinished = `${file}.${randomUUID()}`;
  const descriptor = openSync(unfinished, "wx", 0o600);
  try {
    writeFileSync(descriptor, content);
    // Some file systems tell only now that they are full.
    fsyncSync(descriptor);
    // A file cannot take the place of a directory.
    if (lstatSync(file, { throwIfNoEntry: false })?.isDirectory()) removeWhole(file);
    renameSync(unfinished, file);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw error;
  } finally {
    closeSync(descriptor);
  }
}

/** Removes what exporters left that were killed as they unpacked, but nothing that one may be writing just now. */
function removeUnfinished(directory: string): void {
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    const changed = lstatSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Infinity;
    if (name.startsWith(`${FILE}.`) && Date.now() - changed > UNPACKING_MILLISECONDS) {
      removeWhole(path);
    }
  }
}

function removeWhole(path: string): void {
  rmSync(path, { recursive: true, force: true });
}

function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return codes.includes(codeOf(error));
}
