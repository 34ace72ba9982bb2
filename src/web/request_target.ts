/** A request's target taken apart. */
export interface RequestTarget {
  /** The path with its percent-encoding decoded, such as `/metrics`. */
  readonly path: string;
  /** What follows the first `?`, still encoded; empty when there is none. */
  readonly query: string;
}

const ABSOLUTE_FORM = /^https?:\/\/[^/?#]*/i;

/**
 * Takes the target of an HTTP request line apart: the origin form (`/metrics?a=b`) and the absolute form
 * (`http://host/metrics`), which RFC 9112 section 3.2.2 obliges every server to accept.
 *
 * @returns the decoded path and the raw query; `undefined` when the percent-encoding of the path is malformed
 */
export function parseRequestTarget(target: string): RequestTarget | undefined {
  const originForm = target.replace(ABSOLUTE_FORM, "");
  const [encodedPath, query] = splitAtFirst(originForm, "?");
  try {
    const path = decodeURIComponent(encodedPath);
    return { path: path === "" ? "/" : path, query };
  } catch {
    return undefined;
  }
}

function splitAtFirst(text: string, separator: string): readonly [string, string] {
  const index = text.indexOf(separator);
  return index === -1 ? [text, ""] : [text.slice(0, index), text.slice(index + separator.length)];
}
