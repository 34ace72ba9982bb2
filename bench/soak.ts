import { startExporterProcess } from "../tests/real/exporter_process.ts";
import { connectKeepAlive } from "./keep_alive.ts";
import { type Memory, memoryOf } from "./processes.ts";

/** Memory after a share of the scrapes. */
export interface SoakPoint extends Memory {
  readonly share: number;
}

/** What many scrapes leave behind. */
export interface SoakResult {
  readonly scrapes: number;
  readonly seconds: number;
  readonly points: readonly SoakPoint[];
  /** When it has had nothing to do for a moment, as between the scrapes of a Prometheus. */
  readonly rested: Memory;
}

/** When memory is looked at: often in the beginning, when caches fill, and until the end, when a leak shows. */
const SHARES = [0.01, 0.1, 0.2, 0.5, 1];

const REST_MILLISECONDS = 3_000;

/** Scrapes the executable, one scrape right after the other. */
export async function soak(uri: string, scrapes: number): Promise<SoakResult> {
  await using exporter = await startExporterProcess(uri);
  using connection = await connectKeepAlive(Number(exporter.target.split(":").at(-1)));
  const points: SoakPoint[] = [];
  const started = performance.now();
  let scraped = 0;
  for (const share of SHARES) {
    while (scraped < Math.round(scrapes * share)) {
      await connection.get("/metrics");
      scraped++;
    }
    points.push({ share, ...memoryOf(exporter.processId) });
  }
  const seconds = (performance.now() - started) / 1000;
  await new Promise((resolve) => setTimeout(resolve, REST_MILLISECONDS));
  return { scrapes, seconds, points, rested: memoryOf(exporter.processId) };
}
