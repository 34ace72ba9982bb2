import assert from "node:assert/strict";
import { collectorSummary, flagTable, generateDocuments } from "../../scripts/generate_docs.ts";
import { COLLECTORS } from "../../src/metrics/mod.ts";
import { ALL_FLAGS } from "../../src/config/flags.ts";

const ROOT = new URL("../../", import.meta.url);

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

Deno.test("docs/flags.md has the flags of all collectors that can be switched", async () => {
  const flags = (await generateDocuments()).find(({ path }) => path === "docs/flags.md")?.text ??
    "";
  for (const { name, byDefault } of COLLECTORS) {
    const row = new RegExp(`^\\| \`--\\[no-\\]collector\\.${name}\` +\\| (on|off) +\\|`, "m").exec(
      flags,
    );
    const expected = byDefault === undefined ? undefined : byDefault ? "on" : "off";
    assert.equal(row?.[1], expected, name);
  }
});

Deno.test("docs/metrics.md says what a sample of the older families stands for", async () => {
  const text = (await generateDocuments()).find(({ path }) => path === "docs/metrics.md")?.text ??
    "";
  const rows = text.split("\n").map((row) => row.replaceAll(/ +/g, " "));
  assert.ok(
    rows.some((row) =>
      row.startsWith("| `libvirt_nova_instance_rdreq` | counter | requests | disk |")
    ),
  );
  assert.ok(
    rows.some((row) =>
      row.startsWith(
        "| `libvirt_nova_instance_cpu_time_total` | counter | nanoseconds | instance |",
      )
    ),
  );
});

Deno.test("README.md has each collector with a link to its section", () => {
  const text = collectorSummary(COLLECTORS);
  for (const { name } of COLLECTORS) {
    assert.ok(text.includes(`[\`${name}\`](docs/metrics.md#collector-${name})`), name);
  }
});

Deno.test("docs/flags.md names the flags that may be repeated, and no others", async () => {
  const flags = await Deno.readTextFile(new URL("docs/flags.md", ROOT));
  const sentence =
    /If a flag is given twice, the last one counts, except for ([^.]+(?:\.\w[^.]*)*)\. /
      .exec(flags);
  const named = Array.from((sentence?.[1] ?? "").matchAll(/`--([^`]+)`/g), ([, name = ""]) => name);
  const repeatable = ALL_FLAGS.filter((flag) => "repeatable" in flag && flag.repeatable === true);
  assert.deepEqual(named.toSorted(), repeatable.map(({ name }) => name).toSorted());
});
