import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { landingPage } from "../../src/pages/landing_page.ts";
import type { Problem } from "../../src/scrape/conditions.ts";
import type { ExporterStatus } from "../../src/scrape/status.ts";

const LINKS = { metrics: "/metrics", healthy: "/-/healthy", ready: "/-/ready" };
const NOW = new Date("2026-11-24T12:00:10Z");
const UP: ExporterStatus = {
  version: "1.2.3",
  runtime: "bun 1.4.5",
  isUp: true,
  reason: undefined,
  instances: 12,
  unread: 0,
  filtered: 0,
  collectedAt: new Date("2026-11-24T12:00:00Z"),
  problems: [],
  pastProblems: [],
};
function problemOf(message: string, text: string = message): Problem {
  return { text, message, since: NOW, until: undefined };
}

const HOSTILE = `<script>alert(1)</script>"'&\u202e`;

function render(state: Partial<ExporterStatus> = {}, links = LINKS): string {
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
      '<a href="./metrics">/metrics</a>',
      '<a href="./-/healthy">',
      '<a href="./-/ready">',
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
  assert.match(render({ filtered: 4 }), /<dd>12, without 4 that the filters leave out<\/dd>/);
  const problems = Array.from({ length: 25 }, (_, index) => problemOf(`problem ${index}`));
  const text = render({ problems });
  assert.match(text, /<li>problem 19<\/li>/);
  assert.ok(!text.includes("problem 20"));
  assert.match(text, /and 5 more/);
  assert.ok(
    !render({ ...state, problems }).includes("problem 1"),
    "without libvirt all else is old",
  );
});

Deno.test("landingPage() names no instance", () => {
  const problems = [
    problemOf("A guest hangs", "A guest hangs: instance-1"),
    problemOf("A guest hangs", "A guest hangs: instance-2: no answer"),
    problemOf("A call fails", "A call fails: instance-3"),
  ];
  const text = render({ problems });
  assert.match(text, /<li>A guest hangs \(2\)<\/li><li>A call fails<\/li>/);
  assert.ok(!text.includes("instance-"));
});

Deno.test("landingPage() escapes whatever comes from outside", () => {
  const text = render(
    { reason: HOSTILE, problems: [problemOf(HOSTILE)], version: HOSTILE, runtime: HOSTILE },
    { ...LINKS, metrics: `/${HOSTILE}` },
  );
  assert.ok(!text.includes("<script"));
  assert.ok(!text.includes("\u202e"));
  assert.match(text, /href="\.\/%3Cscript%3Ealert\(1\)%3C/);
});

Deno.test("landingPage() links to this host only, and below the path that a proxy has it at", () => {
  const cases: readonly (readonly [page: string, metrics: string, leadsTo: string])[] = [
    ["http://host:9100/", "/metrics", "http://host:9100/metrics"],
    ["https://proxy.example/exporter/", "/metrics", "https://proxy.example/exporter/metrics"],
    ["http://host/", "//evil.example/x", "http://host//evil.example/x"],
    ["http://host/", "/a:b/ü", "http://host/a%3Ab/%C3%BC"],
    ["http://host/", "/javascript:x", "http://host/javascript%3Ax"],
  ];
  for (const [page, metrics, leadsTo] of cases) {
    const [, href = ""] = /<a href="([^"]*)"/.exec(render({}, { ...LINKS, metrics })) ?? [];
    assert.equal(new URL(href, page).href, leadsTo);
  }
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
