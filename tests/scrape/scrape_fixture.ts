import type { CallFailure } from "../../src/libvirt/hypervisor.ts";
import { scrape } from "../../src/metrics/collectors/scrape.ts";
import { seed } from "../../src/metrics/collectors/seed.ts";
import { Scraper } from "../../src/scrape/scraper.ts";
import type { FakeHypervisor } from "../../testing/fake_hypervisor.ts";
import { type Families, parsePage } from "../../testing/parse_page.ts";
import { decodePage, scraperOptions } from "../../testing/scraper_options.ts";

/** A scraper with two collectors: those of the families that have always been there, and of the success. */
export function newScraper(
  hypervisor: FakeHypervisor,
  changes: Parameters<typeof scraperOptions>[2] = {},
): Scraper {
  return new Scraper(scraperOptions(hypervisor, [seed, scrape], changes));
}

/** Scrapes once, and returns the families of the page in the text format. */
export async function scrapeFamilies(scraper: Scraper): Promise<Families> {
  return parsePage(decodePage((await scraper.scrape()).page("text")));
}

/** The failure of a daemon that does not run. */
export const REFUSED: CallFailure = {
  call: "virConnectOpenAuth",
  code: 38,
  origin: 7,
  message: "Failed to connect socket to '/run/libvirt/libvirt-sock-ro': Connection refused",
  count: 1,
};
