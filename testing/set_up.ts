import { glibcVersions, OLDEST_GLIBC, requireOldGlibc } from "./glibc.ts";
import { say, step, StepError } from "./progress.ts";
import { ensureZig, hasZig, zigIn } from "./zig.ts";

/** The project's folder, without a slash at the end. */
export const ROOT = decodeURIComponent(new URL("..", import.meta.url).pathname).replace(/\/$/, "");

/** Where the executable is built. */
export const EXECUTABLE = `${ROOT}/dist/libvirt_nova_exporter`;

const ADDON = `${ROOT}/native/libvirt_nova_native.node`;
const CLIENT_LIBRARY = "libvirt.so.0";

/** What the shim is linked by, and so where it can be loaded. */
export type Linking =
  /** zig, for glibc from {@linkcode OLDEST_GLIBC} on. */
  | "portable"
  /** The same where zig is installed, else this system's linker: what comes out may need this system's glibc. */
  | "quick";

/** Builds the shim and puts it where the source loads it from. */
export async function buildNative(linking: Linking = "portable"): Promise<void> {
  if (!await isInstalled("cargo")) {
    throw new StepError(
      "Rust is not installed: install it from https://rustup.rs or your distribution",
    );
  }
  const isPortable = linking === "portable" || await hasZig();
  const built = await Deno.readFile(isPortable ? await linkPortably() : await linkHere());
  const present = await Deno.readFile(ADDON).catch(() => undefined);
  if (present !== undefined && equal(built, present)) return;
  // Renamed into place: a running process may have the old one mapped.
  await Deno.writeFile(`${ADDON}.new`, built);
  await Deno.rename(`${ADDON}.new`, ADDON);
}

const NATIVE = `${ROOT}/native`;
const RELEASE = ["--release", "--locked", "--quiet"] as const;
const SHIM = "release/liblibvirt_nova_native.so";

async function linkPortably(): Promise<string> {
  const { build, environment } = zigIn(await ensureZig());
  const target = `${Deno.build.arch}-unknown-linux-gnu`;
  await step("Building the libvirt shim", [
    ...build,
    ...RELEASE,
    `--target=${target}.${OLDEST_GLIBC}`,
  ], { cwd: NATIVE, env: { ...environment } });
  const shim = `${NATIVE}/target/${target}/${SHIM}`;
  await requireOldGlibc(shim);
  return shim;
}

async function linkHere(): Promise<string> {
  await step("Building the libvirt shim", ["cargo", "build", ...RELEASE], { cwd: NATIVE });
  return `${NATIVE}/target/${SHIM}`;
}

/** Builds the single executable for this system; on x86-64 it runs on every processor. */
export async function buildExecutable(): Promise<void> {
  const script = `${ROOT}/scripts/compile_executable.mjs`;
  await step("Building the executable", ["node", script], { cwd: ROOT });
}

/** Sees to it that libvirt's client library is there, with the system's package manager when it may. */
async function ensureClientLibrary(): Promise<void> {
  if (hasClientLibrary()) return;
  const install = await installCommand();
  if (install === undefined) {
    throw new StepError(
      `libvirt's client library (${CLIENT_LIBRARY}) is missing: install it with your package manager`,
    );
  }
  if (Deno.uid() !== 0) {
    const command = install.map((words) => `sudo ${words.join(" ")}`).join(" && ");
    throw new StepError(
      `libvirt's client library (${CLIENT_LIBRARY}) is missing: install it with\n  ${command}`,
    );
  }
  for (const [position, command] of install.entries()) {
    const isLast = position === install.length - 1;
    await step(
      isLast ? "Installing libvirt's client library" : "Reading the package lists",
      command,
      {
        env: { DEBIAN_FRONTEND: "noninteractive" },
      },
    );
  }
  if (!hasClientLibrary()) {
    throw new StepError(`${CLIENT_LIBRARY} is still missing after its package was installed`);
  }
}

function hasClientLibrary(): boolean {
  try {
    Deno.dlopen(CLIENT_LIBRARY, {}).close();
    return true;
  } catch {
    return false;
  }
}

type Command = readonly [string, ...string[]];

/** The commands that install the client library here, for the first package manager that is found. */
async function installCommand(): Promise<readonly Command[] | undefined> {
  const managers: readonly [string, readonly Command[]][] = [
    ["apt-get", [
      // One unreachable third-party list must not keep Debian's own from being used.
      ["sh", "-c", "apt-get update -qq || true"],
      ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "libvirt0"],
    ]],
    ["dnf", [["dnf", "install", "-y", "-q", "libvirt-libs"]]],
    ["apk", [["apk", "add", "--quiet", "libvirt-libs"]]],
    ["zypper", [["zypper", "--non-interactive", "install", "libvirt-libs"]]],
    ["pacman", [["pacman", "-S", "--noconfirm", "libvirt"]]],
  ];
  for (const [manager, commands] of managers) {
    if (await isInstalled(manager)) return commands;
  }
  return undefined;
}

/** Whether a program is in one of the folders of a path. */
export async function isInstalled(
  program: string,
  path: string = Deno.env.get("PATH") ?? "",
): Promise<boolean> {
  for (const folder of path.split(":")) {
    const found = await Deno.stat(`${folder}/${program}`).catch(() => undefined);
    if (found?.isFile === true) return true;
  }
  return false;
}

function equal(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, position) => byte === right[position]);
}

/** What can be built: each is part of the next. */
export type BuildTarget = "nothing" | "shim" | "executable";

/** Builds something, and installs the client library of libvirt that it needs. */
export async function setUpFor(target: BuildTarget, linking: Linking = "portable"): Promise<void> {
  if (target === "nothing") return;
  await ensureClientLibrary();
  await buildNative(linking);
  if (target === "shim") return;
  await buildExecutable();
  const glibc = glibcVersions(await Deno.readFile(EXECUTABLE)).at(-1);
  const { size } = await Deno.stat(EXECUTABLE);
  say(
    `Built dist/libvirt_nova_exporter (${Math.round(size / 1e6)} MB, for glibc ${glibc} or later)`,
  );
}
