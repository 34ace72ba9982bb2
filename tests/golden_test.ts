import assert from "node:assert/strict";
import { Scraper } from "../src/scrape.ts";
import { COLLECTORS } from "../src/metrics/mod.ts";
import { FakeHypervisor } from "./support/fake_hypervisor.ts";
import { parsePage } from "./support/parse_page.ts";
import { assertGolden, recordedDomain } from "./support/recorded_domain.ts";
import { decodePage, scraperOptions } from "./support/scraper_options.ts";

Deno.test("the page of the instances recorded from libvirt 12.8 is the golden one", async () => {
  const folder = "libvirt-12.8";
  const hypervisor = new FakeHypervisor([recordedDomain(folder, 1), recordedDomain(folder, 2)]);
  const result = await new Scraper(scraperOptions(hypervisor, COLLECTORS)).scrape();
  assert.ok(result.isUp);
  const page = decodePage(result.page);
  assert.ok(parsePage(page).size > COLLECTORS.flatMap(({ families }) => families).length);
  // What the exporter says of itself differs from run to run.
  assertGolden(`${folder}/page.txt`, page.slice(0, page.indexOf("# HELP libvirt_nova_up ")));
});
