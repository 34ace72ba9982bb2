import assert from "node:assert/strict";
import {
  circles,
  codeLines,
  folderGraph,
  type Graph,
  importGraph,
  MAXIMUM_CODE_LINES,
  structureProblems,
} from "../../scripts/check_structure.ts";

function graphOf(edges: Readonly<Record<string, string>>): Graph {
  return new Map(
    Object.entries(edges).map((
      [node, others],
    ) => [node, new Set(others.split(" ").filter((other) => other !== ""))]),
  );
}

function asRecord(graph: Graph): Readonly<Record<string, readonly string[]>> {
  return Object.fromEntries(Array.from(graph, ([node, others]) => [node, [...others].sort()]));
}

Deno.test("importGraph() finds imports, types and what is handed on, over several lines and at run time", () => {
  const sources = new Map([
    [
      "src/a/one.ts",
      'import { x } from "./two.ts";\nimport type {\n  Y,\n} from "../b/three.ts";\nimport fs from "node:fs";\n',
    ],
    [
      "src/a/two.ts",
      'export type { Y } from "../b/three.ts";\nconst late = await import("./one.ts");\n',
    ],
    ["src/b/three.ts", 'const text = "import from ./one.ts";\nimport "./missing.ts";\n'],
  ]);
  assert.deepEqual(asRecord(importGraph(sources)), {
    "src/a/one.ts": ["src/a/two.ts", "src/b/three.ts"],
    "src/a/two.ts": ["src/a/one.ts", "src/b/three.ts"],
    "src/b/three.ts": [],
  });
});

Deno.test("folderGraph() puts files of a folder together, those of src by their own folder", () => {
  const files = graphOf({
    "mod.ts": "src/exporter.ts",
    "src/exporter.ts": "src/web/settings/tls.ts",
    "src/web/server.ts": "src/web/settings/tls.ts src/log/log.ts",
    "tests/web/server_test.ts": "src/web/server.ts testing/client.ts",
  });
  assert.deepEqual(asRecord(folderGraph(files)), {
    "mod.ts": ["src/exporter.ts"],
    "src/exporter.ts": ["src/web"],
    "src/web": ["src/log"],
    "tests": ["src/web", "testing"],
  });
});

Deno.test("circles() finds each circle once, whole, and nothing that only leads into one", () => {
  const cases: readonly (readonly [
    edges: Readonly<Record<string, string>>,
    found: readonly string[],
  ])[] = [
    [{ a: "b c", b: "c", c: "" }, []],
    [{ a: "b", b: "a" }, ["a b"]],
    [{ start: "a", a: "b", b: "c", c: "a end", end: "" }, ["a b c"]],
    [{ a: "b", b: "a c", c: "d", d: "c" }, ["a b", "c d"]],
    [{ a: "b c", b: "a", c: "a" }, ["a b c"]],
  ];
  for (const [edges, found] of cases) {
    assert.deepEqual(circles(graphOf(edges)).map((circle) => circle.join(" ")), found);
  }
});

Deno.test("codeLines() counts neither empty lines nor comments", () => {
  const text = [
    "/** One line. */",
    "/**",
    " * Several.",
    " */",
    "const a = 1; // one",
    "",
    "  // two",
    "const b = `",
    "text`;",
  ].join("\n");
  assert.equal(codeLines(text), 3);
});

Deno.test("structureProblems() names the files of a circle, the folders of one, and files that are too long", () => {
  const long = "let x;\n".repeat(MAXIMUM_CODE_LINES + 1);
  const problems = structureProblems(
    new Map([
      ["src/log/log.ts", 'import "./line.ts";'],
      ["src/log/line.ts", 'import "./log.ts";'],
      ["src/web/a.ts", 'import "../pages/b.ts";'],
      ["src/pages/b.ts", ""],
      ["src/pages/c.ts", 'import "../web/d.ts";'],
      ["src/web/d.ts", ""],
      ["src/long.ts", long],
      ["src/just.ts", long.replace("let x;\n", "")],
    ]),
  );
  assert.deepEqual(problems.map((line) => line.split(": ").slice(0, 2).join(": ")), [
    "Circle of imports: src/log/line.ts, src/log/log.ts",
    "Circle of folders: src/pages, src/web",
    `src/long.ts has ${
      MAXIMUM_CODE_LINES + 1
    } lines of code, more than ${MAXIMUM_CODE_LINES}: split it by subject`,
  ]);
});
