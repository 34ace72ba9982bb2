import assert from "node:assert/strict";
import { codes, formatMarkdown, replacePart, table } from "../../scripts/markdown.ts";

Deno.test("table() escapes what would end a cell", () => {
  assert.equal(table(["a", "b"], [["1|2", "3"]]), "| a | b |\n| --- | --- |\n| 1\\|2 | 3 |\n");
});

Deno.test("codes() lists texts as code", () => {
  assert.equal(codes([]), "");
  assert.equal(codes(new Set(["a", "b"])), "`a`, `b`");
});

Deno.test("formatMarkdown() aligns tables and ends with one line feed", async () => {
  assert.equal(await formatMarkdown("| a |\n|---|\n| bcd |\n\n\n"), "| a   |\n| --- |\n| bcd |\n");
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
