/** The GNU C library that the executable asks for. */
import { StepError } from "./progress.ts";

/**
 * The oldest release that the executable runs with. Rust's standard library and Bun's runtime need just this one, so an older
 * one would gain nothing.
 */
export const OLDEST_GLIBC = "2.17";

/** What a program's strings call a version of glibc's interface: a number, or the name of something that came later. */
const VERSION_NAME = /GLIBC_(2\.\d+(?:\.\d+)?|[A-Z]\w*)\0/g;

/**
 * Finds the versions of glibc that a program's symbols name, and those of every library that is embedded in it.
 *
 * @param content the program's file
 * @returns such as `2.2.5`, oldest first; the names without a number come last
 */
export function glibcVersions(content: Uint8Array): readonly string[] {
  const text = new TextDecoder("latin1").decode(content);
  const names = new Set(Array.from(text.matchAll(VERSION_NAME), ([, name = ""]) => name));
  return [...names].sort(compareVersions);
}

/**
 * Fails when a file needs a newer glibc than is promised.
 *
 * @throws {StepError} with the version that it needs
 */
export async function requireOldGlibc(
  path: string,
  promised: string = OLDEST_GLIBC,
): Promise<void> {
  const newest = glibcVersions(await Deno.readFile(path)).at(-1);
  if (newest === undefined) {
    throw new StepError(`"${path}" needs no version of glibc: build it for glibc`);
  }
  if (compareVersions(newest, promised) > 0) {
    throw new StepError(
      `"${path}" needs GLIBC_${newest}, and ${promised} is promised: build it with "npm run build"`,
    );
  }
}

function compareVersions(left: string, right: string): number {
  const [lefts, rights] = [numbersOf(left), numbersOf(right)];
  const position = [0, 1, 2].find((one) => lefts[one] !== rights[one]);
  if (position === undefined) return 0;
  return (lefts[position] ?? 0) < (rights[position] ?? 0) ? -1 : 1;
}

/** What is no number is newer than every number. */
function numbersOf(version: string): readonly number[] {
  const numbers = version.split(".").map((part) => /^\d+$/.test(part) ? Number(part) : Infinity);
  return [...numbers, 0, 0];
}
