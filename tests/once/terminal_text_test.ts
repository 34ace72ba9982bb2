import assert from "node:assert/strict";
import { cut, displayWidth, fit, printable, wrap } from "../../src/once/terminal_text.ts";

Deno.test("printable() leaves nothing that a terminal would obey or that cannot be seen", () => {
  const cases: readonly (readonly [given: string, shown: string])[] = [
    ["web-1", "web-1"],
    ["", ""],
    ["two words", "two words"],
    ["naïve Müller", "naïve Müller"],
    ["nai\u0308ve", "naïve"],
    ["数据库", "数据库"],
    // Escape sequences: colour, title, clipboard, the one-character CSI, DEC's private ones.
    ["\x1b[31mred\x1b[0m", "?[31mred?[0m"],
    ["\x1b]0;title\x07", "?]0;title?"],
    ["\x1b]52;c;cm0=\x1b\\", "?]52;c;cm0=?\\"],
    ["\x9b2J", "?2J"],
    ["a\nb\r\tc\0\b\x7f", "a?b??c???"],
    ["line\u2028paragraph\u2029", "line?paragraph?"],
    // Bidirectional overrides and isolates.
    ["abc\u202Edcba\u2066x\u2069\u200F", "abc?dcba?x??"],
    // What is not seen: zero-width space, soft hyphen, word joiner, tags, Hangul filler, byte order mark.
    ["a\u200Bb\u00ADc\u2060d\u{E0041}e\u3164f\uFEFF", "a?b?c?d?e?f?"],
    ["half \uD83D pair", "half ? pair"],
    ["private \uE000, none \uFFFF", "private ?, none ?"],
    // What terminals draw in different widths.
    ["👩‍💻 👍🏽 ❤️ 1️⃣", "👩💻 👍 ❤ 1⃣"],
    ["🇩🇪", "🇩🇪"],
    [`Z${"\u0310".repeat(50)}!`, `Z${"\u0310".repeat(3)}!`],
    // To bring these into Unicode's order would take hours.
    [`Z${"\u0310\u0316".repeat(500_000)}!`, "Z\u0316\u0310\u0310!"],
  ];
  for (const [given, shown] of cases) assert.equal(printable(given), shown, JSON.stringify(given));
});

Deno.test("displayWidth() counts the columns of a terminal", () => {
  const cases: readonly (readonly [string, number])[] = [
    ["", 0],
    ["web-1", 5],
    ["é", 1],
    ["e\u0316", 1],
    ["数据库", 6],
    ["ｗｉｄｅ", 8],
    ["ﾊﾝｶｸ", 4],
    ["한국", 4],
    // Of a syllable that is not composed the first part counts.
    ["\u1112\u1161\u11AB", 2],
    // Two consonants that are drawn as one take two columns; the vowel sign a third.
    ["न्दी", 3],
    ["ไม้", 2],
    ["1\u20E3", 1],
    ["🚀", 2],
    ["👩💻", 4],
    ["🇩🇪", 2],
    ["שרת", 3],
    ["…", 1],
  ];
  for (const [text, width] of cases) assert.equal(displayWidth(text), width, text);
});

Deno.test("cut() never splits what is one character to a reader", () => {
  const cases: readonly (readonly [text: string, columns: number, shown: string])[] = [
    ["web-1", 5, "web-1"],
    ["web-10", 5, "web-…"],
    ["web-10", 1, "…"],
    ["two words", 5, "two…"],
    ["数据库", 6, "数据库"],
    ["数据库", 5, "数据…"],
    ["数据库", 4, "数…"],
    ["e\u0316e\u0316e\u0316", 2, "e\u0316…"],
    ["🇩🇪🇫🇷", 3, "🇩🇪…"],
  ];
  for (const [text, columns, shown] of cases) assert.equal(cut(text, columns), shown, text);
});

Deno.test("fit() gives a text exactly its columns", () => {
  const cases: readonly (readonly [string, number, "left" | "right", string])[] = [
    ["ab", 4, "left", "ab  "],
    ["ab", 4, "right", "  ab"],
    ["数", 4, "left", "数  "],
    ["数据库", 4, "left", "数… "],
    ["abcdef", 4, "right", "abc…"],
    // A mark keeps right-to-left text from turning the columns around.
    ["שרת", 5, "left", "שרת\u200E  "],
  ];
  for (const [text, columns, alignment, shown] of cases) {
    assert.equal(fit(text, columns, alignment), shown);
    assert.equal(displayWidth(shown), columns);
  }
});

Deno.test("wrap() breaks at spaces only", () => {
  assert.deepEqual(wrap("one two three", 7), ["one two", "three"]);
  assert.deepEqual(wrap("one two three", Infinity), ["one two three"]);
  assert.deepEqual(wrap("incomprehensible it is", 5), ["incomprehensible", "it is"]);
  assert.deepEqual(wrap("数据 库", 4), ["数据", "库"]);
});
