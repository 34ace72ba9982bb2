/**
 * Programs around Prometheus: VictoriaMetrics and a checker of Compose files, which are built from source, and Debian's Alertmanager.
 *
 * @module
 */

import { isInstalled } from "../set_up.ts";
import { outputOf } from "../command.ts";
import { reportProgress } from "../packages.ts";

/** The programs of VictoriaMetrics, as paths. */
export interface VictoriaMetricsPrograms {
  /** Keeps series and answers queries. */
  readonly victoriaMetrics: string;
  /** Scrapes, and sends what it gets. */
  readonly vmagent: string;
  /** Evaluates rules. */
  readonly vmalert: string;
}

/** The release that is built. */
const VICTORIA_METRICS_VERSION = "1.151.0";

/** What Debian's package of Alertmanager installs. */
export const ALERTMANAGER = "prometheus-alertmanager";

const MODULE = "github.com/VictoriaMetrics/VictoriaMetrics";
const PROGRAMS = ["victoria-metrics", "vmagent", "vmalert"] as const;
/** The reference implementation of Compose's specification, which docker compose is made with; its program checks files. */
const COMPOSE_MODULE = "github.com/compose-spec/compose-go/v2";
const COMPOSE_VERSION = "2.4.7";
/** Half a minute on an idle machine with two cores, and the download of the sources. */
const BUILD_BOUND_MILLISECONDS = 900_000;
/** Where Go is when it was unpacked as its own documentation says, and PATH does not know. */
const USUAL_FOLDER = "/usr/local/go/bin";

/** Where the programs are kept from one checkout to the next. */
function cacheFolder(): string {
  const caches = Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME") ?? "/root"}/.cache`;
  return `${caches}/libvirt_nova_exporter`;
}

/**
 * Returns the programs of VictoriaMetrics, and builds them at the first call, with the machine's Go.
 *
 * @throws {Error} when Go is missing, or the sources cannot be had
 */
export async function ensureVictoriaMetrics(): Promise<VictoriaMetricsPrograms> {
  const folder = await ensureBuilt(
    `victoria_metrics_${VICTORIA_METRICS_VERSION}`,
    PROGRAMS.map((name) => `${MODULE}/app/${name}@v${VICTORIA_METRICS_VERSION}`),
  );
  return {
    victoriaMetrics: `${folder}/victoria-metrics`,
    vmagent: `${folder}/vmagent`,
    vmalert: `${folder}/vmalert`,
  };
}

/**
 * Returns a program that checks the Compose files which it gets as arguments, and builds it at the first call.
 *
 * @throws {Error} when Go is missing, or the sources cannot be had
 */
export async function ensureComposeChecker(): Promise<string> {
  const packages = [`${COMPOSE_MODULE}/cmd@v${COMPOSE_VERSION}`];
  return `${await ensureBuilt(`compose_${COMPOSE_VERSION}`, packages)}/cmd`;
}

/** Builds packages into a folder of the cache, unless it is there. */
async function ensureBuilt(name: string, packages: readonly string[]): Promise<string> {
  const folder = `${cacheFolder()}/${name}`;
  const isThere = (): Promise<boolean> => Deno.stat(folder).then(() => true, () => false);
  if (await isThere()) return folder;
  const path = `${Deno.env.get("PATH") ?? "/usr/bin:/bin"}:${USUAL_FOLDER}`;
  if (!await isInstalled("go", path)) {
    throw new Error(
      `Go is not installed, which builds ${packages[0]}: install it from https://go.dev/dl`,
    );
  }
  reportProgress(`Building ${packages[0]} for the tests`);
  await Deno.mkdir(cacheFolder(), { recursive: true });
  const building = await Deno.makeTempDir({ dir: cacheFolder(), prefix: "building_" });
  try {
    await outputOf("go", ["install", ...packages], {
      workingDirectory: building,
      environment: { PATH: path, GOBIN: building, GOFLAGS: "-trimpath -buildvcs=false" },
      boundMilliseconds: BUILD_BOUND_MILLISECONDS,
    });
    await Deno.rename(building, folder);
  } catch (error) {
    await Deno.remove(building, { recursive: true });
    // Another process may have been faster, which is as good.
    if (!await isThere()) throw error;
  }
  return folder;
}
