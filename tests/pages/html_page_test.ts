import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { safeHtml } from "../../src/pages/html.ts";
import { createHtmlPageMaker, timeHtml, toHref } from "../../src/pages/html_page.ts";

const STYLE = "p { color: red; }";

Deno.test("a page of HTML allows its one style by its hash, and nothing else", () => {
  const hash = createHash("sha256").update(STYLE).digest("base64");
  const policy = (form: string): string =>
    `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action ${form}; frame-ancestors 'none'`;
  for (const [forms, form] of [[false, "'none'"], [true, "'self'"]] as const) {
    const { status, contentType, headers = {}, chunks } = createHtmlPageMaker(STYLE, forms)(
      safeHtml`<p>${"<"}</p>`,
    );
    const [text = ""] = chunks.map((chunk) => new TextDecoder().decode(chunk));
    assert.deepEqual([status, contentType], [200, "text/html; charset=utf-8"]);
    assert.equal(headers["Content-Security-Policy"], policy(form));
    assert.equal(headers["Cache-Control"], "no-store");
    assert.ok(text.includes(`<style>${STYLE}</style>`), text);
    assert.ok(text.includes("<p>&lt;</p>"), text);
  }
});

Deno.test("toHref() leads to this host only, and below the path that a proxy has the page at", () => {
  const cases: readonly (readonly [page: string, path: string, leadsTo: string])[] = [
    ["http://host:9100/", "/metrics", "http://host:9100/metrics"],
    ["https://proxy.example/exporter/", "/metrics", "https://proxy.example/exporter/metrics"],
    ["http://host/", "//evil.example/x", "http://host//evil.example/x"],
    ["http://host/", "/a:b/ü", "http://host/a%3Ab/%C3%BC"],
    ["http://host/", "/javascript:x", "http://host/javascript%3Ax"],
  ];
  for (const [page, path, leadsTo] of cases) {
    assert.equal(new URL(toHref(path), page).href, leadsTo);
  }
});

Deno.test("timeHtml() is a time for people and for programs", () => {
  assert.equal(
    timeHtml(new Date("2026-11-24T12:00:00.123Z")).markup,
    '<time datetime="2026-11-24T12:00:00.123Z">2026-11-24 12:00:00 UTC</time>',
  );
});
