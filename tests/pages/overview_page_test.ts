import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { Problem } from "../../src/scrape/conditions.ts";
import type { ExporterStatus } from "../../src/scrape/status.ts";
import { filterOf, type OverviewFacts, overviewPage } from "../../src/pages/overview_page.ts";
import { instanceFacts, overviewFacts, pageFacts } from "../../testing/overview_facts.ts";

const LINKS = { metrics: "/metrics", healthy: "/-/healthy", ready: "/-/ready" };
const NOW = new Date("2026-11-24T12:00:10Z");
const HOSTILE = `<script>alert(1)</script>"'&\u202e`;

function render(facts: OverviewFacts, links = LINKS): string {
  const { chunks } = overviewPage(facts, links, NOW);
  return chunks.map((chunk) => new TextDecoder().decode(chunk)).join("");
}

function withState(changes: Partial<ExporterStatus>, count = 1): OverviewFacts {
  const facts = pageFacts(count);
  return { ...facts, status: { ...facts.status, ...changes } };
}

function problem(text: string, until?: Date): Problem {
  return { text, message: text, since: new Date("2026-11-24T11:50:00Z"), until };
}

/** How many instances a page shows. */
function rowsOf(text: string): number {
  return text.split("<th scope=row>").length - 1;
}

Deno.test("overviewPage() has the host in one line, how old all is, the instances, and links", () => {
  const text = render(pageFacts(3));
  for (
    const part of [
      ">connected</span> · no problems",
      "qemu:///system",
      "3 instances, 12 vCPUs on 128 CPUs, 24.0 GiB of 1.0 TiB memory allocated",
      "Values 3 s old, rates of 15 s.",
      '<a href="./metrics">/metrics</a>',
      '<a href="./-/healthy">',
      '<a href="./-/ready">',
      "Version 1.2.3 (bun 1.4.5)",
    ]
  ) assert.ok(text.includes(part), part);
  assert.equal(rowsOf(text), 3);
  assert.ok(!/demo|Problems|Targets/.test(text));
});

Deno.test("overviewPage() keeps the order of the instances", () => {
  const instances = ["b", "a", "c"].map((name) => instanceFacts({ name }));
  const overview = overviewFacts(0, { instances });
  const text = render(pageFacts(3, { seen: { overview, ageSeconds: 0 } }));
  assert.deepEqual([...text.matchAll(/<th scope=row>(\w+)/g)].map(([, name]) => name), [
    "b",
    "a",
    "c",
  ]);
});

Deno.test("overviewPage() says when there is nothing to see", () => {
  const before = withState({ isUp: undefined, collectedAt: undefined });
  const cases: readonly (readonly [string, OverviewFacts, RegExp])[] = [
    [
      "before the first collection",
      { ...before, seen: undefined },
      /not asked yet<[\s\S]*libvirt has not been asked yet/,
    ],
    ["no instances", pageFacts(0), /<p>No instances: none is active here/],
    [
      "no rates yet",
      pageFacts(1, {
        seen: { overview: overviewFacts(1, { rateSeconds: undefined }), ageSeconds: 1 },
      }),
      /Values 1 s old; rates come with the next collection/,
    ],
  ];
  for (const [name, facts, expected] of cases) assert.match(render(facts), expected, name);
  assert.equal(rowsOf(render(pageFacts(0))), 0);
});

Deno.test("overviewPage() speaks of no rates where no collector has any", () => {
  const asked = { cpu: false, memory: true, disk: false, network: false };
  const overview = overviewFacts(1, { asked, rateSeconds: undefined });
  assert.match(render(pageFacts(1, { seen: { overview, ageSeconds: 1 } })), /Values 1 s old\. /);
});

Deno.test("overviewPage() explains the columns that are there", () => {
  for (
    const [cpu, memory] of [[true, true], [true, false], [false, true], [false, false]] as const
  ) {
    const asked = { cpu, memory, disk: true, network: true };
    const seen = { overview: overviewFacts(1, { asked }), ageSeconds: 1 };
    const legend = /class="soft legend">([^<]*)</.exec(render(pageFacts(1, { seen })))?.[1] ?? "";
    const explained = [/CPU is/, /Memory is/, /libvirt did not say/].map((one) => one.test(legend));
    assert.deepEqual(explained, [cpu, memory, true]);
  }
});

