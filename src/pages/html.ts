import { Buffer } from "node:buffer";
import { PILED_MARKS } from "../text.ts";

/** Text that is safe to stand in HTML. */
export interface Html {
  readonly markup: string;
}

const ELLIPSIS = "…";

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** What nobody can see, or what turns the text around it; an emoji may say by a selector how it is drawn. */
const INVISIBLE =
  /[\p{C}\p{Zl}\p{Zp}]|(?![\uFE0E\uFE0F])\p{Default_Ignorable_Code_Point}|(?<!\p{Emoji})[\uFE0E\uFE0F]/gu;

/**
 * A text as people see it on a page. Characters that nobody can see, or that turn the text around them, are written as their
 * code, such as `\u202e`. Marks that would be drawn over the lines around are left out.
 */
export function visibleText(text: string): string {
  return text.toWellFormed()
    .replaceAll(PILED_MARKS, "$1")
    .replaceAll(INVISIBLE, (character) => {
      const code = (character.codePointAt(0) ?? 0).toString(16).padStart(4, "0");
      return code.length > 4 ? `\\u{${code}}` : `\\u${code}`;
    });
}

/** Escapes a text, as {@linkcode visibleText} shows it, for the inside of elements and of quoted attributes. */
export function escapeHtml(text: string): string {
  return visibleText(text).replaceAll(/[&<>"']/g, (character) => ESCAPES[character] ?? "");
}

const GRAPHEMES = new Intl.Segmenter("en", { granularity: "grapheme" });

/** The text, or its beginning with an ellipsis where its markup would be longer than so many bytes of UTF-8. */
export function cutHtml(text: string, maximumBytes: number): Html {
  // No character takes less than a byte, so there is no need to look at the rest.
  const beginning = text.slice(0, maximumBytes + 1);
  const whole = escapeHtml(beginning);
  if (beginning === text && Buffer.byteLength(whole) <= maximumBytes) return { markup: whole };
  let markup = "";
  let room = maximumBytes - Buffer.byteLength(ELLIPSIS);
  for (const { segment } of GRAPHEMES.segment(beginning)) {
    const part = escapeHtml(segment);
    room -= Buffer.byteLength(part);
    if (room < 0) break;
    markup += part;
  }
  return { markup: markup + ELLIPSIS };
}

/**
 * Builds HTML from a template: texts and numbers are escaped, HTML and lists of it are not.
 *
 * @example safeHtml`<td>${name}</td>`.markup
 */
export function safeHtml(
  strings: TemplateStringsArray,
  ...values: readonly (string | number | Html | readonly Html[])[]
): Html {
  const parts = strings.map((part, index) => {
    const value = values[index];
    return value === undefined ? part : part + toMarkup(value);
  });
  return { markup: parts.join("") };
}

function toMarkup(value: string | number | Html | readonly Html[]): string {
  if (typeof value === "string" || typeof value === "number") return escapeHtml(String(value));
  return "markup" in value ? value.markup : value.map(({ markup }) => markup).join("");
}
