/**
 * Builds the executable for other systems than this one, as root on Debian for x86-64. The shim is compiled in a folder with
 * Debian's unstable distribution, as it has the source of Rust's standard library, which is built along: Debian has it
 * compiled for few systems only.
 */
import { step, StepError } from "./progress.ts";
import { isInstalled, ROOT } from "./set_up.ts";

/** A system that can be built for. */
export interface CrossTarget {
  readonly rustTarget: string;
  readonly rustFlags: string;
  /** What tells npm to install the runtime for it. */
  readonly npmFlags: readonly string[];
}

/** The systems by the names that `compile_executable.mjs` gives them. */
export const CROSS_TARGETS: Readonly<Record<string, CrossTarget>> = {
  "linux-x64-musl": {
    rustTarget: "x86_64-unknown-linux-musl",
    // An addon is loaded into a program, so it shares that program's C library. The folder has a libgcc_s to link to;
    // the one that is loaded is that of the target.
    rustFlags: "-C target-feature=-crt-static -C linker=musl-gcc -C link-arg=-L/build/link",
    npmFlags: ["--cpu=x64", "--libc=musl"],
  },
  "linux-arm64": {
    rustTarget: "aarch64-unknown-linux-gnu",
    rustFlags: "-C linker=aarch64-linux-gnu-gcc",
    npmFlags: ["--cpu=arm64", "--libc=glibc"],
  },
};

/** What was built. */
export interface CrossBuilt {
  /** Folder in dist/ that is named after the target. */
  readonly folder: string;
  readonly executable: string;
  /** The shim that is inside it. */
  readonly addon: string;
}

const CACHE = `${ROOT}/.cache/cross_build`;
const DEBIAN = `${CACHE}/debian`;
const DEBIAN_PACKAGES = [
  "ca-certificates",
  "cargo",
  "gcc",
  "gcc-aarch64-linux-gnu",
  "libc6-dev-arm64-cross",
  "musl-tools",
  "rust-src",
  "rustc",
];

/** What is copied to compile the executable without a touch to this system's own build. */
const SOURCE = ["mod.ts", "package.json", "package-lock.json", "src"];

/**
 * Builds the executable for a target. It takes some minutes the first time.
 *
 * @throws {StepError} for an unknown target, or when a step fails
 */
export async function crossBuild(name: string): Promise<CrossBuilt> {
  const target = CROSS_TARGETS[name];
  if (target === undefined) {
    throw new StepError(
      `Cannot build for "${name}": name one of ${Object.keys(CROSS_TARGETS).join(", ")}`,
    );
  }
  if (Deno.uid() !== 0 || !await isInstalled("mmdebstrap")) {
    throw new StepError(
      "Another system is built for by root on Debian, with mmdebstrap: apt-get install mmdebstrap",
    );
  }
  await ensureDebian();
  const shim = await buildShim(target);
  return await compile(name, target, shim);
}

async function ensureDebian(): Promise<void> {
  if (await exists(`${DEBIAN}/usr/bin/cargo`)) return;
  await Deno.mkdir(CACHE, { recursive: true });
  await step("Unpacking Debian's compilers", [
    "mmdebstrap",
    "--variant=minbase",
    // A mirror may lag behind for weeks. Signatures are checked all the same.
    '--aptopt=Acquire::Check-Valid-Until "false"',
    `--include=${DEBIAN_PACKAGES.join(",")}`,
    "sid",
    `${DEBIAN}.new`,
  ]);
  await Deno.rename(`${DEBIAN}.new`, DEBIAN);
}

/** Builds the shim; returns its path. */
async function buildShim({ rustTarget, rustFlags }: CrossTarget): Promise<string> {
  // It reaches what this machine reaches, and trusts whom it trusts.
  for (const file of ["/etc/resolv.conf", "/etc/ssl/certs/ca-certificates.crt"]) {
    if (await exists(file)) await Deno.copyFile(file, `${DEBIAN}${file}`);
  }
  const native = `${DEBIAN}/build/native`;
  const prepare = `mkdir -p "$1" "$2/build/link" &&
    cp -r native/src native/build.rs native/Cargo.toml native/Cargo.lock "$1" &&
    ln -sf /lib/x86_64-linux-gnu/libgcc_s.so.1 "$2/build/link/libgcc_s.so"`;
  await step("Copying the shim's source", ["sh", "-c", prepare, "sh", native, DEBIAN], {
    cwd: ROOT,
  });
  await step(`Building the shim for ${rustTarget}`, [
    "chroot",
    DEBIAN,
    "env",
    "HOME=/root",
    "CARGO_HOME=/var/lib/cargo",
    // The standard library's source is of the same version as the compiler, which may then build it.
    "RUSTC_BOOTSTRAP=1",
    `RUSTFLAGS=${rustFlags}`,
    "cargo",
    "build",
    "--manifest-path=/build/native/Cargo.toml",
    "--release",
    "--locked",
    "--quiet",
    "-Zbuild-std=std,panic_abort",
    `--target=${rustTarget}`,
  ]);
  return `${native}/target/${rustTarget}/release/liblibvirt_nova_native.so`;
}

async function compile(name: string, target: CrossTarget, shim: string): Promise<CrossBuilt> {
  const tree = `${CACHE}/${name}`;
  const addon = `${tree}/native/libvirt_nova_native.node`;
  const prepare = `rm -rf "$1/src" && mkdir -p "$1/native" "$1/scripts" &&
    cp -r ${SOURCE.join(" ")} "$1" && cp scripts/compile_executable.mjs "$1/scripts" &&
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
  return { folder, executable, addon };
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