Deno.test("overviewPage() says that libvirt is not available, since when and why, and what was seen before", () => {
  const down = withState({
    isUp: false,
    reason: "no socket",
    problems: [problem("Down: no socket")],
  });
  const facts = { ...down, seen: { overview: overviewFacts(2), ageSeconds: 187 } };
  const text = render(facts);
  assert.match(
    text,
    /libvirt is not available<\/strong> since <time [^>]*>2026-11-24 11:50:00 UTC<\/time>: no socket\. What is below was seen before that, 3 min ago\./,
  );
  assert.match(text, /<table class="past">/);
  assert.equal(rowsOf(text), 2);
  assert.equal(text.split("no socket").length - 1, 1, "it is said once");
  const never = render({ ...down, seen: undefined });
  assert.match(never, /no socket\.<\/p>/);
  assert.ok(!never.includes("<table"));
});

Deno.test("overviewPage() counts what is not among the instances", () => {
  const text = render(withState({ unread: 3, filtered: 4 }));
  assert.match(text, /memory allocated, 3 still to be read, without 4 that the filters leave out</);
});

Deno.test("overviewPage() has the last problems in the log's words, those of now first", () => {
  const problems = Array.from({ length: 25 }, (_, index) => problem(`problem ${index}`));
  const pastProblems = [problem("it was: because", new Date("2026-11-24T11:55:00Z"))];
  const text = render(withState({ problems, pastProblems }));
  assert.match(text, /<a href="#problems">25 problems<\/a>/);
  assert.match(
    text,
    /Now:<\/span> problem 19 <span class="soft">since <time [^>]*>2026-11-24 11:50/,
  );
  assert.ok(!text.includes("problem 20"));
  assert.match(
    text,
    /and 5 more, see the log[\s\S]*Over: it was: because from <time [^>]*>2026-11-24 11:50:00 UTC<\/time> to <time [^>]*>2026-11-24 11:55/,
  );
  assert.match(render(withState({ pastProblems })), /no problems[\s\S]*Over: it was/);
});

Deno.test("overviewPage() has the targets of /probe with their state", () => {
  const { status } = pageFacts(7);
  const targets = [
    { name: "compute2", status: { ...status, problems: [problem("x")] } },
    { name: "compute3", status: { ...status, isUp: false, reason: "Connection refused" } },
    { name: "compute4", status: { ...status, isUp: undefined, collectedAt: undefined } },
    { name: "compute:5", status: undefined },
  ];
  const text = render(pageFacts(1, { targets }));
  for (
    const part of [
      /<a href="\.\/probe\?target=compute2">compute2<\/a> <span class="good">connected<\/span>, 7 instances, 1 problem <span class="soft">10 s ago/,
      /compute3<\/a> <span class="bad">not available<\/span>: Connection refused/,
      /compute4<\/a> <span class="idle">not asked yet/,
      /<a href="\.\/probe\?target=compute%3A5">compute:5<\/a> <span class="idle">not asked yet/,
    ]
  ) assert.match(text, part);
});

Deno.test("overviewPage() says that libvirt's test driver is a demo", () => {
  for (const uri of ["test:///default", "test:///a/b.xml"]) {
    const text = render(pageFacts(1, { uri }));
    assert.match(text, /This is a demo/);
    assert.ok(!text.includes(uri), "its place is of no use");
    // Without instances it is no demo, but a file that is wrong.
    assert.doesNotMatch(render(pageFacts(1, { uri, seen: undefined })), /This is a demo/);
  }
});

Deno.test("overviewPage() shows the instances that have all words of the filter", () => {
  const instances = [
    instanceFacts({ name: "Web-1", project: "shop", libvirtName: "instance-0a" }),
    instanceFacts({ name: "web-2", project: "blog", state: "paused", reason: "io error" }),
    instanceFacts({
      // To bring its marks into Unicode's order would take hours.
      name: `café می\u200cخواهم ${"\u0301\u0316".repeat(500_000)}`,
      project: undefined,
      incomplete: "it did not answer in time",
    }),
  ];
  const overview = overviewFacts(3, { instances });
  const cases: readonly (readonly [filter: string, rows: number])[] = [
    ["", 3],
    ["web", 2],
    ["WEB", 2],
    ["web shop", 1],
    ["shop   web", 1],
    ["instance-0a", 1],
    ["paused", 1],
    ["io error", 1],
    ["incomplete", 1],
    ["CAFE\u0301", 1],
    ["می\u200cخواهم", 1],
    // As the page shows it.
    ["می\\u200cخواهم", 1],
    ["undefined", 0],
    ["<b>", 0],
  ];
  for (const [filter, rows] of cases) {
    const text = render(pageFacts(3, { seen: { overview, ageSeconds: 0 }, filter }));
    assert.equal(rowsOf(text), rows, filter);
    assert.equal(text.includes(`is in ${rows} of 3 instances.</p>`), filter !== "", filter);
    assert.equal(text.includes('<a href="./">Show all</a>'), filter !== "", filter);
    const again = filter === "" ? "./" : `./?filter=${encodeURIComponent(filter)}`;
    assert.ok(text.includes(`<a href="${again}">Look again</a>`), filter);
  }
});

