/**
 * Makes all files of a release in dist/release/: packages, executables, the lists of what is in them, and checksums.
 * `--check` makes them twice from nothing and compares the bytes; `--checksums` only writes the checksums of what is there.
 * Names of systems, such as `linux-arm64`, leave out the others.
 */
import { main, say, step, StepError } from "../testing/progress.ts";
import { ROOT } from "../testing/set_up.ts";
import { VERSION } from "../src/version.ts";
import { CROSS_TARGETS } from "./cross_build.ts";
import { checksums } from "./package.ts";
import { differences, releaseName } from "./release_files.ts";

const FOLDER = `${ROOT}/dist/release`;

/** The system that is built on, and those that are built for on it. */
const HERE = "linux-x64";
const TARGETS: readonly string[] = [HERE, ...Object.keys(CROSS_TARGETS)];

/** What compilers keep, so that a second build would compile nothing. */
const KEPT = ["native/target", "native/libvirt_nova_native.node", ".cache/cross_build"];

await main(async () => {
  const modes = Deno.args.filter((argument) => argument.startsWith("-"));
  const named = Deno.args.filter((argument) => !argument.startsWith("-"));
  const wrong = modes.find((mode) => !["--check", "--checksums"].includes(mode)) ??
    named.find((target) => !TARGETS.includes(target));
  if (wrong !== undefined) {
    throw new StepError(
      `Cannot release "${wrong}": name systems of ${TARGETS.join(", ")}, or none`,
    );
  }
  const targets = named.length === 0 ? TARGETS : named;
  if (!modes.includes("--checksums")) await makeRelease(targets);
  if (modes.includes("--check")) await compareWithSecond(targets);
  await writeChecksums();
});

/** Makes the files, with nothing left of builds before. */
async function makeRelease(targets: readonly string[]): Promise<void> {
  await remove(FOLDER);
  for (const path of KEPT) await remove(`${ROOT}/${path}`);
  await Deno.mkdir(FOLDER, { recursive: true });
  for (const target of targets) {
    if (target === HERE) await makePackages([], `${ROOT}/dist`, target);
    else await makePackages(["--target", target], `${ROOT}/dist/${target}`, target);
  }
}

/** Packages for one system, and copies what was made. */
async function makePackages(
  flags: readonly string[],
  folder: string,
  target: string,
): Promise<void> {
  await step(`Making the packages for ${target}`, [
    Deno.execPath(),
    "run",
    "-A",
    `${ROOT}/scripts/package.ts`,
    ...flags,
  ], { cwd: ROOT });
  const sums = await Deno.readTextFile(`${folder}/SHA256SUMS`);
  for (const [, name = ""] of sums.matchAll(/^\w+ {2}(.+)$/gm)) {
    await Deno.copyFile(`${folder}/${name}`, `${FOLDER}/${releaseName(name, VERSION, target)}`);
  }
}

/** Makes the files once more, and fails when a byte differs. */
async function compareWithSecond(targets: readonly string[]): Promise<void> {
  const first = await readSums();
  await makeRelease(targets);
  const different = differences(first, await readSums());
  if (different.length > 0) {
    throw new StepError(`Made twice, these files differ: ${different.join(", ")}`);
  }
  say(`Made twice, ${first.split("\n").length - 1} files are the same to the byte`);
}

async function readSums(): Promise<string> {
  const names = Array.from(Deno.readDirSync(FOLDER), ({ name }) => name);
  return await checksums(
    names.filter((name) => name !== "SHA256SUMS").map((name) => `${FOLDER}/${name}`),
  );
}

async function writeChecksums(): Promise<void> {
  await Deno.writeTextFile(`${FOLDER}/SHA256SUMS`, await readSums());
  for (const { name } of Deno.readDirSync(FOLDER)) say(`Made dist/release/${name}`);
}

async function remove(path: string): Promise<void> {
  await Deno.remove(path, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}
