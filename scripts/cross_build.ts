/**
 * Builds the executable for other systems than this one. zig links for all of them. What zig lacks is Rust's standard library
 * for the target: that of this system's Rust is taken where it is installed (`rustup target add`), else it is built along, from
 * its source, by the Rust of Debian's unstable distribution in a folder.
 */
import { cacheFolder } from "../testing/cache.ts";
import { runCommand } from "../testing/command.ts";
import { ensureDebian, enterRoot } from "../testing/debian.ts";
import { OLDEST_GLIBC } from "../testing/glibc.ts";
import { step, StepError } from "../testing/progress.ts";
import { isInstalled, ROOT } from "../testing/set_up.ts";
import { ensureZig, zigIn } from "../testing/zig.ts";

/** A system that can be built for. */
export interface CrossTarget {
  readonly rustTarget: string;
  /** What follows the target's name for zig: a version of the C library. */
  readonly libraryVersion?: string;
  /** What tells npm to install the runtime for it. */
  readonly npmFlags: readonly string[];
}

/** The systems by the names that `compile_executable.mjs` gives them. */
export const CROSS_TARGETS: Readonly<Record<string, CrossTarget>> = {
  "linux-x64-musl": {
    rustTarget: "x86_64-unknown-linux-musl",
    npmFlags: ["--cpu=x64", "--libc=musl"],
  },
  "linux-arm64": {
    rustTarget: "aarch64-unknown-linux-gnu",
    libraryVersion: OLDEST_GLIBC,
    npmFlags: ["--cpu=arm64", "--libc=glibc"],
  },
  "linux-arm64-musl": {
    rustTarget: "aarch64-unknown-linux-musl",
    npmFlags: ["--cpu=arm64", "--libc=musl"],
  },
};

/** What was built. */
export interface CrossBuilt {
  /** Folder in dist/ that is named after the target. */
  readonly folder: string;
  readonly executable: string;
}

/** The standard library's source is of the same version as the compiler, which may then build it. */
const RUST = { suite: "sid", packages: ["ca-certificates", "cargo", "rust-src", "rustc"] };

/** What is copied to compile the executable without a touch to this system's own build. */
const SOURCE = ["mod.ts", "package.json", "package-lock.json", "src"];

/**
 * Builds the executable for a target. It takes some minutes the first time.
 *
 * @throws {StepError} for an unknown target, or when a step fails
 */
export async function crossBuild(name: string): Promise<CrossBuilt> {
  const target = Object.hasOwn(CROSS_TARGETS, name) ? CROSS_TARGETS[name] : undefined;
  if (target === undefined) {
    throw new StepError(
      `Cannot build for "${name}": name one of ${Object.keys(CROSS_TARGETS).join(", ")}`,
    );
  }
  return await compile(name, target, await buildShim(target));
}

/** Builds the shim; returns its path. */
async function buildShim(target: CrossTarget): Promise<string> {
  const output = `${ROOT}/.cache/cross_build/target`;
  const zig = await ensureZig();
  if (await hasStandardLibrary(target)) {
    await runCargo(target, { zig, output, source: `${ROOT}/native` });
  } else {
    await runCargoOfDebian(target, zig, output);
  }
  return `${output}/${target.rustTarget}/release/liblibvirt_nova_native.so`;
}

async function hasStandardLibrary({ rustTarget }: CrossTarget): Promise<boolean> {
  if (!await isInstalled("rustc")) return false;
  const args = ["--print=target-libdir", `--target=${rustTarget}`];
  const { code, output } = await runCommand("rustc", args);
  return code === 0 && await Deno.stat(output.trim()).then(() => true, () => false);
}

/** Where things are for whoever runs cargo. */
interface Places {
  readonly zig: string;
  readonly source: string;
  readonly output: string;
}

