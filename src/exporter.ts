import process from "node:process";
import { type Config, redactUri } from "./config.ts";
import type { Hypervisor } from "./libvirt/hypervisor.ts";
import { openDatagramSender, openHypervisor } from "./libvirt/native.ts";
import { type Log, openLog, tellOnStandardError, writeToStandardError } from "./log.ts";
import { TEXT_CONTENT_TYPE } from "./metrics/exposition.ts";
import { COLLECTORS } from "./metrics/mod.ts";
import { fileDescriptorLimit } from "./metrics/process.ts";
import { Scraper, type ScrapeResult } from "./scrape.ts";
import { createServiceNotifier, type ServiceNotifier } from "./systemd.ts";
import { buildInfo } from "./version.ts";
import { connectionLimits } from "./web/request_limits.ts";
import { scrapeTimeoutMilliseconds } from "./web/scrape_timeout.ts";
import { type PageHandler, startWebServer, type WebServer } from "./web/server.ts";

/** How long libvirt may take to close a connection before the process ends without it. */
const CLOSE_PATIENCE_MILLISECONDS = 500;

/** A running exporter. */
export interface Exporter {
  /** Where it listens. */
  readonly addresses: WebServer["addresses"];
  /** Tells the service manager that requests are answered and signals heeded. */
  announce(): void;
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
  const notifier = await openServiceNotifier(log);
  const server = await startWebServer({
    listenAddresses: config.listenAddresses,
    routes: new Map([[config.path, metricsHandler(scraper, notifier)]]),
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
  scrapeInFull(scraper).then((result) => {
    notifier.status(statusText(result));
    const { isUp, reason } = result;
    if (!isUp && config.logFile !== undefined) {
      tellOnStandardError(
        `libvirt_nova_exporter: libvirt is not available yet, trying again at each scrape: ${reason}`,
      );
    }
  });
  return {
    addresses: server.addresses,
    announce: () => notifier.ready(),
    reopenLog(): void {
      notifier.reloading();
      if (log.reopen()) log.info("Reopened the log");
      notifier.ready();
    },
    noteDefect: (error) => log.error("Internal error", { error: describe(error) }),
    async stop(reason): Promise<void> {
      log.info("Stopping", { reason });
      notifier.stopping();
      await server.close(config.timeoutMilliseconds);
      await close(hypervisor);
      notifier.close();
      log.info("Stopped");
      log.close();
    },
  };
}

/**
 * Prints one page through `write`.
 *
 * @returns the exit code: 0 when libvirt answered, else 1
 * @throws {NativeLibraryError} without libvirt's client library
 */
export async function printPage(
  config: Config,
  write: (chunk: Uint8Array) => Promise<void>,
): Promise<number> {
  const log = openLog({
    file: undefined,
    level: config.logLevel === "info" ? "warn" : config.logLevel,
    format: config.logFormat,
    standardError: writeToStandardError,
  });
  const hypervisor = await openHypervisor(hypervisorOptions(config));
  const { isUp, page } = await scrapeInFull(newScraper(config, hypervisor, log));
  for (const chunk of page) await write(chunk);
  await close(hypervisor);
  return isUp ? 0 : 1;
}

function hypervisorOptions(config: Config): Parameters<typeof openHypervisor>[0] {
  const { uri, concurrency, maximumAbandoned } = config;
  return { uri, concurrency, maximumAbandoned };
}

function newScraper(config: Config, hypervisor: Hypervisor, log: Log): Scraper {
  const { timeoutMilliseconds, minimumIntervalMilliseconds } = config;
  return new Scraper({
    hypervisor,
    collectors: COLLECTORS,
    timeoutMilliseconds,
    minimumIntervalMilliseconds,
    build: buildInfo(),
    log,
  });
}

/** Scrapes until every instance is on the page: a hypervisor with thousands of them takes more than one scrape. */
async function scrapeInFull(scraper: Scraper): Promise<ScrapeResult> {
  let result = await scraper.scrape();
  for (let unread = Infinity; result.unread > 0 && result.unread < unread;) {
    unread = result.unread;
    result = await scraper.scrape();
  }
  return result;
}

function metricsHandler(scraper: Scraper, notifier: ServiceNotifier): PageHandler {
  return async ({ headers }) => {
    const timeout = scrapeTimeoutMilliseconds(headers["x-prometheus-scrape-timeout-seconds"]);
    const result = await scraper.scrape(timeout);
    notifier.status(statusText(result));
    return { status: 200, contentType: TEXT_CONTENT_TYPE, chunks: result.page };
  };
}

async function openServiceNotifier(log: Log): Promise<ServiceNotifier> {
  return createServiceNotifier({
    environment: process.env,
    processId: process.pid,
    send: await openDatagramSender(),
    onFailure: (reason) => log.warn("Cannot tell systemd about this service yet", { reason }),
  });
}

/** The service's state for `systemctl status`. */
function statusText({ isUp, instances = 0, reason }: ScrapeResult): string {
  if (!isUp) return `libvirt not available: ${reason}`;
  return `libvirt connected, ${instances} ${instances === 1 ? "instance" : "instances"}`;
}

/** Closes the connection when libvirt lets it; else it ends with the process. */
async function close(hypervisor: Hypervisor): Promise<void> {
  const patience = new Promise<void>((resolve) => setTimeout(resolve, CLOSE_PATIENCE_MILLISECONDS));
  await Promise.race([hypervisor.close(), patience]);
}

function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
