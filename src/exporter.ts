import { type Config, redactUri } from "./config.ts";
import type { Hypervisor } from "./libvirt/hypervisor.ts";
import { openHypervisor } from "./libvirt/native.ts";
import { type Log, openLog, tellOnStandardError, writeToStandardError } from "./log.ts";
import { TEXT_CONTENT_TYPE } from "./metrics/exposition.ts";
import { COLLECTORS } from "./metrics/mod.ts";
import { fileDescriptorLimit } from "./metrics/process.ts";
import { Scraper, type ScrapeResult } from "./scrape.ts";
import { buildInfo } from "./version.ts";
import { type ExporterStateKeeper, keepExporterState } from "./exporter_state_keeper.ts";
import { verifyPassword } from "./web/password_hash.ts";
import { connectionLimits } from "./web/request_limits.ts";
import { createRoutes } from "./web/routes.ts";
import { scrapeTimeoutMilliseconds } from "./web/scrape_timeout.ts";
import {
  formatListenAddress,
  type PageHandler,
  startWebServer,
  type WebServer,
} from "./web/server.ts";
import { systemdSockets } from "./web/systemd_socket.ts";
import {
  fixedWebSettings,
  followWebSettings,
  loadWebSettings,
  OPEN_WEB_SETTINGS,
  type WebSettingsSource,
} from "./web/web_settings.ts";

/** How long libvirt may take to close a connection before the process ends without it. */
const CLOSE_PATIENCE_MILLISECONDS = 500;

/** A running exporter. */
export interface Exporter {
  /** Where it listens. */
  readonly addresses: WebServer["addresses"];
  /** Opens the log file anew, as after logrotate, and reads the web configuration file again. */
  reload(): void;
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
 * @throws {WebConfigError} when the web configuration file cannot be used
 */
export async function startExporter(config: Config): Promise<Exporter> {
  const listenAddresses = config.listenAddresses === "systemd"
    ? systemdSockets()
    : config.listenAddresses;
  const log = openLog({
    file: config.logFile,
    level: config.logLevel,
    format: config.logFormat,
    standardError: writeToStandardError,
  });
  const hypervisor = await openHypervisor(hypervisorOptions(config));
  const scraper = newScraper(config, hypervisor, log);
  const state = keepExporterState(buildInfo(), () => scraper.scrape());
  const settings = await openWebSettings(config, log);
  const server = await startWebServer({
    listenAddresses,
    routes: createRoutes({
      metricsPath: config.path,
      metrics: metricsHandler(scraper, state),
      state: state.current,
      onReadinessAsked: state.refresh,
    }),
    limits: connectionLimits(fileDescriptorLimit()),
    log,
    settings,
    verifyPassword,
  });
  const { version, runtime } = buildInfo();
  log.info("Started", {
    version,
    runtime,
    uri: redactUri(config.uri),
    addresses: server.addresses.map((address) =>
      "host" in address ? `${address.host} port ${address.port}` : formatListenAddress(address)
    ).join(", "),
    path: config.path,
  });
  // Connects and reads the definitions, so that the first scrape finds them.
  scrapeInFull(scraper).then((result) => {
    state.note(result);
    const { isUp, reason } = result;
    if (!isUp && config.logFile !== undefined) {
      tellOnStandardError(
        `libvirt_nova_exporter: libvirt is not available yet, trying again at each scrape: ${reason}`,
      );
    }
  });
  return {
    addresses: server.addresses,
    reload(): void {
      if (log.reopen()) log.info("Reopened the log");
      settings.reload();
    },
    noteDefect: (error) => log.error("Internal error", { error: describe(error) }),
    async stop(reason): Promise<void> {
      log.info("Stopping", { reason });
      settings.close();
      await server.close(config.timeoutMilliseconds);
      await close(hypervisor);
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

function metricsHandler(scraper: Scraper, state: ExporterStateKeeper): PageHandler {
  return async ({ headers }) => {
    const timeout = scrapeTimeoutMilliseconds(headers["x-prometheus-scrape-timeout-seconds"]);
    const result = await scraper.scrape(timeout);
    state.note(result);
    return { status: 200, contentType: TEXT_CONTENT_TYPE, chunks: result.page };
  };
}

function openWebSettings({ webConfigFile }: Config, log: Log): Promise<WebSettingsSource> {
  return webConfigFile === undefined
    ? Promise.resolve(fixedWebSettings(OPEN_WEB_SETTINGS))
    : followWebSettings(webConfigFile, { log });
}

/**
 * Checks the web configuration file and the certificates that it names.
 *
 * @returns one line that says that they can be used
 * @throws {WebConfigError} when they cannot
 */
export async function checkWebConfig({ webConfigFile = "" }: Config): Promise<string> {
  const { tls, users } = await loadWebSettings(webConfigFile);
  const parts = [tls === undefined ? "no TLS" : "TLS", `${users.size} users`];
  return `The web configuration ${JSON.stringify(webConfigFile)} can be used: ${parts.join(", ")}`;
}

/** Closes the connection when libvirt lets it; else it ends with the process. */
async function close(hypervisor: Hypervisor): Promise<void> {
  const patience = new Promise<void>((resolve) => setTimeout(resolve, CLOSE_PATIENCE_MILLISECONDS));
  await Promise.race([hypervisor.close(), patience]);
}

function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
