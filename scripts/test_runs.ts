/** Programs that run tests, and what they say about them. */
import { ROOT } from "../testing/set_up.ts";

/** What tests have said. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  /** How long each took, where that is known. */
  readonly tests: readonly TestTime[];
}

/** How long a test took. */
export interface TestTime {
  readonly name: string;
  readonly seconds: number;
}

/** The counts of no test. */
export const NO_TESTS: Counts = { passed: 0, failed: 0, tests: [] };

/** Runs the shim's own tests. */
export function runCargoTests(): Promise<Counts> {
  return run(
    ["cargo", "test", "--release", "--locked", "--quiet", "--lib"],
    `${ROOT}/native`,
    /^test result: \S+ (\d+) passed; (\d+) failed/m,
  );
}

/** Runs test files. */
export function runDenoTests(files: readonly string[]): Promise<Counts> {
  // Types are checked by `npm run check`.
  const command = [Deno.execPath(), "test", "--no-check", "-A", ...files] as const;
  return run(command, ROOT, /^\S+ \| (\d+) passed.* \| (\d+) failed/m);
}

/** Reads what Deno prints about each test; steps of a test are indented, and no tests of their own. */
export function testTimes(output: string): readonly TestTime[] {
  const line = /^(\S.*) \.\.\. (?:ok|FAILED) \((?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?\)$/gm;
  return Array.from(output.matchAll(line), ([, name = "", minutes, seconds, milliseconds]) => ({
    name,
    seconds: Number(minutes ?? 0) * 60 + Number(seconds ?? 0) + Number(milliseconds ?? 0) / 1_000,
  }));
}

/** The slowest of these, slowest first. */
export function slowest(tests: readonly TestTime[], count: number): readonly TestTime[] {
  return tests.toSorted((one, other) => other.seconds - one.seconds).slice(0, count);
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
  if (match === null) return { ...NO_TESTS, failed: 1 };
  const [passed, failed] = [Number(match[1]), Number(match[2])];
  // A program that fails without a failed test (a leak, a broken file) has failed all the same.
  return { passed, failed: success || failed > 0 ? failed : 1, tests: testTimes(output) };
}
