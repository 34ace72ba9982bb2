// What of its environment the executable obeys. It is built by `npm run build`.
import assert from "node:assert/strict";
import { deployedEnvironment } from "../../testing/deployed_environment.ts";
import {
  assertNothingRuns,
  createTestFolder,
  requireExecutable,
  runExecutable,
} from "../../testing/executable.ts";
import { assertOneLine } from "../../testing/printed_lines.ts";

requireExecutable();

const ROOT = decodeURIComponent(new URL("../..", import.meta.url).pathname);

const VERSION_LINE = /^libvirt_nova_exporter \d+\.\d+\.\d+ \(.*\)\n$/;
const FOREIGN_CODE = 'console.log("foreign code");\n';

// The settings are those of a JavaScript engine that takes no other than it knows, and may forget one with any release.
Deno.test("it starts with the settings of the engine that its unit and its images give it", async () => {
  await using folder = await createTestFolder();
  const settings = Object.entries(deployedEnvironment())
    .filter(([name]) => name.startsWith("BUN_"));
  assert.notDeepEqual(settings, []);
  const files = ["Dockerfile.alpine", "Dockerfile.debian", "contrib/containers/Dockerfile.kolla"];
  for (const file of files) {
    const text = await Deno.readTextFile(`${ROOT}${file}`);
    const given = Array.from(
      text.matchAll(/^(?:ENV| {3}) (BUN_\w+)=(\S+)/gm),
      (match) => match.slice(1),
    );
    assert.deepEqual(given, settings, file);
  }
  const { code, errorOutput } = await runExecutable(["--version"], {
    folder,
    environment: Object.fromEntries(settings),
  });
  assert.deepEqual([code, errorOutput], [0, ""]);
});

Deno.test("options of a runtime in the environment add no code and no arguments to it", async () => {
  await using folder = await createTestFolder();
  await folder.write("preload.ts", FOREIGN_CODE);
  await folder.write("bunfig.toml", 'preload = ["./preload.ts"]\n');
  const cases = [
    ...["--preload ./preload.ts", "--config=bunfig.toml", "--help", "-p 1", "--help --", "-- -h"]
      .map((options) => ({ BUN_OPTIONS: options })),
    { NODE_OPTIONS: "--require ./preload.ts" },
    { NODE_PATH: folder.path },
    { BUN_CONFIG_VERBOSE_FETCH: "curl" },
  ];
  for (const environment of cases) {
    const outcome = await runExecutable(["--version"], { folder, environment });
    assert.deepEqual([outcome.code, outcome.errorOutput], [0, ""], JSON.stringify(environment));
    assert.match(outcome.output, VERSION_LINE, JSON.stringify(environment));
  }
});

/** What the unit and the images take out of the environment, by file. */
async function unsetVariables(): Promise<ReadonlyMap<string, readonly string[]>> {
  const namesIn = async (file: string, line: RegExp): Promise<readonly string[]> => {
    const found = line.exec(await Deno.readTextFile(`${ROOT}${file}`))?.[0] ?? "";
    return Array.from(found.matchAll(/\bBUN_\w+/g), ([name]) => name);
  };
  const files: readonly (readonly [file: string, line: RegExp])[] = [
    ["contrib/systemd/libvirt_nova_exporter.service", /^UnsetEnvironment=.*$/m],
    ["Dockerfile.alpine", /^ENTRYPOINT \[[^\]]*\]$/m],
    ["Dockerfile.debian", /^ENTRYPOINT \[[^\]]*\]$/m],
    ["contrib/containers/Dockerfile.kolla", /'unset [^']*'/],
  ];
  return new Map(
    await Promise.all(
      files.map(async ([file, line]) => [file, await namesIn(file, line)] as const),
    ),
  );
}

Deno.test("what the executable would obey before it looks is unset by its unit and its images", async () => {
  await using folder = await createTestFolder();
  const preload = await folder.write("preload.ts", FOREIGN_CODE);
  const written = `${folder.path}/written`;
  const digest = `${folder.path}/digest`;
  // What each does with --version. The executable ignores the last one, because of how it is compiled.
  const effects: Readonly<Record<string, readonly [value: string, output: RegExp]>> = {
    BUN_BE_BUN: ["1", /^\d+\.\d+\.\d+\n$/],
    BUN_BYTECODE_DIGEST_OUT: [digest, VERSION_LINE],
    BUN_BYTECODE_ORDER_OUT: [written, VERSION_LINE],
    BUN_INSPECT: [`ws+unix://${folder.path}/debugger`, VERSION_LINE],
    BUN_INSPECT_CONNECT_TO: [`unix://${folder.path}/debugger`, VERSION_LINE],
    BUN_INSPECT_PRELOAD: [preload, /^foreign code\n/],
    BUN_OPTIONS: ["--help", VERSION_LINE],
  };
  const variables = Object.entries(effects).map(([name, [value]]) => [name, value]);
  const environment: Readonly<Record<string, string>> = Object.fromEntries(variables);
  for (const [file, names] of await unsetVariables()) {
    assert.deepEqual(names, Object.keys(effects), file);
    const { code, output } = await runExecutable(["--version"], {
      folder,
      environment,
      through: ["env", ...names.flatMap((name) => ["-u", name])],
    });
    assert.equal(code, 0);
    assert.match(output, VERSION_LINE);
    for (const file of ["written", "digest"]) assert.equal(await folder.has(file), false, file);
  }
  for (const [name, [value, output]] of Object.entries(effects)) {
    const outcome = await runExecutable(["--version"], { folder, environment: { [name]: value } });
    assert.match(outcome.output, output, name);
  }
  for (const file of ["written", "digest"]) assert.equal(await folder.has(file), true, file);
});

Deno.test("it runs no code of its working directory and reads none of the files that runtimes look for", async () => {
  await using folder = await createTestFolder();
  const code = 'console.log("code of the working directory");\n';
  for (const name of ["preload.ts", "mod.ts", "index.ts"]) await folder.write(name, code);
  for (const name of ["package.json", "tsconfig.json"]) await folder.write(name, "{ broken");
  for (const content of ['preload = ["./preload.ts"]\n', "broken [[[\n"]) {
    await folder.write("bunfig.toml", content);
    const { code, output, errorOutput } = await runExecutable(["--version"], { folder });
    assert.deepEqual([code, errorOutput], [0, ""]);
    assertOneLine(output, /^libvirt_nova_exporter /);
  }
});

Deno.test("all these tests leave no process behind", () => assertNothingRuns());
