/**
 * The linker that is not this system's: zig brings the interfaces of every glibc and of musl for each architecture, and
 * cargo-zigbuild lets cargo use it. So what is built does not depend on the system that builds it.
 */
import { cacheFolder } from "./cache.ts";
import { step, StepError } from "./progress.ts";
import { ensurePythonPackages, hasPythonPackages } from "./python_packages.ts";

/** The packages, which hold the programs themselves. Both come for x86-64 and arm64. */
const PACKAGES = ["cargo-zigbuild==0.24.1", "ziglang==0.17.1"] as const;

/** Where the packages are installed: 420 MB. */
function zigFolder(): string {
  return `${cacheFolder()}/${PACKAGES.join("+").replaceAll("==", "-")}`;
}

/** A way to run cargo. */
export interface Linker {
  /** The words that come before the arguments of `cargo build`. */
  readonly build: readonly [string, ...string[]];
  readonly environment: Readonly<Record<string, string>>;
}

/** The words and variables that build with zig, whose packages are in a folder. */
export function zigIn(folder: string): Linker {
  return {
    build: [`${folder}/bin/cargo-zigbuild`, "zigbuild"],
    environment: { CARGO_ZIGBUILD_ZIG_PATH: `${folder}/ziglang/zig` },
  };
}

/**
 * Installs zig unless it is there.
 *
 * @returns its folder
 * @throws {StepError} without Python, or when its packages cannot be had
 */
export async function ensureZig(): Promise<string> {
  const packages = {
    folder: zigFolder(),
    requirements: PACKAGES,
    options: ["--only-binary=:all:"],
  };
  try {
    return await ensurePythonPackages(
      packages,
      (command) => step("Installing the linker zig (100 MB)", command),
    );
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    throw new StepError(
      `${error.message}\nzig comes through pip: install Python 3 with pip (Debian: apt-get install python3-pip)`,
    );
  }
}

/** Whether zig is there without being installed first. */
export async function hasZig(): Promise<boolean> {
  return await hasPythonPackages(zigFolder());
}
