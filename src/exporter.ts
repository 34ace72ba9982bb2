import { performance } from "node:perf_hooks";
import { setTimeout as wait } from "node:timers/promises";
import type { Collection } from "./collection.ts";
import { type Config, type OnceFormat, redactUri } from "./config.ts";
import { domainStartSeconds } from "./libvirt/domain_start.ts";
import type { Hypervisor } from "./libvirt/hypervisor.ts";
import { openHypervisor } from "./libvirt/native.ts";
import { type Log, openLog, tellOnStandardError, writeToStandardError } from "./log.ts";
import { fileDescriptorLimit } from "./metrics/process.ts";
import { createMetricsPage } from "./metrics_page.ts";
import { type Clock, printout } from "./once/printout.ts";
import { createProbePage, PROBE_PATH } from "./probe.ts";
import { Scraper } from "./scrape.ts";
import { buildInfo } from "./version.ts";
import { connectionLimits } from "./web/request_limits.ts";
import { type PageHandler, startWebServer, type WebServer } from "./web/server.ts";

/** How long libvirt may take to close a connection before the process ends without it. */
const CLOSE_PATIENCE_MILLISECONDS = 500;

/** The machine's. */
const CLOCK: Clock = {
  measuredAt: ({ parts }) => parts.measuredAt ?? performance.now(),
  unixMilliseconds: () => Date.now(),
  wait: (milliseconds) => wait(milliseconds),
};

/** A running exporter. */
export interface Exporter {
  /** Where it listens. */
  readonly addresses: WebServer["addresses"];
  /** Opens the log file anew, as after logrotate. */
  reopenLog(): void;
  /** Notes a defect that nobody caught; the exporter goes on. */
  noteDefect(error: unknown): void;
  /** Answers the running scrapes, closes everything; takes a little longer than one scrape at most. */
  stop(reason: string): Promise<void>;
}

/**
 * Starts an exporter: its log, libvirt's client library, the web server. libvirt itself need not be there: it is
 * connected to when it is.
 *
 * @throws {NativeLibraryError} without libvirt's client library
 * @throws {WebServerError} when it cannot listen
 */
export async function startExporter(config: Config): Promise<Exporter> {
  const log = openLog({
    file: config.logFile,
    level: config.logLevel,
    format: config.logFormat,
    standardError: writeToStandardError,
  });
  const targets = new Targets(config, log);
  const scraper = await targets.scraper(config.uri);
  const server = await startWebServer({
    listenAddresses: config.listenAddresses,
    routes: routesOf(config, scraper, targets),
    limits: connectionLimits(fileDescriptorLimit()),
    log,
  });
  const { version, runtime } = buildInfo();
  log.info("Started", {
    version,
    runtime,
    uri: redactUri(config.uri),
    addresses: server.addresses.map(({ host, port }) => `${host} port ${port}`).join(", "),
    path: config.path,
  });
  // Connects and reads the definitions, so that the first scrape finds them.
  scrapeInFull(scraper).then(({ parts: { isUp, reason } }) => {
    if (!isUp && config.logFile !== undefined) {
      tellOnStandardError(
        `libvirt_nova_exporter: libvirt is not available yet, trying again at each scrape: ${reason}`,
      );
    }
  });
  return {
    addresses: server.addresses,
    reopenLog(): void {
      if (log.reopen()) log.info("Reopened the log");
    },
    noteDefect: (error) => log.error("Internal error", { error: describe(error) }),
    async stop(reason): Promise<void> {
      log.info("Stopping", { reason });
      await server.close(config.timeoutMilliseconds);
      await targets.close();
      log.info("Stopped");
      log.close();
    },
  };
}

/**
 * Collects once, or twice for rates, and prints what was found through `write`.
 *
 * @param terminalColumns width of the terminal that `write` writes to; undefined when it is none
 * @returns the exit code: 0 when libvirt answered, else 1
 * @throws {NativeLibraryError} without libvirt's client library
 */
