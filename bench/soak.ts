import { startExporterProcess } from "../testing/exporter_process.ts";
import { deployedEnvironment } from "../testing/deployed_environment.ts";
import { pause } from "../testing/wait_until.ts";
import { memoryOf } from "../testing/processes.ts";
import { type ChangingHypervisor, changingInstances } from "./hypervisors.ts";
import { connectKeepAlive } from "./keep_alive.ts";
import { median } from "./statistics.ts";

/** Memory after a number of scrapes, in bytes. */
export interface SoakPoint {
  readonly scrapes: number;
  /** Garbage makes a saw of it, so this is the median over the last scrapes. */
  readonly anonymous: number;
  /** The most over all scrapes since the point before. */
  readonly highestAnonymous: number;
  /** When it has had nothing to do for a moment, as between the scrapes of a Prometheus. */
  readonly restedAnonymous: number;
}

/** What many scrapes leave behind in one exporter. */
export interface SoakResult {
  /** How the executable runs: as it is deployed, or without any setting. */
  readonly way: "deployed" | "plain";
  readonly scrapes: number;
  /** Instances that have come and gone meanwhile. */
  readonly replaced: number;
  readonly seconds: number;
  readonly points: readonly SoakPoint[];
  readonly peakResident: number;
}

/** Numbers of scrapes after which memory is told; the first is what later ones are compared with. */
const SOAK_POINTS: readonly number[] = [20_000, 50_000, 100_000, 200_000];

const INSTANCES = 4;

/** An instance comes and another goes while this many scrapes are made. */
const SCRAPES_PER_REPLACEMENT = 20;

/** Scrapes before a point over which its median is taken, and between two looks. */
const WINDOW_SCRAPES = 2_000;
const LOOK_SCRAPES = 100;

const REST_MILLISECONDS = 3_000;

/**
 * Scrapes the executable, one scrape right after the other, while instances come and go. Both ways run at the same time,
 * each with a hypervisor of its own: it takes long, and what is looked at is memory.
 */
export async function soak(scrapes: number): Promise<readonly SoakResult[]> {
  return await Promise.all((["deployed", "plain"] as const).map(async (way) => {
    await using hypervisor = await changingInstances(INSTANCES);
    return await soakOnce(way, hypervisor, scrapes);
  }));
}

async function soakOnce(
  way: SoakResult["way"],
  hypervisor: ChangingHypervisor,
  scrapes: number,
): Promise<SoakResult> {
  const environment = way === "deployed" ? deployedEnvironment() : {};
  await using exporter = await startExporterProcess(hypervisor.uri, [], { environment });
  using connection = await connectKeepAlive(Number(exporter.target.split(":").at(-1)));
  const points: SoakPoint[] = [];
  const looks: { readonly scraped: number; readonly anonymous: number }[] = [];
  const started = performance.now();
  let [scraped, replaced] = [0, 0];
  for (const end of [...SOAK_POINTS.filter((point) => point < scrapes), scrapes]) {
    while (scraped < end) {
      const replacement = hypervisor.replaceInstance();
      for (let scrape = 0; scrape < SCRAPES_PER_REPLACEMENT; scrape++) {
        await connection.get("/metrics");
        if (++scraped % LOOK_SCRAPES === 0) {
          looks.push({ scraped, anonymous: memoryOf(exporter.processId).anonymous });
        }
      }
      await replacement;
      replaced++;
    }
    const last = looks.filter((look) => look.scraped > scraped - WINDOW_SCRAPES);
    await pause(REST_MILLISECONDS);
    points.push({
      scrapes: scraped,
      anonymous: median(last.map(({ anonymous }) => anonymous)),
      highestAnonymous: Math.max(...looks.map(({ anonymous }) => anonymous)),
      restedAnonymous: memoryOf(exporter.processId).anonymous,
    });
    looks.length = 0;
  }
  const seconds = (performance.now() - started - points.length * REST_MILLISECONDS) / 1000;
  const { peakResident } = memoryOf(exporter.processId);
  return { way, scrapes, replaced, seconds, points, peakResident };
}
