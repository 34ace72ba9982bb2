/**
 * Takes the pictures of README.md anew: the page for people and the table of `--once`, both of the demo as `npm start` runs
 * it, in a headless Chromium. What they show changes with each run, so it is called on purpose only.
 */
import { type Browser, startBrowser, type View } from "../testing/browser.ts";
import {
  createTestFolder,
  runExecutable,
  startExecutable,
  type TestFolder,
} from "../testing/executable.ts";
import { DEMO_URI } from "../testing/hypervisor_files.ts";
import { main, say } from "../testing/progress.ts";
import { ROOT, setUpFor } from "../testing/set_up.ts";
import { pause } from "../testing/wait_until.ts";

const FOLDER = `${ROOT}/docs/pictures`;
const COMMAND = "libvirt_nova_exporter --once --format=table";
const PAGE_VIEW: View = { width: 1_200, height: 620, scheme: "light" };

/** Time for which the exporter runs before the picture, so that rates are there. */
const RUN_MILLISECONDS = 3_000;

await main(async () => {
  await setUpFor("executable");
  await using folder = await createTestFolder();
  await using browser = await startBrowser();
  await Deno.mkdir(FOLDER, { recursive: true });
  await write("landing_page.png", await landingPage(browser, folder));
  await write("terminal_table.png", await terminalTable(browser, folder));
});

async function write(name: string, picture: Uint8Array): Promise<void> {
  await Deno.writeFile(`${FOLDER}/${name}`, picture);
  say(`Wrote docs/pictures/${name} (${Math.ceil(picture.length / 1_000)} kB)`);
}

async function landingPage(browser: Browser, folder: TestFolder): Promise<Uint8Array> {
  await using exporter = await startExecutable(demo("--log", "-"), {
    folder,
    executable: Deno.execPath(),
  });
  await exporter.scrape();
  await pause(RUN_MILLISECONDS);
  await exporter.scrape();
  const page = await browser.open(`http://127.0.0.1:${exporter.ports[0]}/`, PAGE_VIEW);
  await pause(RUN_MILLISECONDS);
  return await page.screenshot();
}

async function terminalTable(browser: Browser, folder: TestFolder): Promise<Uint8Array> {
  const { output } = await runExecutable(demo("--once", "--format=table"), {
    folder,
    executable: Deno.execPath(),
  });
  const file = await folder.write("table.html", terminalPage(`$ ${COMMAND}\n${output}`));
  const url = `file://${file}`;
  const whole = await browser.open(url, { width: 2_000, height: 2_000, scheme: "dark" });
  const size = await whole.evaluate(
    "(({ width, height }) => [width, height])(document.querySelector('pre').getBoundingClientRect())",
  ) as [number, number];
  const [width = 0, height = 0] = size.map(Math.ceil);
  return await (await browser.open(url, { width, height, scheme: "dark" })).screenshot();
}

/** What Deno is told to run the demo. */
function demo(...args: readonly string[]): readonly string[] {
  return ["run", "--no-check", "-A", `${ROOT}/scripts/demo.ts`, "--uri", DEMO_URI, ...args];
}

/** What a terminal shows, as a page. */
function terminalPage(text: string): string {
  const escaped = text.trimEnd().replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  const style = "body { margin: 0 } pre { margin: 0; padding: 16px; width: max-content; " +
    "font: 13px/1.4 monospace; color: #e6e9ee; background: #14181d }";
  return `<!doctype html><meta charset="utf-8"><style>${style}</style><pre>${escaped}</pre>`;
}
