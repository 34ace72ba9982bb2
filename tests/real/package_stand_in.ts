/**
 * Packages around a stand-in for the executable, which is what takes the time.
 *
 * @module
 */

import type { PackageFormat } from "../../scripts/package.ts";
import type { TestFolder } from "../../testing/executable.ts";
import { packageForMachine } from "./machine_package.ts";

/**
 * Makes the package of a version, whose executable prints a line.
 *
 * @returns its path, in a folder of its own name in the test's
 */
export async function packageStandIn(
  folder: TestFolder,
  format: PackageFormat,
  version: string,
  line: string,
): Promise<string> {
  const executable = await folder.write("stand_in", `#!/bin/sh\necho '${line}'\n`);
  const outputFolder = await Deno.makeTempDir({ dir: folder.path });
  return await packageForMachine(format, outputFolder, { version, executable });
}
