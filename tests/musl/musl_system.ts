/**
 * A system in a folder whose only C library is musl, with libvirt's client library: what Alpine Linux is to the exporter, built from
 * Debian's sources.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { cacheFolder } from "../../testing/cache.ts";
import { ensureDebian, enterRoot, releaseName } from "../../testing/debian.ts";
import { outputOf } from "../../testing/command.ts";
import { reportProgress } from "../../testing/packages.ts";
import { ensureWheel } from "./wheel.ts";

/** The first release of Debian with a musl that loads what the system's libstdc++ is. */
const MUSL_RELEASE = "trixie";

/** What is installed where the system is built. */
const COMPILERS: readonly string[] = [
  "ca-certificates",
  "dpkg-dev",
  "gcc",
  "libc6-dev",
  "libxml2-utils",
  "linux-libc-dev",
  "make",
  "meson",
  "ninja-build",
  "perl",
  "pkg-config",
  "python3",
  "rpcsvc-proto",
  "xsltproc",
  "xz-utils",
];

/** A package of Python's for musl that brings libstdc++ and libgcc_s along: Debian has neither for musl. */
const LIBRARIES_PACKAGE = "kiwisolver==1.5.1";

const SCRIPT = new URL("build_in_root.sh", import.meta.url);
const BUILD_BOUND_MILLISECONDS = 7_200_000;

/**
 * Returns the folder with the system, and builds it at the first call, which takes some minutes.
 *
 * @throws {Error} with the reason when it cannot be had
 */
export async function ensureMuslSystem(): Promise<string> {
  const script = await Deno.readTextFile(SCRIPT);
  // Then libvirt is the same version as that of this machine, whose virsh it is compared with.
  const release = await releaseName();
  const recipe = [release, MUSL_RELEASE, ...COMPILERS, LIBRARIES_PACKAGE, script].join("\n");
  const digest = createHash("sha256").update(recipe).digest("hex").slice(0, 12);
  const path = `${cacheFolder()}/musl_${digest}`;
  if (await Deno.stat(path).then(() => true, () => false)) return path;
  reportProgress("Building libvirt's client library for musl, which takes some minutes");
  await Deno.mkdir(cacheFolder(), { recursive: true });
  const building = await Deno.makeTempDir({ dir: cacheFolder(), prefix: "musl_building_" });
  try {
    await buildIn(`${building}/debian`, release, script);
    await addLibraries(`${building}/debian/system`);
    await Deno.rename(`${building}/debian/system`, path);
  } finally {
    await mustSucceed("rm", ["-rf", "--one-file-system", building]);
  }
  return path;
}

/** Runs the script in a copy of a Debian with compilers. */
async function buildIn(root: string, release: string, script: string): Promise<void> {
  const debian = await ensureDebian({ suite: release, packages: COMPILERS });
  await mustSucceed("cp", ["--archive", "--no-target-directory", debian, root]);
  // It reaches what this machine reaches.
  for (const file of ["/etc/resolv.conf", "/etc/hosts"]) {
    await Deno.copyFile(file, `${root}${file}`).catch(() => {});
  }
  await Deno.writeTextFile(`${root}/build`, script);
  const [program, ...rest] = enterRoot(root);
  await mustSucceed(program, [...rest, "bash", "/build", release, MUSL_RELEASE]);
}

/** Adds the libraries of the C++ compiler, which have names of their own in the package. */
async function addLibraries(system: string): Promise<void> {
  const files = await ensureWheel(LIBRARIES_PACKAGE);
  const libraries = `${files}/${LIBRARIES_PACKAGE.split("==")[0]}.libs`;
  for (const { name } of Deno.readDirSync(libraries)) {
    await Deno.copyFile(`${libraries}/${name}`, `${system}/lib/${name}`);
    if (usualName(name) !== name) await Deno.symlink(name, `${system}/lib/${usualName(name)}`);
  }
}

/** `libstdc++.so.6` of `libstdc++-5d72f927.so.6.0.33`: without the digest, and with the first part of the version. */
function usualName(name: string): string {
  return name.replace(/-[0-9a-f]+(\.so\.\d+).*$/, "$1");
}

async function mustSucceed(program: string, parameters: readonly string[]): Promise<void> {
  await outputOf(program, parameters, {
    boundMilliseconds: BUILD_BOUND_MILLISECONDS,
    environment: { DEBIAN_FRONTEND: "noninteractive" },
  });
}
