// The pages for people in a real browser: what they show, that they run and load nothing, that they fit a phone, and that
// keyboards and screen readers find their way.
//
// LANDING_PAGE_SCREENSHOTS names a folder to keep pictures in.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import type { Problem } from "../../src/scrape/conditions.ts";
import type { Page } from "../../src/web/answer.ts";
import type { ExporterStatus } from "../../src/scrape/status.ts";
import { landingPage } from "../../src/pages/landing_page.ts";
import { filterOf, type OverviewFacts, overviewPage } from "../../src/pages/overview_page.ts";
import { instanceFacts, overviewFacts, pageFacts } from "../../testing/overview_facts.ts";
import { type AccessibleNode, type BrowserPage, startBrowser } from "../../testing/browser.ts";
import { waitUntil } from "../../testing/wait_until.ts";

const LINKS = { metrics: "/metrics", healthy: "/-/healthy", ready: "/-/ready" };
const HOSTILE =
  `<script>document.title="run"</script><img src=x onerror='document.title="run"'>"'\u202egnp.exe`;
const SHOWN_HOSTILE = HOSTILE.replace("\u202e", "\\u202e");
const LONG = "very-long-name-without-any-space".repeat(10);
const DEVICES = {
  phone: { width: 320, height: 568 },
  tablet: { width: 768, height: 1_024 },
  desktop: { width: 1_280, height: 800 },
};
/** Of the background and of the text. */
const STATUS_COLOURS = {
  light: ["rgb(246, 248, 250)", "rgb(29, 37, 48)"],
  dark: ["rgb(20, 24, 29)", "rgb(230, 233, 238)"],
};
const OVERVIEW_COLOURS = {
  light: ["rgb(244, 246, 249)", "rgb(27, 36, 48)"],
  dark: ["rgb(18, 22, 27)", "rgb(228, 232, 238)"],
};
const LIBVIRT_REASON = `Failed to connect socket to '/var/run/libvirt/libvirt-sock-ro': ${HOSTILE}`;

function problem(text: string, minutes: number | undefined): Problem {
  const since = new Date("2026-11-24T11:00:00Z");
  const until = minutes === undefined ? undefined : new Date(since.getTime() + minutes * 60_000);
  return { text, message: "An instance does not answer libvirt", since, until };
}

const PROBLEMS = [
  problem(`An instance does not answer libvirt: ${HOSTILE}`, undefined),
  problem(`An instance does not answer libvirt: ${LONG}`, undefined),
];
const OVER = [problem("libvirt is not available: Connection refused", 3)];
const GOOD = pageFacts(1).status;

/** What the browser is shown, some of what it has to show of it, and how many instances. */
interface Sight {
  readonly page: (query: string) => Page;
  readonly texts: readonly string[];
  readonly rows: number;
  readonly colours: typeof STATUS_COLOURS;
}

function status(changes: Partial<ExporterStatus>, ...texts: readonly string[]): Sight {
  const state = { ...GOOD, collectedAt: new Date(), ...changes };
  return { page: () => landingPage(state, LINKS), texts, rows: 0, colours: STATUS_COLOURS };
}

function overview(facts: OverviewFacts, rows: number, ...texts: readonly string[]): Sight {
  const page = (query: string): Page => overviewPage({ ...facts, filter: filterOf(query) }, LINKS);
  return { page, texts, rows, colours: OVERVIEW_COLOURS };
}

function withState(facts: OverviewFacts, changes: Partial<ExporterStatus>): OverviewFacts {
  return { ...facts, status: { ...facts.status, ...changes } };
}

