import type { Config } from "../config/config.ts";
import { domainStartSeconds } from "../libvirt/domain_start.ts";
import type { Hypervisor } from "../libvirt/hypervisor.ts";
import { type LogFields, withFields } from "../log/line.ts";
import type { Log } from "../log/log.ts";
import type { Collection } from "./collection.ts";
import { Scraper, type ScraperOptions } from "./scraper.ts";
import type { TargetStatus } from "./status.ts";
import { openHypervisor } from "../shim/native.ts";
import { createPasswordHider, redactUri } from "../text.ts";
import { withinTime } from "../time.ts";
import { buildInfo } from "../version.ts";

/** How long libvirt may take to close a connection before the process ends without it. */
const CLOSE_MILLISECONDS = 500;

/** Opens a hypervisor; the demo has one of its own. */
export type OpenHypervisor = typeof openHypervisor;

/** A hypervisor that can be scraped. */
export interface Target {
  readonly scraper: Scraper;
  /** Closes the connection when libvirt lets it; else it ends with the process. */
  close(): Promise<void>;
}

/** The hypervisors that have been asked for, each with its own connection, deadlines and caches. */
export class Targets {
  readonly #config: Config;
  readonly #log: Log;
  readonly #open: OpenHypervisor | undefined;
  readonly #opened = new Map<string, Promise<Target>>();
  readonly #scrapers = new Map<string, Scraper>();

  /** @param open opens hypervisors, where that is not libvirt's */
  constructor(config: Config, log: Log, open?: OpenHypervisor) {
    this.#config = config;
    this.#log = log;
    this.#open = open;
  }

  /**
   * What scrapes the hypervisor at a URI. libvirt need not be there.
   *
   * @param onCollection told of each collection of a hypervisor that is asked for the first time
   * @throws {NativeLibraryError} without libvirt's client library
   */
  async scraper(
    uri: string,
    onCollection?: ScraperOptions["onCollection"],
  ): Promise<Scraper> {
    const opened = this.#opened.get(uri) ??
      openTarget({ ...this.#config, uri }, this.#log, {
        fields: targetFields(uri, this.#config),
        onCollection,
        open: this.#open,
      });
    this.#opened.set(uri, opened);
    const { scraper } = await opened;
    this.#scrapers.set(uri, scraper);
    return scraper;
  }

  /** What is known of the targets of `/probe`, without asking them. */
  statuses(): readonly TargetStatus[] {
    return Array.from(
      this.#config.probeTargets,
      ([name, uri]) => ({ name, status: this.#scrapers.get(uri)?.status }),
    );
  }

  /** Closes all connections. */
  async close(): Promise<void> {
    const opened = await Promise.all(this.#opened.values());
    await Promise.all(opened.map((target) => target.close()));
  }
}

/** What tells the lines about a hypervisor from those about the exporter's own: its names as a target, and its URI. */
function targetFields(uri: string, config: Config): LogFields {
  if (uri === config.uri) return {};
  const names = [...config.probeTargets].filter(([, other]) => other === uri).map(([name]) => name);
  return { target: names.join(", "), uri: redactUri(uri) };
}

/**
 * Opens the hypervisor of a configuration; libvirt need not be there.
 *
 * @throws {NativeLibraryError} without libvirt's client library
 */
export async function openTarget(
  config: Config,
  log: Log,
  { fields = {}, onCollection = (): void => {}, open = openHypervisor }: {
    /** What each line of the log about this hypervisor says as well. */
    readonly fields?: LogFields;
    readonly onCollection?: ScraperOptions["onCollection"] | undefined;
    readonly open?: OpenHypervisor | undefined;
  } = {},
): Promise<Target> {
  const { uri, concurrency, maximumAbandoned } = config;
  const hypervisor = await open({ uri, concurrency, maximumAbandoned });
  const { collectors, filter, inactive, identity } = config;
  const { timeoutMilliseconds, minimumIntervalMilliseconds } = config;
  const scraper = new Scraper({
    hypervisor,
    uri,
    collectors,
    filter,
    inactive,
    identity,
    timeoutMilliseconds,
    minimumIntervalMilliseconds,
    startSecondsOf: (name) => domainStartSeconds(name, { uri }),
    onCollection,
    build: buildInfo(),
    log: withFields(log, fields),
    logLines: log.lines,
    hideSecrets: createPasswordHider(uri),
  });
  return { scraper, close: () => closeInTime(hypervisor) };
}

async function closeInTime(hypervisor: Hypervisor): Promise<void> {
  await withinTime(hypervisor.close(), CLOSE_MILLISECONDS);
}

/** Scrapes until every instance is on the page: a hypervisor with thousands of them takes more than one scrape. */
export async function scrapeInFull(scraper: Scraper): Promise<Collection> {
  let collection = await scraper.scrape();
  for (
    let unread = Infinity;
    collection.findings.unread > 0 && collection.findings.unread < unread;
  ) {
    unread = collection.findings.unread;
    collection = await scraper.scrape();
  }
  return collection;
}
