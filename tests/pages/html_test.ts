import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { cutHtml, escapeHtml, safeHtml } from "../../src/pages/html.ts";

Deno.test("escapeHtml() leaves nothing that could be markup, or end an attribute", () => {
  assert.equal(
    escapeHtml(`<a href='x' title="y">&`),
    "&lt;a href=&#39;x&#39; title=&quot;y&quot;&gt;&amp;",
  );
});

Deno.test("escapeHtml() shows the codes of characters that cannot be seen or turn the text", () => {
  for (
    const [text, expected] of [
      ["a\u202eb", "a\\u202eb"],
      ["a\u0000\nb", "a\\u0000\\u000ab"],
      ["\ufeff\u200b", "\\ufeff\\u200b"],
      ["\u{e0041}", "\\u{e0041}"],
      ["\ud800", "\ufffd"],
      // Drawn as nothing, so that a name looks like another.
      ["\u3164", "\\u3164"],
      ["ad\u034fmin admin\ufe0f", "ad\\u034fmin admin\\ufe0f"],
      ["pay\u115froll \u{e0101}", "pay\\u115froll \\u{e0101}"],
      ["\u2764\ufe0f", "\u2764\ufe0f"],
      ["größe 世界 \u{1f600}", "größe 世界 \u{1f600}"],
    ] as const
  ) assert.equal(escapeHtml(text), expected);
});

Deno.test("escapeHtml() piles no marks over the lines around", () => {
  assert.equal(escapeHtml(`Z${"\u0310".repeat(100)}!`), `Z${"\u0310".repeat(3)}!`);
});

Deno.test("safeHtml() escapes texts and numbers, and leaves HTML and lists of it as they are", () => {
  const items = ["<1>", "2"].map((text) => safeHtml`<li>${text}</li>`);
  assert.equal(
    safeHtml`<ul id="${'"'}">${items}</ul>${3}`.markup,
    '<ul id="&quot;"><li>&lt;1&gt;</li><li>2</li></ul>3',
  );
});

Deno.test("cutHtml() keeps a text that fits, and else as many whole characters as do", () => {
  const cases: readonly (readonly [text: string, bytes: number, expected: string])[] = [
    ["", 8, ""],
    ["12345678", 8, "12345678"],
    ["123456789", 8, "12345…"],
    ["<<<<", 8, "&lt;…"],
    ["世界世界", 8, "世…"],
    ["世界", 6, "世界"],
    ["e\u0301e\u0301e\u0301", 8, "e\u0301…"],
    ["\u{1f600}\u{1f600}\u{1f600}", 8, "\u{1f600}…"],
    ["\u202e\u202e", 9, "\\u202e…"],
  ];
  for (const [text, bytes, expected] of cases) {
    const { markup } = cutHtml(text, bytes);
    assert.equal(markup, expected);
    assert.ok(Buffer.byteLength(markup) <= bytes, markup);
  }
});

Deno.test("cutHtml() takes no time for what it does not show", () => {
  assert.equal(cutHtml("<".repeat(10_000_000), 20).markup, "&lt;&lt;&lt;&lt;…");
});