function hostileFacts(): OverviewFacts {
  const names = [
    HOSTILE,
    LONG,
    "\u0645\u0631\u062d\u0628\u0627",
    "Z\u0300\u0301\u0302\u0303\u0304",
  ];
  const instances = names.map((name) =>
    instanceFacts({
      name,
      project: name,
      libvirtName: `${name}1`,
      incomplete: "libvirt refused a call about it",
      cores: 2 ** 64 / 1e9,
      memoryBytes: 2 ** 64,
      usedBytes: 2 ** 63,
      readBytesPerSecond: 2 ** 64,
      virtualCpus: 4_294_967_295,
    })
  );
  const facts = withState(pageFacts(4), { problems: PROBLEMS, pastProblems: OVER });
  const target = { ...GOOD, isUp: false, reason: HOSTILE };
  return {
    ...facts,
    uri: `qemu+tls://${LONG}/system`,
    seen: { overview: overviewFacts(4, { instances }), ageSeconds: 1e6 },
    targets: [{ name: LONG, status: target }, { name: "b", status: undefined }],
  };
}

const SIGHTS: Readonly<Record<string, Sight>> = {
  "status, good": status({ instances: 42 }, "connected", "42"),
  "status, bad": status({ isUp: false, reason: LIBVIRT_REASON }, "not available", SHOWN_HOSTILE),
  "1 instance": overview(pageFacts(1), 1, "1 instance, 4 vCPUs", "web-frontend-1"),
  "100 instances": overview(pageFacts(100), 100, "100 instances", "did not answer in time"),
  "1,000 instances": overview(pageFacts(1_000), 1_000, "1000 instances"),
  "no instances": overview(pageFacts(0), 0, "No instances: none is active here"),
  "an outage": overview(
    withState(pageFacts(13), {
      isUp: false,
      reason: LIBVIRT_REASON,
      problems: [problem("libvirt is not available", undefined)],
      pastProblems: OVER,
    }),
    13,
    "libvirt is not available since 2026-11-24 11:00:00 UTC",
    SHOWN_HOSTILE,
    "Over: libvirt is not available",
  ),
  "before the first scrape": overview(
    { ...withState(pageFacts(0), { isUp: undefined, collectedAt: undefined }), seen: undefined },
    0,
    "libvirt has not been asked yet",
  ),
  "hostile names, huge values": overview(
    hostileFacts(),
    4,
    SHOWN_HOSTILE.slice(0, 30),
    "1844674407371 %",
    "2 problems",
    "not asked yet",
  ),
};

/** What a browser is given, and what it asked for besides. */
interface Site {
  readonly url: string;
  readonly asked: readonly string[];
}

