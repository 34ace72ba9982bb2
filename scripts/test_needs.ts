import { outputOf } from "../testing/command.ts";
import { type BuildTarget, ROOT } from "../testing/set_up.ts";

/** What a test file needs. */
export interface TestNeeds {
  /** What has to be built before it can run. */
  readonly build: BuildTarget;
  /** Whether it uses programs that not every system has. */
  readonly usesSystem: boolean;
}

/** Where `deno info` says which modules a module imports. */
interface ModuleGraph {
  readonly modules: readonly {
    readonly specifier: string;
    readonly dependencies?: readonly {
      readonly code?: { readonly specifier?: string };
      readonly type?: unknown;
    }[];
  }[];
}

/** The module through which tests get at the executable. */
const EXECUTABLE_MODULE = "testing/executable.ts";

/** Modules that start a process which loads the shim. */
const SHIM_MODULES: readonly string[] = ["testing/web_server.ts"];

/** Modules whose users need more of the system than npm packages, sh and coreutils: OpenSSL, a compiler, QEMU. */
const SYSTEM_MODULES: readonly string[] = [
  "testing/certificates.ts",
  "testing/packages.ts",
  "tests/real/",
  "tests/faults/",
];

/**
 * Finds what test files need by what they import, directly and through others. Types alone count for nothing.
 *
 * @param files absolute paths
 */
export async function needsOf(files: readonly string[]): Promise<ReadonlyMap<string, TestNeeds>> {
  const graph = await readGraph(files);
  return new Map(files.map((file) => [file, needsFrom(graph, specifierOf(file))]));
}

/** What a module needs, by what is reached from it. */
export function needsFrom(graph: ModuleGraph, root: string): TestNeeds {
  const dependencies = new Map(
    graph.modules.map((module) => [module.specifier, module.dependencies ?? []]),
  );
  const reached = new Set([root]);
  for (const specifier of reached) {
    for (const { code } of dependencies.get(specifier) ?? []) {
      if (code?.specifier !== undefined) reached.add(code.specifier);
    }
  }
  const reaches = (path: string): boolean => {
    const specifier = specifierOf(`${ROOT}/${path}`);
    return [...reached].some((one) =>
      path.endsWith("/") ? one.startsWith(specifier) : one === specifier
    );
  };
  const usesShim = [...reached].some((specifier) => specifier.endsWith(".node")) ||
    SHIM_MODULES.some(reaches);
  const build = reaches(EXECUTABLE_MODULE) ? "executable" : usesShim ? "shim" : "nothing";
  return { build, usesSystem: SYSTEM_MODULES.some(reaches) };
}

/** What has to be built for all of these. */
export function requiredBuild(needs: readonly TestNeeds[]): BuildTarget {
  const targets = ["executable", "shim"] as const;
  return targets.find((target) => needs.some(({ build }) => build === target)) ?? "nothing";
}

/** The modules of all files and of what they import. */
async function readGraph(files: readonly string[]): Promise<ModuleGraph> {
  const entry = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    const imports = files.map((file) => `import ${JSON.stringify(specifierOf(file))};\n`);
    await Deno.writeTextFile(entry, imports.join(""));
    const parameters = ["info", "--json", entry];
    return JSON.parse(await outputOf(Deno.execPath(), parameters, { workingDirectory: ROOT }));
  } finally {
    await Deno.remove(entry);
  }
}

function specifierOf(file: string): string {
  return new URL(`file://${encodeURI(file)}`).href;
}
