import assert from "node:assert/strict";
import { escapeHtml, safeHtml } from "../src/web/html.ts";

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
      ["größe 世界 \u{1f600}", "größe 世界 \u{1f600}"],
    ] as const
  ) assert.equal(escapeHtml(text), expected);
});

Deno.test("safeHtml() escapes texts and numbers, and leaves HTML and lists of it as they are", () => {
  const items = ["<1>", "2"].map((text) => safeHtml`<li>${text}</li>`);
  assert.equal(
    safeHtml`<ul id="${'"'}">${items}</ul>${3}`.markup,
    '<ul id="&quot;"><li>&lt;1&gt;</li><li>2</li></ul>3',
  );
});
