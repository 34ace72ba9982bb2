/**
 * Runs tests, and sets up what they need first: those of the shim, of each module, of the executable, and against a real
 * libvirtd with QEMU guests and a real Prometheus. Names of test files or folders as arguments run only those; `--unit` runs those that
 * need nothing but npm packages.
 */
import { ensureDebianPackages, REQUIRED_PACKAGES } from "../testing/packages.ts";
import { filesBelow } from "./files_below.ts";
import { needsOf, requiredBuild } from "./test_needs.ts";
import { ROOT, setUpFor } from "../testing/set_up.ts";
import { main, print, say, StepError } from "../testing/progress.ts";
import { type Counts, NO_TESTS, runCargoTests, runDenoTests, slowest } from "./test_runs.ts";

const SLOWEST = 20;

await main(async () => {
  const files = Deno.args.filter((argument) => !argument.startsWith("-"));
  const flags = Deno.args.filter((argument) => argument.startsWith("-"));
  const unknown = flags.find((flag) => flag !== "--unit");
  if (unknown !== undefined) {
    throw new StepError(`Flag "${unknown}" is none of these tests: --unit`);
  }
  const runs = files.length > 0
    ? await runFiles((await Promise.all(files.map(namedFiles))).flat())
    : flags.length > 0
    ? [await runDenoTests((await sortFiles()).unit)]
    : await runAll();
  const all = runs.reduce(add, NO_TESTS);
  if (all.tests.length > SLOWEST) {
    print(`\nThe slowest ${SLOWEST} tests:`);
    for (const { seconds, name } of slowest(all.tests, SLOWEST)) {
      print(`${seconds.toFixed(1).padStart(7)} s  ${name}`);
    }
  }
  print(`\n${all.passed} passed, ${all.failed} failed`);
  return all.failed === 0 && all.passed > 0 ? 0 : 1;
});

/** All tests. Those that need nothing come before anything is built, which shows that they need nothing. */
async function runAll(): Promise<readonly Counts[]> {
  const { unit, others, real } = await sortFiles();
  const packages = await ensureDebianPackages(REQUIRED_PACKAGES);
  if (!packages.available) {
    say(`Leaving out the tests against a real libvirtd, QEMU and Prometheus: ${packages.reason}`);
  }
  const unitTests = await runDenoTests(unit);
  await setUpFor("executable");
  return [
    unitTests,
    await runCargoTests(),
    await runDenoTests(others),
    ...(packages.available ? [await runDenoTests(real)] : []),
  ];
}

/** Some test files, when what they need has been built. */
async function runFiles(files: readonly string[]): Promise<readonly Counts[]> {
  await setUpFor(requiredBuild([...(await needsOf(files)).values()]));
  return [await runDenoTests(files)];
}

interface SortedFiles {
  /** Those that need nothing but npm packages. */
  readonly unit: readonly string[];
  /** Those with real guests, a real Prometheus, a real browser. */
  readonly real: readonly string[];
  readonly others: readonly string[];
}

async function sortFiles(): Promise<SortedFiles> {
  const needs = await needsOf(await filesBelow(`${ROOT}/tests`, "_test.ts"));
  const sorted = { unit: [] as string[], real: [] as string[], others: [] as string[] };
  for (const [file, { build, usesSystem }] of needs) {
    if (file.startsWith(`${ROOT}/tests/real/`)) sorted.real.push(file);
    else if (build === "nothing" && !usesSystem) sorted.unit.push(file);
    // They have a command of their own.
    else if (!file.startsWith(`${ROOT}/tests/musl/`)) sorted.others.push(file);
  }
  return sorted;
}

/** The test files that an argument names: one, or all of a folder. */
async function namedFiles(name: string): Promise<readonly string[]> {
  const path = await Deno.realPath(name).catch(() => undefined);
  if (path === undefined) {
    throw new StepError(`There is no test file "${name}": name one, such as tests/log/log_test.ts`);
  }
  return (await Deno.stat(path)).isDirectory ? await filesBelow(path, "_test.ts") : [path];
}

function add(one: Counts, other: Counts): Counts {
  return {
    passed: one.passed + other.passed,
    failed: one.failed + other.failed,
    tests: [...one.tests, ...other.tests],
  };
}
