/**
 * Packages of Python's that bring programs and libraries for musl, which Debian has not.
 *
 * @module
 */

import { cacheFolder } from "../../testing/cache.ts";
import { outputOf } from "../../testing/command.ts";
import { ensurePythonPackages } from "../../testing/python_packages.ts";

const DOWNLOAD_BOUND_MILLISECONDS = 600_000;

/**
 * Returns the folder with the files of a package for musl, and downloads it at the first call.
 *
 * @param requirement name and version, such as `name==1.0`
 * @throws {Error} with the reason when it cannot be had
 */
export async function ensureWheel(requirement: string): Promise<string> {
  const folder = `${cacheFolder()}/musl_${requirement.replace("==", "-")}`;
  const options = [
    "--only-binary=:all:",
    "--platform=musllinux_1_2_x86_64",
    "--python-version=3.11",
  ];
  return await ensurePythonPackages(
    { folder, requirements: [requirement], options },
    ([program, ...words]) =>
      outputOf(program, words, { boundMilliseconds: DOWNLOAD_BOUND_MILLISECONDS }),
  );
}
