/** Texts from outside, as messages, logs and pages may repeat them. */

/**
 * What a reader does not see, or what turns or breaks the text around it: control and format characters, characters without
 * a meaning, and line separators. Halves of characters are among them.
 */
export const UNSAFE_CHARACTERS = /[\p{C}\p{Zl}\p{Zp}]/gu;

/** Marks beyond the three that a script may need at a character, which would be drawn over the lines around: keep `$1`. */
export const PILED_MARKS = /(\p{M}{3})\p{M}+/gu;

const LINE_ENDS_AND_UNSAFE_CHARACTERS = /[\r\n\p{Zl}\p{Zp}][\s\p{C}]*|[\p{C}\p{Zl}\p{Zp}]+/gu;

/** The longest text that a message repeats, in UTF-16 units. */
const MAXIMUM_QUOTED_LENGTH = 200;

/** The text, or its beginning with an ellipsis where it is longer than so many UTF-16 units. */
export function cut(text: string, maximumLength: number): string {
  if (text.length <= maximumLength) return text.toWellFormed();
  // A cut between the halves of a surrogate pair would leave half a character.
  const beginning = text.slice(0, maximumLength).replace(/[\ud800-\udbff]$/, "");
  return `${beginning.toWellFormed()}…`;
}

/** The text on one line: each line end, and each run of {@linkcode UNSAFE_CHARACTERS}, is a space. */
export function oneLine(text: string): string {
  return text.toWellFormed().replaceAll(LINE_ENDS_AND_UNSAFE_CHARACTERS, " ");
}

/** What an error says, or the text of whatever else was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The system's code of an error, such as `ENOENT`; empty where there is none. */
export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/** Writes a text in double quotes on one line, for a message; what cannot be seen is a question mark. */
export function quote(text: string): string {
  return JSON.stringify(cut(text, MAXIMUM_QUOTED_LENGTH)).replaceAll(UNSAFE_CHARACTERS, "?");
}

/** Writes a text as a JSON string, whose {@linkcode UNSAFE_CHARACTERS} are escaped, so that nothing is lost. */
export function quoteAsJson(text: string): string {
  return JSON.stringify(text).replaceAll(UNSAFE_CHARACTERS, (character) =>
    // JSON escapes the two halves of a character beyond the first plane.
    Array.from({ length: character.length }, (_, half) =>
      `\\u${character.charCodeAt(half).toString(16).padStart(4, "0")}`).join(""));
}

/**
 * The forms of https://libvirt.org/uri.html: `driver[+transport]://[user@][host][:port]/[path][?query]`. The
 * host may be an IPv6 address in brackets.
 */
export const URI_FORM =
  /^[a-z][a-z0-9]*(?:\+[a-z0-9]+)?:\/\/(?<user>[^@/?#[\]]*@)?(?:[\w.~%!$&'()*+,;=-]*|\[(?<ipv6>[^[\]/?#]+)\])(?::(?<port>\d+))?\/[^?#]*(?:\?[^#]*)?$/i;

/**
 * Hides the password of a URI, as in `qemu+ssh://user:***@host/system`. Of a text with an `@` that is no valid
 * URI everything is hidden from the first colon to the last `@`, because the password may be anywhere there.
 */
export function redactUri(text: string): string {
  return URI_FORM.test(text)
    ? text.replace(/^([^/]*:\/\/[^@/?#:]*):[^@/?#]*@/, "$1:***@")
    : text.replace(/:.*@/s, ":***@");
}

/** Quotes what somebody gave, such as the value of a flag, without the password of a URI. */
export function quoteWithoutPassword(text: string): string {
  return quote(redactUri(text));
}

/**
 * Makes what hides the password of a URI in texts that come from libvirt, which may repeat it: `ssh` gets user and password
 * as the name to log in with, and its complaints come back as libvirt's.
 *
 * @returns a function that leaves texts alone when the URI has no password
 */
export function createPasswordHider(uri: string): (text: string) => string {
  const password = /^[^/]*:\/\/[^@/?#:]*:(?<password>[^@/?#]+)@/.exec(uri)?.groups?.password;
  if (password === undefined) return (text) => text;
  // The longer form first, as the other one may be a part of it.
  const forms = [...new Set([password, decodePercent(password)])]
    .sort((one, other) => other.length - one.length);
  return (text) => forms.reduce((shown, form) => shown.replaceAll(form, "***"), text);
}

/** Decodes what is encoded, as libvirt's parser does, and leaves the rest. */
function decodePercent(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
