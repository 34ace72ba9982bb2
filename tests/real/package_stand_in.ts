/**
 * Packages around a stand-in for the executable, which is what takes the time.
 *
 * @module
 */

import assert from "node:assert/strict";
import { ARCHITECTURES, buildPackage, type PackageFormat } from "../../scripts/package.ts";
import { ROOT } from "../../scripts/set_up.ts";
import type { TestFolder } from "../support/executable.ts";

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
  const architecture = ARCHITECTURES.get(Deno.build.arch);
  assert.ok(architecture !== undefined);
  const executable = await folder.write("stand_in", `#!/bin/sh\necho '${line}'\n`);
  const outputFolder = await Deno.makeTempDir({ dir: folder.path });
  return await buildPackage(format, {
    version,
    architecture,
    executable,
    addon: `${ROOT}/native/libvirt_nova_native.node`,
    outputFolder,
  });
}
