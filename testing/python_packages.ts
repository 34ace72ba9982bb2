/**
 * Packages of Python's that are installed for tests and builds, each set in a folder of its own.
 *
 * @module
 */

import { dirname } from "node:path";

/** What is installed where. */
export interface PythonPackages {
  readonly folder: string;
  /** Names and versions, such as `name==1.0`. */
  readonly requirements: readonly string[];
  /** Further options of pip. */
  readonly options?: readonly string[];
}

/** Whether a set is there already. */
export async function hasPythonPackages(folder: string): Promise<boolean> {
  return await Deno.stat(folder).then(() => true, () => false);
}

/**
 * Installs packages with pip, without those that they need, unless their folder is there.
 *
 * @param install runs pip with these words; it throws when pip fails
 * @returns the folder
 * @throws what `install` throws
 */
export async function ensurePythonPackages(
  { folder, requirements, options = [] }: PythonPackages,
  install: (command: readonly [string, ...string[]]) => Promise<unknown>,
): Promise<string> {
  if (await hasPythonPackages(folder)) return folder;
  await Deno.mkdir(dirname(folder), { recursive: true });
  const unfinished = await Deno.makeTempDir({ dir: dirname(folder), prefix: "unfinished_" });
  try {
    await install([
      "python3",
      "-m",
      "pip",
      "install",
      "--quiet",
      "--disable-pip-version-check",
      "--root-user-action=ignore",
      "--no-deps",
      ...options,
      `--target=${unfinished}`,
      ...requirements,
    ]);
    await Deno.chmod(unfinished, 0o755);
    await Deno.rename(unfinished, folder);
  } catch (error) {
    await Deno.remove(unfinished, { recursive: true });
    // Another process may have been faster, which is as good.
    if (!await hasPythonPackages(folder)) throw error;
  }
  return folder;
}
