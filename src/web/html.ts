/** Text that is safe to stand in HTML. */
export interface Html {
  readonly markup: string;
}

/** Control characters, line separators, and the characters that change the direction of text or cannot be seen. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu;

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/**
 * Escapes a text for the inside of elements and of quoted attributes. Characters that nobody can see, or that turn the text
 * around them, are written as their code, such as `\u202e`.
 */
export function escapeHtml(text: string): string {
  return text.toWellFormed()
    .replaceAll(UNSAFE, (character) => {
      const code = (character.codePointAt(0) ?? 0).toString(16).padStart(4, "0");
      return code.length > 4 ? `\\u{${code}}` : `\\u${code}`;
    })
    .replaceAll(/[&<>"']/g, (character) => ESCAPES[character] ?? "");
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
