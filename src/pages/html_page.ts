import { createHash } from "node:crypto";
import type { Page } from "../web/answer.ts";
import { type Html, safeHtml } from "./html.ts";

/** Makes a page for people out of the content of its `body`. */
export type HtmlPageMaker = (body: Html) => Page;

/**
 * Makes what makes pages of one style, on which nothing may be loaded or run: the style is known by its hash.
 *
 * @param style the style sheet
 * @param forms whether the page has a form, which may be sent to this exporter only
 */
export function createHtmlPageMaker(style: string, forms: boolean = false): HtmlPageMaker {
  const policy = [
    "default-src 'none'",
    `style-src 'sha256-${createHash("sha256").update(style).digest("base64")}'`,
    "base-uri 'none'",
    `form-action ${forms ? "'self'" : "'none'"}`,
    "frame-ancestors 'none'",
  ];
  const headers = {
    "Content-Security-Policy": policy.join("; "),
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
  };
  return (body) => {
    const document = safeHtml`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>libvirt_nova_exporter</title>
<style>${{ markup: style }}</style>
</head>
<body>
${body}
</body>
</html>
`;
    return {
      status: 200,
      contentType: "text/html; charset=utf-8",
      chunks: [new TextEncoder().encode(document.markup)],
      headers,
    };
  };
}

/**
 * A path as a link to it: relative to this page, which a proxy may have below a path of its own, and never to another host,
 * as one that begins with `//` would be.
 */
export function toHref(path: string): string {
  return `.${path.split("/").map(encodeURIComponent).join("/")}`;
}

/** A time of day with its date, as the log has it but for parts of a second. */
export function timeHtml(time: Date): Html {
  const text = time.toISOString();
  const shown = `${text.slice(0, 10)} ${text.slice(11, 19)} UTC`;
  return safeHtml`<time datetime="${text}">${shown}</time>`;
}
