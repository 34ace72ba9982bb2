/**
 * Checks how the TypeScript files hang together: no file and no folder imports itself by way of others, and none has more code
 * than a reader keeps in mind. `npm run check` runs it.
 */
import { dirname, join, normalize } from "node:path/posix";
import { main, print } from "../testing/progress.ts";
import { ROOT } from "../testing/set_up.ts";

/** The most lines of code that a file may have; comments and empty lines do not count. */
export const MAXIMUM_CODE_LINES = 400;

/** Where the files are that are checked. What is data or made by a program lies elsewhere, such as in `tests/fixtures`. */
const CHECKED = ["mod.ts", "src", "scripts", "testing", "bench", "tests"];
const EXCLUDED = ["tests/fixtures"];

/** Source texts by path. */
export type Sources = ReadonlyMap<string, string>;

/** What imports what, by name. */
export type Graph = ReadonlyMap<string, ReadonlySet<string>>;

const IMPORT = /^(?:import|export)\b[^;"']*?(?:from\s*)?"(?<path>\.[^"]+)"/gm;
const DYNAMIC_IMPORT = /\bimport\("(?<path>\.[^"]+)"\)/g;

/** Which of the files imports which other ones. What a file loads at run time counts as well. */
export function importGraph(sources: Sources): Graph {
  return new Map(Array.from(sources, ([file, text]) => {
    const paths = [...text.matchAll(IMPORT), ...text.matchAll(DYNAMIC_IMPORT)]
      .map(({ groups }) => normalize(join(dirname(file), groups?.path ?? "")));
    return [file, new Set(paths.filter((path) => path !== file && sources.has(path)))];
  }));
}

/** The same between folders: those of `src` each for itself, all others by the first part of their path. */
export function folderGraph(files: Graph): Graph {
  const folders = new Map<string, Set<string>>();
  for (const [file, imported] of files) {
    const from = folderOf(file);
    const others = folders.get(from) ?? new Set();
    folders.set(from, others);
    for (const one of imported) {
      if (folderOf(one) !== from) others.add(folderOf(one));
    }
  }
  return folders;
}

function folderOf(file: string): string {
  const [first = "", second = ""] = file.split("/");
  return first === "src" ? `${first}/${second}` : first;
}

/**
 * The circles of a graph: groups of nodes from each of which imports lead to all others of the group. Each is in the order of
 * the alphabet.
 */
export function circles(graph: Graph): readonly (readonly string[])[] {
  const reached = new Map([...graph.keys()].map((node) => [node, reachable(graph, node)]));
  const seen = new Set<string>();
  return [...graph.keys()].sort().flatMap((node) => {
    if (seen.has(node) || !reached.get(node)?.has(node)) return [];
    const group = [...reached.get(node) ?? []].filter((other) => reached.get(other)?.has(node));
    for (const one of group) seen.add(one);
    return [group.sort()];
  });
}

function reachable(graph: Graph, from: string): ReadonlySet<string> {
  const found = new Set<string>();
  const waiting = [...graph.get(from) ?? []];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (found.has(node)) continue;
    found.add(node);
    waiting.push(...graph.get(node) ?? []);
  }
  return found;
}

/** How many lines of a source text are neither empty nor a comment. */
export function codeLines(text: string): number {
  const withoutComments = text.replaceAll(/^\s*\/\*[\s\S]*?\*\/\s*$/gm, "");
  return withoutComments.split("\n").filter((line) => !/^\s*(?:\/\/.*)?$/.test(line)).length;
}

/** What is wrong with the sources, a line each with what to do. */
export function structureProblems(sources: Sources): readonly string[] {
  const files = importGraph(sources);
  return [
    ...circles(files).map((circle) =>
      `Circle of imports: ${
        circle.join(", ")
      }: move what they share to a file that imports none of them`
    ),
    ...circles(folderGraph(files)).map((circle) =>
      `Circle of folders: ${
        circle.join(", ")
      }: move what they share to a folder that imports none of them`
    ),
    ...Array.from(sources, ([file, text]) => [file, codeLines(text)] as const)
      .filter(([, lines]) => lines > MAXIMUM_CODE_LINES)
      .map(([file, lines]) =>
        `${file} has ${lines} lines of code, more than ${MAXIMUM_CODE_LINES}: split it by subject`
      ),
  ];
}

async function* typescriptFiles(path: string): AsyncGenerator<string> {
  if (EXCLUDED.includes(path)) return;
  if ((await Deno.stat(`${ROOT}/${path}`)).isFile) {
    if (path.endsWith(".ts")) yield path;
    return;
  }
  for await (const { name } of Deno.readDir(`${ROOT}/${path}`)) {
    yield* typescriptFiles(`${path}/${name}`);
  }
}

if (import.meta.main) {
  await main(async () => {
    const sources = new Map<string, string>();
    for (const path of CHECKED) {
      for await (const file of typescriptFiles(path)) {
        sources.set(file, await Deno.readTextFile(`${ROOT}/${file}`));
      }
    }
    const problems = structureProblems(sources);
    problems.forEach(print);
    return problems.length === 0 ? 0 : 1;
  });
}
