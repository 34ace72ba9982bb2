/**
 * Sets up and runs all tests: those of the shim, of each module, of the executable, and against a real libvirtd with
 * QEMU guests and a real Prometheus. Names of test files as arguments run only those.
 */
import { main, print, say, StepError } from "./progress.ts";
import { ROOT, setUp } from "./set_up.ts";
import { ensureDebianPackages } from "../tests/real/packages.ts";

interface Counts {
  readonly passed: number;
  readonly failed: number;
}

await main(async () => {
  await setUp();
  const packages = await ensureDebianPackages();
  if (!packages.available) {
    if (Deno.env.get("CI") === "true") throw new StepError(packages.reason);
    say(`Leaving out the tests against a real libvirtd, QEMU and Prometheus: ${packages.reason}`);
  }
  const runs = Deno.args.length > 0 ? [await denoTests(Deno.args)] : [
    await cargoTests(),
    await denoTests(await testFiles(`${ROOT}/tests`)),
    ...(packages.available ? [await denoTests(await testFiles(`${ROOT}/tests/real`))] : []),
  ];
  const passed = runs.reduce((sum, counts) => sum + counts.passed, 0);
  const failed = runs.reduce((sum, counts) => sum + counts.failed, 0);
  print(`\n${passed} passed, ${failed} failed`);
  return failed === 0 && passed > 0 ? 0 : 1;
});

async function testFiles(folder: string): Promise<string[]> {
  const files: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    if (entry.name.endsWith("_test.ts")) files.push(`${folder}/${entry.name}`);
  }
  return files.sort();
}

function cargoTests(): Promise<Counts> {
  return run(
    ["cargo", "test", "--release", "--locked", "--quiet", "--lib"],
    `${ROOT}/native`,
    /^test result: \S+ (\d+) passed; (\d+) failed/m,
  );
}

function denoTests(files: readonly string[]): Promise<Counts> {
  // Types are checked by `npm run check`.
  const command = [Deno.execPath(), "test", "--no-check", "-A", ...files] as const;
  return run(command, ROOT, /^\S+ \| (\d+) passed.* \| (\d+) failed/m);
}

/** Runs a test program, shows its output, and reads the counts of its closing line. */
async function run(
  [program, ...args]: readonly [string, ...string[]],
  cwd: string,
  closing: RegExp,
): Promise<Counts> {
  const child = new Deno.Command(program, {
    args,
    cwd,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const decoder = new TextDecoder();
  let output = "";
  for await (const chunk of child.stdout) {
    await Deno.stdout.write(chunk);
    output += decoder.decode(chunk, { stream: true });
  }
  const { success } = await child.status;
  const match = closing.exec(output);
  if (match === null) return { passed: 0, failed: 1 };
  const [passed, failed] = [Number(match[1]), Number(match[2])];
  // A program that fails without a failed test (a leak, a broken file) has failed all the same.
  return { passed, failed: success || failed > 0 ? failed : 1 };
}
