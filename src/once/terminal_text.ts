import { eastAsianWidth } from "get-east-asian-width";
import { PILED_MARKS } from "../text.ts";

/**
 * What terminals disagree about: whether emoji are joined, varied or given a colour of skin. Without it each emoji is
 * two columns wide in all of them.
 */
const EMOJI_MODIFIERS =
  /[\u{200C}\u{200D}\u{FE00}-\u{FE0F}\u{E0100}-\u{E01EF}\u{1F3FB}-\u{1F3FF}]/gu;

/** Control and format characters, what is no character, and what cannot be seen. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;

/** Blocks of scripts that are written from right to left, those not assigned yet included. */
const RIGHT_TO_LEFT =
  /[\u0590-\u08FF\uFB1D-\uFDFF\uFE70-\uFEFC\u{10800}-\u{10FFF}\u{1E800}-\u{1EFFF}]/u;

/** Ends the effect of right-to-left text on what follows. It takes no column. */
const LEFT_TO_RIGHT_MARK = "\u200E";

/** Characters that take no column: marks, and the parts of a Korean syllable that join the one before. */
const WITHOUT_COLUMN = /[\p{Mn}\p{Me}\p{Cf}\u1160-\u11FF\uD7B0-\uD7FF]/u;

const ELLIPSIS = "…";

const GRAPHEMES = new Intl.Segmenter("en", { granularity: "grapheme" });

/**
 * A text from outside as it may be given to a terminal: on one line, and with nothing in it that the terminal would obey.
 * What cannot be printed is a question mark, so escape sequences are seen and do nothing.
 */
export function printable(text: string): string {
  // Marks go first: to put thousands at one character in order takes the square of their number.
  return text.replaceAll(PILED_MARKS, "$1")
    .normalize("NFC")
    .replaceAll(EMOJI_MODIFIERS, "")
    .replaceAll(UNPRINTABLE, "?");
}

/**
 * How many columns of a terminal a printable text takes. That is the sum for its characters, as terminals count, also where
 * a reader sees several of them as one.
 */
export function displayWidth(text: string): number {
  let columns = 0;
  for (const character of text) {
    if (WITHOUT_COLUMN.test(character)) continue;
    columns += eastAsianWidth(character.codePointAt(0) ?? 0, { ambiguousAsWide: false });
  }
  return columns;
}

/** The text, or its beginning with an ellipsis where it is wider than so many columns (1 at least). */
export function cut(text: string, columns: number): string {
  if (displayWidth(text) <= columns) return text;
  let kept = "";
  let taken = displayWidth(ELLIPSIS);
  for (const { segment } of GRAPHEMES.segment(text)) {
    taken += displayWidth(segment);
    if (taken > columns) break;
    kept += segment;
  }
  return kept.trimEnd() + ELLIPSIS;
}

/**
 * The text with spaces, so that it takes exactly so many columns; cut where it is wider. Text that is written from right
 * to left does not change the order of the columns.
 */
export function fit(text: string, columns: number, alignment: "left" | "right"): string {
  const shown = cut(text, columns);
  const spaces = " ".repeat(Math.max(0, columns - displayWidth(shown)));
  const bounded = RIGHT_TO_LEFT.test(shown) ? shown + LEFT_TO_RIGHT_MARK : shown;
  return alignment === "left" ? bounded + spaces : spaces + bounded;
}

/** The text in lines of at most so many columns, broken at spaces; a longer word has a line of its own. */
export function wrap(text: string, columns: number): readonly string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (line !== "" && displayWidth(longer) > columns) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  return [...lines, line];
}
