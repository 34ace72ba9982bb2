import assert from "node:assert/strict";
import { COLLECTORS } from "../../src/metrics/mod.ts";
import { Scraper } from "../../src/scrape/scraper.ts";
import { FakeHypervisor } from "../../testing/fake_hypervisor.ts";
import { parsePage } from "../../testing/parse_page.ts";
import { assertGolden, recordedDomain } from "../../testing/recorded_domain.ts";
import { decodePage, scraperOptions } from "../../testing/scraper_options.ts";

const FOLDER = "libvirt-12.8";
/** The first family of those about the exporter, which differ from run to run. */
const OWN_PART = "libvirt_nova_up";

/** The page of the recorded instances with all collectors. */
async function recordedPage(format: "text" | "openmetrics"): Promise<string> {
  const hypervisor = new FakeHypervisor([recordedDomain(FOLDER, 1), recordedDomain(FOLDER, 2)]);
  const collection = await new Scraper(scraperOptions(hypervisor, COLLECTORS)).scrape();
  assert.ok(collection.findings.isUp);
  return decodePage(collection.page(format));
}

Deno.test("the page of the instances recorded from libvirt 12.8 is the golden one", async () => {
  const page = await recordedPage("text");
  assert.ok(parsePage(page).size > 60);
  assertGolden(`${FOLDER}/page.txt`, page.slice(0, page.indexOf(`# HELP ${OWN_PART} `)));
});

Deno.test("the same page in OpenMetrics is the golden one, and has its end", async () => {
  const page = await recordedPage("openmetrics");
  assert.ok(page.endsWith("\n# EOF\n"));
  assertGolden(
    `${FOLDER}/page.openmetrics.txt`,
    page.slice(0, page.indexOf(`# TYPE ${OWN_PART} `)),
  );
});
