import assert from "node:assert/strict";
import {
  flagTable,
  generateDocuments,
  metricsDocument,
  replacePart,
  table,
} from "../scripts/generate_docs.ts";
import { COLLECTORS } from "../src/metrics/mod.ts";

const ROOT = new URL("../", import.meta.url);

Deno.test("the generated documentation is up to date", async () => {
  for (const { path, text } of await generateDocuments()) {
    const present = await Deno.readTextFile(new URL(path, ROOT));
    assert.ok(present === text, `${path} differs from what "npm run docs" writes`);
  }
});

Deno.test("docs/metrics.md names every family of the collectors and of the exporter itself once", async () => {
  const [metrics] = await generateDocuments();
  const rows = metrics?.text.matchAll(/^\| `((?:libvirt_nova|process)_\w+)`/gm) ?? [];
  const names = Array.from(rows, ([, name]) => name);
  assert.equal(new Set(names).size, names.length);
  const expected = COLLECTORS.flatMap(({ families }) => families.map(({ name }) => name));
  for (const name of [...expected, "libvirt_nova_up", "process_open_fds"]) {
    assert.ok(names.includes(name), name);
  }
  for (
    const name of [
      // These have samples only after a failure, and only where scrapes share a collection.
      "libvirt_nova_exporter_libvirt_errors_total",
      "libvirt_nova_exporter_collection_age_seconds",
    ]
  ) {
    assert.ok(names.includes(name), name);
  }
});

Deno.test("metricsDocument() throws for a label that nobody has described", () => {
  const [first] = COLLECTORS;
  const family = first?.families[0];
  assert.ok(first !== undefined && family !== undefined);
  const labelSet = { ...family.labelSet, names: ["novaname", "shoe_size"] };
  assert.throws(
    () => metricsDocument([{ ...first, families: [{ ...family, labelSet }] }], []),
    /Label "shoe_size" is not described/,
  );
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

Deno.test("table() escapes what would end a cell", () => {
  assert.equal(table(["a", "b"], [["1|2", "3"]]), "| a | b |\n| --- | --- |\n| 1\\|2 | 3 |\n");
});

Deno.test("replacePart() replaces what stands between the markers and nothing else", () => {
  const document = "# A\n\n<!-- flags:begin (note) -->\nold\n<!-- flags:end -->\n\nrest\n";
  const replaced = "# A\n\n<!-- flags:begin (note) -->\n\nnew\n\n<!-- flags:end -->\n\nrest\n";
  assert.equal(replacePart(document, "flags", "new\n"), replaced);
  assert.equal(replacePart(replaced, "flags", "new\n"), replaced);
});

Deno.test("replacePart() throws when a marker is missing", () => {
  for (
    const document of [
      "<!-- flags:end -->\n",
      "<!-- flags:begin -->\n",
      "<!-- flags:end -->\n<!-- flags:begin -->\n",
      "<!-- flagship:begin -->\n<!-- flags:end -->\n",
    ]
  ) {
    assert.throws(() => replacePart(document, "flags", "new"), /Markers .* are missing/);
  }
});
