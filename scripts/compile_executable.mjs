// deno-lint-ignore-file explicit-function-return-type -- JavaScript has no types
//
// Compiles the single executable of the exporter from mod.ts and the shim that lies in native/, which must have been
// built for the same target. Plain JavaScript for Node, because the container image is built on Alpine Linux, for
// which there is no Deno.
//
// Use: node scripts/compile_executable.mjs [TARGET]
//   TARGET is one of those below; without it, the system that this runs on.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const executable = join(root, "dist", "libvirt_nova_exporter");

// What Bun calls each target, and the package that brings its runtime. The first one that is installed is taken: on
// x86-64 that which needs no AVX2 and so runs on every hypervisor.
const targets = {
  "linux-x64": [["bun-linux-x64-baseline", "bun-linux-x64-baseline"]],
  "linux-arm64": [["bun-linux-arm64", "bun-linux-aarch64"]],
  "linux-x64-musl": [
    ["bun-linux-x64-musl-baseline", "bun-linux-x64-musl-baseline"],
    ["bun-linux-x64-musl", "bun-linux-x64-musl"],
  ],
  "linux-arm64-musl": [["bun-linux-arm64-musl", "bun-linux-aarch64-musl"]],
};

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

function hostTarget() {
  // Node's report names the version of glibc, and nothing where the C library is musl.
  const isGlibc = process.report.getReport().header.glibcVersionRuntime !== undefined;
  return `${process.platform}-${process.arch}${isGlibc ? "" : "-musl"}`;
}

function runtimeOf(packageName) {
  return join(root, "node_modules", "@oven", packageName, "bin", "bun");
}

function chooseRuntime(target) {
  const choices = Object.hasOwn(targets, target) ? targets[target] : undefined;
  if (choices === undefined) {
    fail(`No executable for "${target}": name one of ${Object.keys(targets).join(", ")}`);
  }
  const choice = choices.find(([, packageName]) => existsSync(runtimeOf(packageName)));
  if (choice === undefined) {
    const names = choices.map(([, packageName]) => `@oven/${packageName}`).join(" or ");
    fail(`The npm package ${names} is missing: run "npm ci" on a "${target}" system`);
  }
  const [bunTarget, packageName] = choice;
  return { bunTarget, runtime: runtimeOf(packageName) };
}

function compile(target) {
  const { bunTarget, runtime } = chooseRuntime(target);
  mkdirSync(dirname(executable), { recursive: true });
  // The host's runtime is also the compiler. Its package is used rather than the one named "bun", which would have to
  // run an install script first.
  const { error, status } = spawnSync(chooseRuntime(hostTarget()).runtime, [
    "build",
    "--compile",
    "--minify",
    "--bytecode",
    // Else it would run the code that a bunfig.toml in its working directory names, and take settings from a .env there.
    "--no-compile-autoload-bunfig",
    "--no-compile-autoload-dotenv",
    // Code is compiled when it runs often, not soon: it costs memory, and a scrape every few seconds needs no speed.
    "--compile-jit-policy=100",
    // The shim as a file, which the program unpacks itself: the runtime would take a damaged one for its own, and leave
    // one behind for each version.
    "--loader=.node:file",
    // Ends the arguments of the runtime, so that the environment (BUN_OPTIONS) can add none.
    "--compile-exec-argv=--",
    "--format=esm",
    `--target=${bunTarget}`,
    `--compile-executable-path=${runtime}`,
    join(root, "mod.ts"),
    `--outfile=${executable}`,
  ], { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
  if (error !== undefined) fail(`Cannot run Bun: ${error.message}`);
  process.exit(status ?? 1);
}

compile(process.argv[2] ?? hostTarget());
