import { scrape } from "./collectors/scrape.ts";
import { seed } from "./collectors/seed.ts";
import type { Collector } from "./family.ts";

/** All collectors, in the order in which their families appear on the page. */
export const COLLECTORS: readonly Collector[] = [seed, scrape];
