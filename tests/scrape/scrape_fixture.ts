import type { CallFailure } from "../../src/libvirt/hypervisor.ts";
import { scrape } from "../../src/metrics/collectors/scrape.ts";
import { seed } from "../../src/metrics/collectors/seed.ts";
import { Scraper } from "../../src/scrape/scraper.ts";
import type { FakeHypervisor } from "../../testing/fake_hypervisor.ts";
import { type Families, parsePage } from "../../testing/parse_page.ts";
import { decodePage, scraperOptions } from "../../testing/scraper_options.ts";

export function newScraper(
  hypervisor: FakeHypervisor,
  changes: Parameters<typeof scraperOptions>[2] = {},
): Scraper {
  return new Scraper(scraperOptions(hypervisor, [seed, scrape], changes));
}

export async function scrapeFamilies(scraper: Scraper): Promise<Families> {
  return parsePage(decodePage((await scraper.scrape()).page("text")));
}

export const REFUSED: CallFailure = {
  call: "virConnectOpenAuth",
  code: 38,
  origin: 7,
  message: "Failed to connect socket to '/run/libvirt/libvirt-sock-ro': Connection refused",
  count: 1,
};
