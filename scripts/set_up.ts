import { say, step, StepError } from "./progress.ts";

/** The project's folder, without a slash at the end. */
export const ROOT = decodeURIComponent(new URL("..", import.meta.url).pathname).replace(/\/$/, "");

/** Where the executable is built. */
export const EXECUTABLE = `${ROOT}/dist/libvirt_nova_exporter`;

const ADDON = `${ROOT}/native/libvirt_nova_native.node`;
const CLIENT_LIBRARY = "libvirt.so.0";

/** Builds the shim and puts it where the source loads it from. */
export async function buildNative(): Promise<void> {
  if (!await isInstalled("cargo")) {
    throw new StepError(
      "Rust is not installed: install it from https://rustup.rs or your distribution",
    );
  }
  const cargo = ["cargo", "build", "--release", "--locked", "--quiet"] as const;
  await step("Building the libvirt shim", [...cargo], { cwd: `${ROOT}/native` });
  const built = await Deno.readFile(`${ROOT}/native/target/release/liblibvirt_nova_native.so`);
  const present = await Deno.readFile(ADDON).catch(() => undefined);
  if (present !== undefined && equal(built, present)) return;
  // Renamed into place: a running process may have the old one mapped.
  await Deno.writeFile(`${ADDON}.new`, built);
  await Deno.rename(`${ADDON}.new`, ADDON);
}

/** Builds the single executable for this system; on x86-64 it runs on every processor. */
export async function buildExecutable(): Promise<void> {
  const script = `${ROOT}/scripts/compile_executable.mjs`;
  await step("Building the executable", ["node", script], { cwd: ROOT });
}

/** Sees to it that libvirt's client library is there, with the system's package manager when it may. */
export async function ensureClientLibrary(): Promise<void> {
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

/** All that the executable and its tests need. */
export async function setUp(): Promise<void> {
  await ensureClientLibrary();
  await buildNative();
  await buildExecutable();
  const { size } = await Deno.stat(EXECUTABLE);
  say(`Built dist/libvirt_nova_exporter (${Math.round(size / 1e6)} MB)`);
}
