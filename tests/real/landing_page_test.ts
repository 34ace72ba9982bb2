// The page for people in a real browser: what it shows, that it runs and loads nothing, and that it fits a phone.
//
// LANDING_PAGE_SCREENSHOTS names a folder to keep pictures in.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { ExporterState } from "../../src/web/exporter_state.ts";
import { landingPage } from "../../src/web/landing_page.ts";
import { startBrowser } from "./browser.ts";

const LINKS = { metrics: "/metrics", healthy: "/-/healthy", ready: "/-/ready" };
const HOSTILE =
  `<script>document.title="run"</script><img src=x onerror='document.title="run"'>"'\u202egnp.exe`;
const DEVICES = {
  "small phone": { width: 320, height: 568 },
  phone: { width: 390, height: 844 },
  desktop: { width: 1_280, height: 800 },
};
/** Of the background and of the text. */
const COLOURS = {
  light: ["rgb(246, 248, 250)", "rgb(29, 37, 48)"],
  dark: ["rgb(20, 24, 29)", "rgb(230, 233, 238)"],
};

const STATES: Readonly<Record<string, ExporterState>> = {
  good: {
    version: "1.2.3",
    runtime: "bun 1.4.5",
    isUp: true,
    reason: undefined,
    instances: 42,
    unread: 0,
    collectedAt: new Date(),
    problems: [],
  },
  bad: {
    version: "1.2.3",
    runtime: "bun 1.4.5",
    isUp: false,
    reason: `Failed to connect socket to '/var/run/libvirt/libvirt-sock-ro': ${HOSTILE}`,
    instances: undefined,
    unread: 0,
    collectedAt: new Date(),
    problems: [
      `An instance does not answer libvirt: ${HOSTILE}`,
      `An instance does not answer libvirt: ${"very-long-name-without-any-space".repeat(10)}`,
    ],
  },
};

/** What the browser asked for, besides the page. */
interface Site {
  readonly url: string;
  readonly asked: readonly string[];
}

async function withSite(state: ExporterState, use: (site: Site) => Promise<void>): Promise<void> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    if (request.url !== "/") {
      asked.push(request.url ?? "");
      response.writeHead(404).end();
      return;
    }
    const { status, contentType, headers, chunks } = landingPage(state, LINKS);
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

Deno.test("a browser shows the landing page, runs nothing on it, asks for nothing more, and it fits a phone", async (test) => {
  await using browser = await startBrowser();
  const pictures = Deno.env.get("LANDING_PAGE_SCREENSHOTS");
  for (const [name, state] of Object.entries(STATES)) {
    for (const [device, size] of Object.entries(DEVICES)) {
      for (const scheme of ["light", "dark"] as const) {
        await test.step(`${name}, ${device}, ${scheme}`, async () => {
          await withSite(state, async ({ url, asked }) => {
            const page = await browser.open(url, { ...size, scheme });
            const picture = await page.screenshot();
            if (pictures !== undefined) {
              await Deno.writeFile(`${pictures}/${name}_${device}_${scheme}.png`, picture);
            }
            assert.equal(await page.evaluate("document.title"), "libvirt_nova_exporter");
            const text = String(await page.evaluate("document.body.innerText"));
            assert.ok(text.includes(name === "good" ? "connected" : "not available"), text);
            // What an instance's name looks like is shown as it is, but for what nobody can see.
            if (name === "bad") {
              assert.ok(text.includes(HOSTILE.replace("\u202e", "\\u202e")), text);
            }
            assert.equal(await page.evaluate("document.querySelectorAll('script, img').length"), 0);
            const width = await page.evaluate("document.documentElement.scrollWidth");
            assert.equal(width, size.width, "nothing reaches over the side");
            const colours = await page.evaluate(
              "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.querySelector('dd')).color]",
            );
            assert.deepEqual(colours, COLOURS[scheme], "the style is in force");
            assert.deepEqual(asked.filter((path) => path !== "/favicon.ico"), []);
            assert.deepEqual(page.complaints.filter((text) => !text.includes("favicon.ico")), []);
          });
        });
      }
    }
  }
});
