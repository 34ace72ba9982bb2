import assert from "node:assert/strict";
import {
  flagTable,
  generateDocuments,
  readmeMetrics,
  summaryTable,
} from "../scripts/generate_docs.ts";
import { COLLECTORS } from "../src/metrics/mod.ts";

const ROOT = new URL("../", import.meta.url);

Deno.test("the generated documentation is up to date", async () => {
  for (const { path, text } of await generateDocuments()) {
    const present = await Deno.readTextFile(new URL(path, ROOT));
    assert.ok(present === text, `${path} differs from what "npm run docs" writes`);
  }
});

Deno.test("flagTable() writes values, defaults, short names and flags that can be negated", () => {
  const base = { group: "other", description: "Does it" } as const;
  const parse = (text: string): string => text;
  assert.equal(
    flagTable([
      { ...base, name: "uri", valueName: "URI", default: "test:///default", parse },
      { ...base, name: "alias", valueName: "PATH", default: undefined, parse },
      { ...base, name: "help", letter: "h", default: false },
      { ...base, name: "cpu", default: true, negatable: true },
    ]).split("\n").slice(2).join("\n"),
    "| `--uri URI` | `test:///default` | Does it |\n" +
      "| `--alias PATH` |  | Does it |\n" +
      "| `-h`, `--help` | off | Does it |\n" +
      "| `--[no-]cpu` | on | Does it |\n",
  );
});

Deno.test("README.md has the flags of all collectors that can be switched", async () => {
  const readme = (await generateDocuments()).find(({ path }) => path === "README.md")?.text ?? "";
  for (const { name, byDefault } of COLLECTORS) {
    const row = new RegExp(`^\\| \`--\\[no-\\]collector\\.${name}\` +\\| (on|off) +\\|`, "m").exec(
      readme,
    );
    const expected = byDefault === undefined ? undefined : byDefault ? "on" : "off";
    assert.equal(row?.[1], expected, name);
  }
});

Deno.test("summaryTable() says what a sample stands for", () => {
  const seed = COLLECTORS.filter(({ name }) => name === "seed");
  const rows = summaryTable(seed).split("\n").slice(2, -1);
  assert.equal(rows.length, 12);
  assert.ok(rows.includes("| `libvirt_nova_instance_rdreq` | counter | requests | disk |"));
  assert.ok(
    rows.includes("| `libvirt_nova_instance_cpu_time_total` | counter | nanoseconds | instance |"),
  );
});

Deno.test("README's part on metrics names each collector and links to its section", () => {
  const text = readmeMetrics(COLLECTORS, new Map());
  for (const { name } of COLLECTORS) {
    assert.ok(text.includes(`[\`${name}\`](docs/metrics.md#collector-${name})`), name);
  }
});
