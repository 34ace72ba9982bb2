import { performance } from "node:perf_hooks";
import process from "node:process";
import { setTimeout as wait } from "node:timers/promises";
import type { Collection, CollectionParts } from "./collection.ts";
import {
  type Config,
  createPasswordHider,
  type OnceFormat,
  PROBE_PATH,
  redactUri,
} from "./config.ts";
import { domainStartSeconds } from "./libvirt/domain_start.ts";
import type { Hypervisor } from "./libvirt/hypervisor.ts";
import { openDatagramSender, openHypervisor } from "./libvirt/native.ts";
import { type Log, openLog, tellOnStandardError, writeToStandardError } from "./log.ts";
import { fileDescriptorLimit } from "./metrics/process.ts";
import { createMetricsPage } from "./metrics_page.ts";
import { type Clock, printout } from "./once/printout.ts";
import { createProbePage } from "./probe.ts";
import { Scraper, type ScraperOptions } from "./scrape.ts";
import { createServiceNotifier, type ServiceNotifier } from "./systemd.ts";
import { buildInfo } from "./version.ts";
import { keepExporterState } from "./exporter_state_keeper.ts";
import { verifyPassword } from "./web/password_hash.ts";
import { connectionLimits } from "./web/request_limits.ts";
import { createRoutes } from "./web/routes.ts";
import {
  formatListenAddress,
  type ListenAddress,
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

/** How long the service manager waits for the log to be opened anew; a stalled disk may take for ever. */
const REOPEN_PATIENCE_MILLISECONDS = 1_000;

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
  /** Tells the service manager that requests are answered and signals heeded. */
  announce(): void;
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
  try {
    return await startWithLog(config, listenAddresses, log);
  } catch (error) {
    await log.close();
    throw error;
  }
}

async function startWithLog(
  config: Config,
  listenAddresses: readonly ListenAddress[],
  log: Log,
): Promise<Exporter> {
  const notifier = await openServiceNotifier(log);
  const targets = new Targets(config, log);
  const scraper = await targets.scraper(
    config.uri,
    ({ parts }) => notifier.status(statusText(parts)),
  );
  const state = keepExporterState(buildInfo(), scraper);
  const settings = await openWebSettings(config, log);
  const server = await startWebServer({
    listenAddresses,
    routes: createRoutes({
      metricsPath: config.path,
      metrics: createMetricsPage(scraper, config.collectors),
      state: state.current,
      onReadinessAsked: state.refresh,
      further: probeRoutes(config, targets),
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
  scrapeInFull(scraper).then(({ parts: { isUp, reason } }) => {
    if (!isUp && config.logFile !== undefined) {
      tellOnStandardError(
        `libvirt_nova_exporter: libvirt is not available yet, trying again at each scrape: ${reason}`,
      );
    }
  });
  let isStopping = false;
  return {
    addresses: server.addresses,
    announce: () => notifier.ready(),
    reload(): void {
      notifier.reloading();
      settings.reload();
      Promise.race([reopen(log), wait(REOPEN_PATIENCE_MILLISECONDS)]).then(() => {
        if (!isStopping) notifier.ready();
      });
    },
    noteDefect: (error) => log.error("Internal error", { error: describe(error) }),
    async stop(reason): Promise<void> {
      isStopping = true;
      log.info("Stopping", { reason });
      notifier.stopping();
      settings.close();
      await server.close(config.timeoutMilliseconds);
      await targets.close();
      notifier.close();
      log.info("Stopped");
      await log.close();
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
   * @param onCollection told of each collection of a hypervisor that is asked for the first time
   * @throws {NativeLibraryError} without libvirt's client library
   */
  async scraper(
    uri: string,
    onCollection: ScraperOptions["onCollection"] = (): void => {},
  ): Promise<Scraper> {
    const opened = this.#opened.get(uri) ??
      openTarget({ ...this.#config, uri }, this.#log, onCollection);
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

async function openTarget(
  config: Config,
  log: Log,
  onCollection: ScraperOptions["onCollection"] = (): void => {},
): Promise<OpenTarget> {
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
    onCollection,
    build: buildInfo(),
    log,
    logLines: log.lines,
    hideSecrets: createPasswordHider(uri),
  });
  return { hypervisor, scraper };
}

/** The page of the other hypervisors, where there are some. */
function probeRoutes(config: Config, targets: Targets): ReadonlyMap<string, PageHandler> {
  const { collectors, probeTargets } = config;
  if (probeTargets.size === 0) return new Map();
  const pages = new Map<string, PageHandler>();
  const pageOf = async (name: string): Promise<PageHandler> => {
    const page = pages.get(name) ??
      createMetricsPage(await targets.scraper(probeTargets.get(name) ?? ""), collectors);
    pages.set(name, page);
    return page;
  };
  return new Map([[PROBE_PATH, createProbePage([...probeTargets.keys()], pageOf)]]);
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

async function reopen(log: Log): Promise<void> {
  if (await log.reopen()) log.info("Reopened the log");
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
function statusText({ isUp, instances = 0, reason }: CollectionParts): string {
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
