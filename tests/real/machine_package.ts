/**
 * Packages for the architecture of this machine.
 *
 * @module
 */

import assert from "node:assert/strict";
import { ARCHITECTURES, buildPackage, type PackageFormat } from "../../scripts/package.ts";
import { VERSION } from "../../src/version.ts";
import { EXECUTABLE } from "../../testing/executable.ts";

/**
 * Makes a package: of the compiled executable and its version, unless others are given.
 *
 * @returns its path
 */
export async function packageForMachine(
  format: PackageFormat,
  outputFolder: string,
  { version = VERSION, executable = EXECUTABLE } = {},
): Promise<string> {
  const architecture = ARCHITECTURES.get(Deno.build.arch);
  assert.ok(architecture !== undefined);
  return await buildPackage(format, {
    version,
    architecture,
    executable,
    outputFolder,
  });
}
