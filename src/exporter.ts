import process from "node:process";
import type { Config } from "./config/config.ts";
import { PROBE_PATH } from "./config/values.ts";
import { type Log, openLog } from "./log/log.ts";
import {
  openStandardError,
  type StandardError,
  tellOnStandardError,
} from "./log/standard_error.ts";
import type { Findings } from "./metrics/findings.ts";
import { fileDescriptorLimit } from "./metrics/process.ts";
import { createMetricsPage } from "./pages/metrics_page.ts";
import { OverviewKeeper } from "./pages/overview_keeper.ts";
import { filterOf, overviewPage } from "./pages/overview_page.ts";
import { createProbePage } from "./pages/probe.ts";
import { createRoutes, LANDING_PATH } from "./pages/routes.ts";
import type { Scraper } from "./scrape/scraper.ts";
import { keepStatus } from "./scrape/status_keeper.ts";
import { createServiceNotifier, type ServiceNotifier } from "./service/systemd.ts";
import { systemdSockets } from "./service/systemd_socket.ts";
import { openDatagramSender, verifyPassword } from "./shim/native.ts";
import { type OpenHypervisor, scrapeInFull, Targets } from "./scrape/targets.ts";
import { messageOf, redactUri } from "./text.ts";
import { withinTime } from "./time.ts";
import { buildInfo } from "./version.ts";
import { connectionLimits } from "./web/request_limits.ts";
import {
  formatListenAddress,
  type ListenAddress,
  type PageHandler,
  startWebServer,
  type WebServer,
} from "./web/server.ts";
import {
  fixedWebSettings,
  followWebSettings,
  OPEN_WEB_SETTINGS,
  type WebSettingsSource,
} from "./web/settings/web_settings.ts";

/** How long the service manager waits for the log to be opened anew; a stalled disk may take for ever. */
const REOPEN_MILLISECONDS = 1_000;

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
  /** Resolves when standard error has what was logged there, or does not take it for a second. */
  flush(): Promise<void>;
  /** Answers the running scrapes, closes everything; takes a little longer than one scrape at most. */
  stop(reason: string): Promise<void>;
}

/** The parts of a running exporter that end with it. */
interface Parts {
  readonly standardError: StandardError;
  readonly log: Log;
  readonly notifier: ServiceNotifier;
  readonly targets: Targets;
  readonly settings: WebSettingsSource;
  readonly server: WebServer;
}

/**
 * Starts an exporter: its log, libvirt's client library, the web server. libvirt itself need not be there: it is
 * connected to when it is.
 *
 * @param open opens hypervisors, where that is not libvirt's
 * @throws {NativeLibraryError} without libvirt's client library
 * @throws {WebServerError} when it cannot listen
 * @throws {WebConfigError} when the web configuration file cannot be used
 */
export async function startExporter(
  config: Config,
  open?: OpenHypervisor,
): Promise<Exporter> {
  const listenAddresses = config.listenAddresses === "systemd"
    ? systemdSockets()
    : config.listenAddresses;
  const standardError = openStandardError();
  const log = openLog({
    file: config.logFile,
    level: config.logLevel,
    format: config.logFormat,
    standardError: standardError.write,
  });
  try {
    return exporterOf(
      config,
      await startParts(config, listenAddresses, { log, standardError }, open),
    );
  } catch (error) {
    await log.close();
    await standardError.flush();
    throw error;
  }
}

async function startParts(
  config: Config,
  listenAddresses: readonly ListenAddress[],
  { log, standardError }: Pick<Parts, "log" | "standardError">,
  open?: OpenHypervisor,
): Promise<Parts> {
  const notifier = await openServiceNotifier(log);
  const targets = new Targets(config, log, open);
  const overview = keepsOverview(config) ? new OverviewKeeper(config.collectors) : undefined;
  const scraper = await targets.scraper(config.uri, (collection) => {
    notifier.status(statusText(collection.findings));
    overview?.note(collection);
  });
  const status = keepStatus(scraper);
  const settings = await openWebSettings(config, log);
  const server = await startWebServer({
    listenAddresses,
    routes: createRoutes({
      metricsPath: config.path,
      metrics: createMetricsPage(scraper, config.collectors),
      status: status.current,
      onReadinessAsked: status.refresh,
      overview: overview && ((links): PageHandler => async ({ query }) => {
        await overview.refresh(() => scraper.scrape());
        return overviewPage({
          status: status.current(),
          uri: redactUri(config.uri),
          seen: overview.current(),
          targets: targets.statuses(),
          filter: filterOf(query),
        }, links);
      }),
      others: probeRoutes(config, targets),
    }),
    limits: connectionLimits(fileDescriptorLimit()),
    log,
    settings,
    verifyPassword,
  });
  logStart(config, server, log);
  collectFirst(config, scraper, standardError);
  return { standardError, log, notifier, targets, settings, server };
}

/** Whether there is a page to keep it for. */
function keepsOverview({ landingPage, path }: Config): boolean {
  return landingPage === "overview" && path !== LANDING_PATH;
}

function logStart(config: Config, { addresses }: WebServer, log: Log): void {
  const { version, runtime } = buildInfo();
  log.info("Started", {
    version,
    runtime,
    uri: redactUri(config.uri),
    addresses: addresses.map((address) =>
      "host" in address ? `${address.host} port ${address.port}` : formatListenAddress(address)
    ).join(", "),
    path: config.path,
  });
}

/** Connects and reads the definitions, so that the first scrape finds them. */
async function collectFirst(
  { logFile }: Config,
  scraper: Scraper,
  { write }: StandardError,
): Promise<void> {
  const { isUp, reason } = (await scrapeInFull(scraper)).findings;
  if (isUp || logFile === undefined) return;
  tellOnStandardError(
    `libvirt_nova_exporter: libvirt is not available yet, trying again at each scrape: ${reason}`,
    write,
  );
}

function exporterOf(config: Config, parts: Parts): Exporter {
  const { standardError, log, notifier, targets, settings, server } = parts;
  let isStopping = false;
  return {
    addresses: server.addresses,
    announce: () => notifier.ready(),
    reload(): void {
      notifier.reloading();
      settings.reload();
      withinTime(reopen(log), REOPEN_MILLISECONDS).then(() => {
        if (!isStopping) notifier.ready();
      });
    },
    noteDefect: (error) => log.error("Internal error", { error: defectText(error) }),
    flush: () => standardError.flush(),
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
      await standardError.flush();
    },
  };
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

function openWebSettings({ webConfigFile }: Config, log: Log): Promise<WebSettingsSource> {
  return webConfigFile === undefined
    ? Promise.resolve(fixedWebSettings(OPEN_WEB_SETTINGS))
    : followWebSettings(webConfigFile, { log });
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
function statusText({ isUp, instances = 0, reason }: Findings): string {
  if (!isUp) return `libvirt not available: ${reason}`;
  return `libvirt connected, ${instances} ${instances === 1 ? "instance" : "instances"}`;
}

function defectText(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${messageOf(error)}` : String(error);
}