async function withSite({ page }: Sight, use: (site: Site) => Promise<void>): Promise<void> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const [path, query = ""] = (request.url ?? "").split("?", 2);
    if (path !== "/") {
      asked.push(request.url ?? "");
      response.writeHead(404).end();
      return;
    }
    const { status, contentType, headers, chunks } = page(query);
    response.writeHead(status, { "Content-Type": contentType, ...headers });
    for (const chunk of chunks) response.write(chunk);
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  try {
    await use({ url: `http://127.0.0.1:${port}/`, asked });
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

const AXE = await Deno.readTextFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"));

/** What axe-core finds wrong, each with the first place. */
async function violations(page: BrowserPage): Promise<unknown> {
  await page.evaluate(AXE);
  return await page.evaluate(
    "axe.run().then(({ violations }) => violations.map(({ id, nodes }) => [id, nodes[0].html, nodes[0].failureSummary]))",
  );
}

function count(nodes: readonly AccessibleNode[], role: string): number {
  return nodes.filter((node) => node.role === role).length;
}

Deno.test("a browser shows the pages for people, runs nothing on them, asks for nothing more, and they fit a phone", async (test) => {
  await using browser = await startBrowser();
  const pictures = Deno.env.get("LANDING_PAGE_SCREENSHOTS");
  for (const [name, sight] of Object.entries(SIGHTS)) {
    for (const [device, size] of Object.entries(DEVICES)) {
      for (const scheme of ["light", "dark"] as const) {
        await test.step(`${name}, ${device}, ${scheme}`, async () => {
          await withSite(sight, async ({ url, asked }) => {
            await using page = await browser.open(url, { ...size, scheme });
            if (pictures !== undefined) {
              const file = `${name}_${device}_${scheme}.png`.replaceAll(/[ ,]+/g, "_");
              await Deno.writeFile(`${pictures}/${file}`, await page.screenshot());
            }
            assert.equal(await page.evaluate("document.title"), "libvirt_nova_exporter");
            const text = String(await page.evaluate("document.body.innerText"));
            for (const part of sight.texts) assert.ok(text.includes(part), `${part}: ${text}`);
            const rows = await page.evaluate("document.querySelectorAll('tbody tr').length");
            assert.equal(rows, sight.rows);
            assert.equal(await page.evaluate("document.querySelectorAll('script, img').length"), 0);
            const width = Number(await page.evaluate("document.documentElement.scrollWidth"));
            assert.ok(width <= size.width, "nothing reaches over the side");
            const colours = await page.evaluate(
              "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]",
            );
            assert.deepEqual(colours, sight.colours[scheme], "the style is in force");
            assert.deepEqual(asked.filter((path) => path !== "/favicon.ico"), []);
            assert.deepEqual(page.complaints.filter((text) => !text.includes("favicon.ico")), []);
          });
        });
      }
    }
  }
});

Deno.test("axe-core finds nothing on the pages for people, and screen readers find a table on a phone, too", async (test) => {
  await using browser = await startBrowser();
  for (const [name, sight] of Object.entries(SIGHTS)) {
    for (const [device, scheme] of [["phone", "light"], ["desktop", "dark"]] as const) {
      await test.step(`${name}, ${device}, ${scheme}`, async () => {
        await withSite(sight, async ({ url }) => {
          await using page = await browser.open(url, { ...DEVICES[device], scheme });
          const nodes = await page.accessibleNodes();
          assert.equal(count(nodes, "rowheader"), sight.rows);
          assert.equal(count(nodes, "table"), sight.rows === 0 ? 0 : 1);
          assert.equal(count(nodes, "columnheader"), sight.rows === 0 ? 0 : 11);
          assert.equal(count(nodes, "cell"), sight.rows * 10);
          assert.deepEqual(await violations(page), []);
        });
      });
    }
  }
});

Deno.test("the overview can be filtered with the keyboard, without a script", async () => {
  await using browser = await startBrowser();
  await withSite(overview(pageFacts(100), 100), async ({ url }) => {
    await using page = await browser.open(url, { ...DEVICES.desktop, scheme: "light" });
    const focused = (): Promise<unknown> =>
      page.evaluate("(document.activeElement.id || document.activeElement.textContent)");
    const order: unknown[] = [];
    for (let times = 0; times < 6; times++) {
      await page.press("Tab");
      order.push(await focused());
    }
    assert.deepEqual(order, ["filter", "Show", "Look again", "/metrics", "/-/healthy", "/-/ready"]);
    const outline = "getComputedStyle(document.activeElement).outlineStyle";
    assert.equal(await page.evaluate(outline), "solid", "the focus can be seen");
    await page.evaluate("document.getElementById('filter').focus()");
    await page.write("kafka ci");
    await page.press("Enter");
    await waitUntil(
      "the filtered page",
      async () => await page.evaluate("location.search") === "?filter=kafka+ci",
    );
    await waitUntil(
      "the filtered table",
      async () => await page.evaluate("document.readyState") === "complete",
    );
    const names = await page.evaluate(
      "[...document.querySelectorAll('tbody th')].map((cell) => cell.firstChild.textContent)",
    );
    assert.deepEqual(names, ["kafka-3", "kafka-63", "kafka-33", "kafka-93"]);
    assert.equal(
      await page.evaluate("document.querySelector('[role=status]').textContent"),
      "“kafka ci” is in 4 of 100 instances.",
    );
    assert.deepEqual(page.complaints.filter((text) => !text.includes("favicon.ico")), []);
  });
});