async function runCargo(
  { rustTarget, libraryVersion }: CrossTarget,
  { zig, source, output }: Places,
  more: {
    readonly through?: readonly string[];
    readonly environment?: Readonly<Record<string, string>>;
    readonly flags?: readonly string[];
  } = {},
): Promise<void> {
  const { build, environment } = zigIn(zig);
  const variables = {
    ...environment,
    // An addon is loaded into a program, so it shares that program's C library. Rust links musl into each file by default.
    RUSTFLAGS: rustTarget.endsWith("-musl") ? "-C target-feature=-crt-static" : "",
    ...more.environment,
  };
  const version = libraryVersion === undefined ? "" : `.${libraryVersion}`;
  await step(`Building the shim for ${rustTarget}`, [
    ...more.through ?? [],
    "env",
    ...Object.entries(variables).map(([name, value]) => `${name}=${value}`),
    ...build,
    "--release",
    "--locked",
    "--quiet",
    `--manifest-path=${source}/Cargo.toml`,
    `--target-dir=${output}`,
    `--target=${rustTarget}${version}`,
    ...more.flags ?? [],
  ] as [string, ...string[]]);
}

/** The same inside of a Debian, with the source, the output and zig where they are seen there. */
async function runCargoOfDebian(target: CrossTarget, zig: string, output: string): Promise<void> {
  if (Deno.uid() !== 0 || !await isInstalled("mmdebstrap")) {
    throw new StepError(
      `Rust has no standard library for ${target.rustTarget} here: install it with\n` +
        `  rustup target add ${target.rustTarget}\n` +
        `or have it built, by root on Debian with mmdebstrap: apt-get install mmdebstrap`,
    );
  }
  const debian = await ensureDebian(RUST);
  const home = `${cacheFolder()}/cross_build`;
  for (const folder of [home, output]) await Deno.mkdir(folder, { recursive: true });
  const shared: Record<string, string> = {
    "/mnt/home": home,
    "/mnt/output": output,
    "/mnt/source": `${ROOT}/native`,
    "/mnt/zig": zig,
  };
  // It reaches what this machine reaches, and trusts whom it trusts.
  for (const file of ["/etc/resolv.conf", "/etc/ssl/certs/ca-certificates.crt"]) {
    if (await Deno.stat(file).then(() => true, () => false)) shared[file] = file;
  }
  await runCargo(target, { zig: "/mnt/zig", source: "/mnt/source", output: "/mnt/output" }, {
    through: enterRoot(debian, shared),
    environment: {
      HOME: "/mnt/home",
      CARGO_HOME: "/mnt/home/cargo",
      PATH: "/usr/bin:/bin",
      RUSTC_BOOTSTRAP: "1",
    },
    flags: ["-Zbuild-std=std,panic_unwind"],
  });
}
async function compile(name: string, target: CrossTarget, shim: string): Promise<CrossBuilt> {
  const tree = `${ROOT}/.cache/cross_build/${name}`;
  const addon = `${tree}/native/libvirt_nova_native.node`;
  const prepare = `rm -rf "$1/src" && mkdir -p "$1/native" "$1/scripts" &&
    cp -r ${SOURCE.join(" ")} "$1" && cp scripts/compile_executable.mjs "$1/scripts" &&
    cp native/calls.json "$1/native" &&
    cp "$2" "$3"`;
  await step("Copying the source", ["sh", "-c", prepare, "sh", tree, shim, addon], { cwd: ROOT });
  const quiet = ["--no-audit", "--no-fund", "--loglevel=error"];
  await step(
    `Installing the runtime for ${name}`,
    ["npm", "ci", "--ignore-scripts", "--os=linux", ...target.npmFlags, ...quiet],
    { cwd: tree },
  );
  // The compiler is the runtime of this system.
  const copyCompiler = `cp -r node_modules/@oven/bun-linux-x64-baseline "$1/node_modules/@oven/"`;
  await step("Copying the compiler", ["sh", "-c", copyCompiler, "sh", tree], { cwd: ROOT });
  await step(`Building the executable for ${name}`, [
    "node",
    "scripts/compile_executable.mjs",
    name,
  ], { cwd: tree });
  const folder = `${ROOT}/dist/${name}`;
  await Deno.mkdir(folder, { recursive: true });
  const executable = `${folder}/libvirt_nova_exporter`;
  await Deno.copyFile(`${tree}/dist/libvirt_nova_exporter`, executable);
  return { folder, executable };
}
