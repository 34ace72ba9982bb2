import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { ExporterState } from "../src/web/exporter_state.ts";
import { landingPage } from "../src/web/landing_page.ts";

const LINKS = { metrics: "/metrics", healthy: "/-/healthy", ready: "/-/ready" };
const NOW = new Date("2026-11-24T12:00:10Z");
const UP: ExporterState = {
  version: "1.2.3",
  runtime: "bun 1.4.5",
  isUp: true,
  reason: undefined,
  instances: 12,
  unread: 0,
  collectedAt: new Date("2026-11-24T12:00:00Z"),
  problems: [],
};
const HOSTILE = `<script>alert(1)</script>"'&\u202e`;

function render(state: Partial<ExporterState> = {}, links = LINKS): string {
  const { chunks } = landingPage({ ...UP, ...state }, links, NOW);
  return chunks.map((chunk) => new TextDecoder().decode(chunk)).join("");
}

Deno.test("landingPage() tells what the exporter is and how it goes", () => {
  const text = render();
  for (
    const part of [
      "1.2.3 (bun 1.4.5)",
      ">connected<",
      "<dd>12</dd>",
      'datetime="2026-11-24T12:00:00.000Z">2026-11-24 12:00:00 UTC</time>',
      "10 seconds ago",
      '<a href="/metrics">/metrics</a>',
      '<a href="/-/healthy">',
      '<a href="/-/ready">',
    ]
  ) assert.ok(text.includes(part), part);
  assert.ok(!text.includes("Problems"));
});

Deno.test("landingPage() tells what is the matter", () => {
  const state = { isUp: false, reason: "no socket", instances: undefined };
  assert.match(render(state), />not available<\/span><br>no socket/);
  assert.match(
    render({ isUp: undefined, collectedAt: undefined }),
    />not asked yet<[\s\S]*>none yet</,
  );
  assert.match(render({ unread: 3 }), /12, of which 3 are still to be read/);
  const problems = Array.from({ length: 25 }, (_, index) => `problem ${index}`);
  const text = render({ problems });
  assert.match(text, /<li>problem 19<\/li>/);
  assert.ok(!text.includes("problem 20"));
  assert.match(text, /and 5 more/);
});

Deno.test("landingPage() escapes whatever comes from outside", () => {
  const text = render(
    { isUp: false, reason: HOSTILE, problems: [HOSTILE], version: HOSTILE, runtime: HOSTILE },
    { ...LINKS, metrics: `/${HOSTILE}` },
  );
  assert.ok(!text.includes("<script"));
  assert.ok(!text.includes("\u202e"));
  assert.match(text, /href="\/%3Cscript%3Ealert\(1\)%3C/);
});

Deno.test("landingPage() links to this host only", () => {
  assert.match(
    render({}, { ...LINKS, metrics: "//evil.example/x" }),
    /href="\/\.\/\/evil\.example\/x"/,
  );
  assert.match(render({}, { ...LINKS, metrics: "/a:b/ü" }), /href="\/a%3Ab\/%C3%BC"/);
});

Deno.test("landingPage() allows its one style by its hash, and nothing else", () => {
  const { headers = {}, contentType } = landingPage(UP, LINKS, NOW);
  const style = /<style>([\s\S]*?)<\/style>/.exec(render())?.[1] ?? "";
  const hash = createHash("sha256").update(style).digest("base64");
  assert.equal(
    headers["Content-Security-Policy"],
    `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  );
  assert.equal(contentType, "text/html; charset=utf-8");
  assert.ok(!/(?:src|style)=|url\(|@import|https?:/.test(render()));
});

Deno.test("landingPage() cuts what is too long", () => {
  const text = render({ isUp: false, reason: "x".repeat(100_000) });
  assert.ok(text.length < 10_000);
  assert.ok(text.includes("x…"));
});