Deno.test("filterOf() takes the filter out of the query, without what surrounds it and not more than fits", () => {
  const cases: readonly (readonly [query: string, filter: string])[] = [
    ["", ""],
    ["filter=", ""],
    ["filter=web", "web"],
    ["a=b&filter=+a+b%20+&filter=c", "a b"],
    ["filter=%3Cb%3E%ff", "<b>\ufffd"],
    [`filter=${"x".repeat(5_000)}`, "x".repeat(100)],
    [`filter=x${encodeURIComponent("😀".repeat(60))}`, `x${"😀".repeat(49)}`],
  ];
  for (const [query, filter] of cases) assert.equal(filterOf(query), filter);
});

Deno.test("overviewPage() shows no more rows than a browser can bear, and says so", () => {
  const text = render(pageFacts(1_200));
  assert.equal(rowsOf(text), 1_000);
  assert.match(text, /Only the busiest 1000 of 1200 are shown: filter to see others/);
});

Deno.test("overviewPage() escapes whatever comes from outside", () => {
  const hostile = instanceFacts({
    name: HOSTILE,
    libvirtName: `a${HOSTILE}`,
    project: HOSTILE,
    state: HOSTILE,
    reason: HOSTILE,
    incomplete: HOSTILE,
  });
  const facts = withState({
    reason: HOSTILE,
    version: HOSTILE,
    runtime: HOSTILE,
    problems: [problem(HOSTILE)],
    pastProblems: [problem(HOSTILE, NOW)],
  });
  const { status } = facts;
  const overview = overviewFacts(1, { instances: [hostile] });
  for (const isUp of [true, false]) {
    const text = render({
      status: { ...status, isUp },
      uri: HOSTILE,
      seen: { overview, ageSeconds: 1 },
      targets: [{ name: HOSTILE, status: { ...status, isUp: false } }],
      filter: "script",
    }, { ...LINKS, metrics: `/${HOSTILE}` });
    assert.equal(rowsOf(text), 1);
    assert.ok(!text.includes("<script"));
    assert.ok(!text.includes("\u202e"));
  }
  const searched = render({ ...facts, filter: `"><script>${HOSTILE}` });
  assert.ok(!searched.includes("<script"));
  assert.match(searched, /value="&quot;&gt;&lt;script&gt;/);
});

Deno.test("overviewPage() is under 60 kB for a hundred instances, whatever they are called", () => {
  const names = [
    "web-1",
    "x".repeat(255),
    "数".repeat(85),
    '"'.repeat(255),
    "\u{e0041}".repeat(255),
  ];
  for (const name of names) {
    const changes = { name, project: name, libvirtName: `${name}2`, reason: "starting up" };
    const incomplete = "not asked: too many calls were unanswered, or there was no time";
    const instances = overviewFacts(100).instances
      .map((instance) => ({ ...instance, ...changes, state: "paused", incomplete }));
    const overview = overviewFacts(100, { instances });
    const facts = pageFacts(100, { seen: { overview, ageSeconds: 3 } });
    const [page] = overviewPage(facts, LINKS).chunks;
    assert.ok((page?.byteLength ?? Infinity) < 60_000, `${name.slice(0, 9)} ${page?.byteLength}`);
  }
});

Deno.test("overviewPage() allows its one style by its hash and its form to come back, and nothing else", () => {
  const { headers = {}, contentType } = overviewPage(pageFacts(1), LINKS, NOW);
  const text = render(pageFacts(1));
  const style = /<style>([\s\S]*?)<\/style>/.exec(text)?.[1] ?? "";
  const hash = createHash("sha256").update(style).digest("base64");
  assert.equal(
    headers["Content-Security-Policy"],
    `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'`,
  );
  assert.equal(contentType, "text/html; charset=utf-8");
  assert.ok(!/(?:src|style)=|url\(|@import|https?:|<script/.test(text));
});
