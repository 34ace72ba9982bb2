// Installs the npm packages when package-lock.json has changed, then runs a script with Deno. Plain JavaScript for
// Node, because it is what runs before anything is installed.
//
// Use: node scripts/with_dependencies.mjs SCRIPT [ARGUMENT…]
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stamp = join(root, "node_modules", ".installed-lock");
const deno = join(root, "node_modules", ".bin", "deno");

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

function installPackages() {
  const lock = createHash("sha256").update(readFileSync(join(root, "package-lock.json")));
  const digest = lock.digest("hex");
  if (existsSync(stamp) && existsSync(deno) && readFileSync(stamp, "utf8") === digest) return;
  process.stderr.write("Installing npm packages (a minute the first time)\n");
  const quiet = ["--no-audit", "--no-fund", "--loglevel=error"];
  const result = spawnSync("npm", ["ci", ...quiet], { cwd: root, encoding: "utf8" });
  if (result.error !== undefined) fail(`Cannot run npm: ${result.error.message}`);
  if (result.status !== 0) {
    const lines = `${result.stdout}${result.stderr}`.trimEnd().split("\n").slice(-20);
    fail(`${lines.join("\n")}\nCannot install the npm packages, see above`);
  }
  writeFileSync(stamp, digest);
}

function run(script, scriptArguments) {
  const denoArguments = ["run", "--quiet", "-A", join(root, "scripts", script)];
  const child = spawn(deno, [...denoArguments, ...scriptArguments], { stdio: "inherit" });
  // A terminal's Ctrl-C reaches the child by itself; it decides when both end.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  child.on("error", (error) => fail(`Cannot run ${deno}: ${error.message}`));
  child.on("exit", (code, signal) => {
    process.exit(code ?? 128 + (constants.signals[signal] ?? 0));
  });
}

const [script, ...scriptArguments] = process.argv.slice(2);
if (script === undefined) fail("Name a script of scripts/ to run");
installPackages();
run(script, scriptArguments);
