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
import { Scraper } from "./scrape.ts";
import { buildInfo } from "./version.ts";
import { connectionLimits } from "./web/request_limits.ts";
import { startWebServer, type WebServer } from "./web/server.ts";

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
  const hypervisor = await openHypervisor(hypervisorOptions(config));
  const scraper = newScraper(config, hypervisor, log);
  const server = await startWebServer({
    listenAddresses: config.listenAddresses,
    routes: new Map([[config.path, createMetricsPage(scraper, config.collectors)]]),
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
      await close(hypervisor);
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
  const hypervisor = await openHypervisor(hypervisorOptions(config));
  // Rates need two collections that are not shared.
  const scraper = newScraper({ ...config, minimumIntervalMilliseconds: 0 }, hypervisor, log);
  const { isUp, chunks } = await printout(format, {
    collect: () => scrapeInFull(scraper),
    clock: CLOCK,
    terminalColumns,
  });
  for (const chunk of chunks) await write(chunk);
  await close(hypervisor);
  return isUp ? 0 : 1;
}

function hypervisorOptions(config: Config): Parameters<typeof openHypervisor>[0] {
  const { uri, concurrency, maximumAbandoned } = config;
  return { uri, concurrency, maximumAbandoned };
}

function newScraper(config: Config, hypervisor: Hypervisor, log: Log): Scraper {
  const { collectors, filter, inactive, identity } = config;
  const { timeoutMilliseconds, minimumIntervalMilliseconds, uri } = config;
  return new Scraper({
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