export async function printOnce(
  config: Config,
  format: OnceFormat,
  write: (chunk: Uint8Array) => Promise<void>,
  terminalColumns?: number,
): Promise<number> {
  const log = openLog({
    file: undefined,
    level: config.logLevel === "info" ? "warn" : config.logLevel,
    format: config.logFormat,
    standardError: writeToStandardError,
  });
  // Rates need two collections that are not shared.
  const { hypervisor, scraper } = await openTarget(
    { ...config, minimumIntervalMilliseconds: 0 },
    log,
  );
  const { isUp, chunks } = await printout(format, {
    collect: () => scrapeInFull(scraper),
    clock: CLOCK,
    terminalColumns,
  });
  for (const chunk of chunks) await write(chunk);
  await close(hypervisor);
  return isUp ? 0 : 1;
}

/** The hypervisors that have been asked for, each with its own connection, deadlines and caches. */
class Targets {
  readonly #config: Config;
  readonly #log: Log;
  readonly #opened = new Map<string, Promise<OpenTarget>>();

  constructor(config: Config, log: Log) {
    this.#config = config;
    this.#log = log;
  }

  /**
   * What scrapes the hypervisor at a URI. libvirt need not be there.
   *
   * @throws {NativeLibraryError} without libvirt's client library
   */
  async scraper(uri: string): Promise<Scraper> {
    const opened = this.#opened.get(uri) ?? openTarget({ ...this.#config, uri }, this.#log);
    this.#opened.set(uri, opened);
    return (await opened).scraper;
  }

  /** Closes all connections. */
  async close(): Promise<void> {
    const opened = await Promise.all(this.#opened.values());
    await Promise.all(opened.map(({ hypervisor }) => close(hypervisor)));
  }
}

interface OpenTarget {
  readonly hypervisor: Hypervisor;
  readonly scraper: Scraper;
}

async function openTarget(config: Config, log: Log): Promise<OpenTarget> {
  const { uri, concurrency, maximumAbandoned } = config;
  const hypervisor = await openHypervisor({ uri, concurrency, maximumAbandoned });
  const { collectors, filter, inactive, identity } = config;
  const { timeoutMilliseconds, minimumIntervalMilliseconds } = config;
  const scraper = new Scraper({
    hypervisor,
    collectors,
    filter,
    inactive,
    identity,
    timeoutMilliseconds,
    minimumIntervalMilliseconds,
    startSecondsOf: (name) => domainStartSeconds(name, { uri }),
    build: buildInfo(),
    log,
  });
  return { hypervisor, scraper };
}

function routesOf(
  config: Config,
  scraper: Scraper,
  targets: Targets,
): ReadonlyMap<string, PageHandler> {
  const { path, collectors, probeTargets } = config;
  const metrics = [path, createMetricsPage(scraper, collectors)] as const;
  if (probeTargets.size === 0) return new Map([metrics]);
  const pages = new Map<string, PageHandler>();
  const pageOf = async (name: string): Promise<PageHandler> => {
    const page = pages.get(name) ??
      createMetricsPage(await targets.scraper(probeTargets.get(name) ?? ""), collectors);
    pages.set(name, page);
    return page;
  };
  return new Map([metrics, [PROBE_PATH, createProbePage([...probeTargets.keys()], pageOf)]]);
}

/** Scrapes until every instance is on the page: a hypervisor with thousands of them takes more than one scrape. */
async function scrapeInFull(scraper: Scraper): Promise<Collection> {
  let collection = await scraper.scrape();
  for (let unread = Infinity; collection.parts.unread > 0 && collection.parts.unread < unread;) {
    unread = collection.parts.unread;
    collection = await scraper.scrape();
  }
  return collection;
}

/** Closes the connection when libvirt lets it; else it ends with the process. */
async function close(hypervisor: Hypervisor): Promise<void> {
  const patience = new Promise<void>((resolve) => setTimeout(resolve, CLOSE_PATIENCE_MILLISECONDS));
  await Promise.race([hypervisor.close(), patience]);
}

function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
