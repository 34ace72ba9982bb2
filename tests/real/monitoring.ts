/**
 * Everything that stands behind the exporters, with the configurations of contrib/prometheus: Prometheus, vmagent,
 * VictoriaMetrics, vmalert, Alertmanager, and a server that takes Alertmanager's messages.
 *
 * @module
 */

import { ROOT } from "../../testing/set_up.ts";
import { ALERTMANAGER, ensureVictoriaMetrics } from "../../testing/prometheus/engines.ts";
import { ensurePrometheus3 } from "../../testing/prometheus/newer_prometheus.ts";
import { type Prometheus, startPrometheusWith } from "../../testing/prometheus/prometheus.ts";
import { quicken } from "./quick_time.ts";
import { freePorts } from "../../testing/free_port.ts";
import { type Service, startService } from "../../testing/prometheus/service.ts";

/** Where the configurations are. */
const SOURCE = `${ROOT}/contrib/prometheus`;
/** Where they say that they are. */
const INSTALLED = "/etc/prometheus/libvirt_nova";
const LIST = "service_discovery/targets.example.json";
const FILES = [
  "prometheus.yml",
  "scrape.yml",
  "alertmanager.yml",
  "victoria_metrics/victoria-metrics.env",
  "victoria_metrics/vmagent.env",
  "victoria_metrics/vmalert.env",
  "victoria_metrics/notifier.yml",
  "alerts/exporter.alerts.yml",
  "alerts/instances.alerts.yml",
  "alerts/hosts.alerts.yml",
  "rules/rates.rules.yml",
] as const;

/** The ports that the configurations name, of one service each. */
const PORTS = ["9090", "9093", "9095", "8428", "8429", "8880"] as const;

/** No service here needs a fraction of it; one that runs away collects garbage instead. */
const MEMORY = "512MiB";

/** Where things run in a test. */
export interface Adaptation {
  /** How many times faster time runs, see {@link quicken}. */
  readonly factor: number;
  /** Host and port of each exporter by the short name of its hypervisor. */
  readonly targets: Readonly<Record<string, string>>;
}

/** Copies of the configurations, as a test can run them. */
export interface AdaptedFiles {
  /** Of a file by its name in contrib/prometheus. */
  path(name: (typeof FILES)[number]): string;
  /** The variables of an `.env` file. */
  variables(name: (typeof FILES)[number]): Readonly<Record<string, string>>;
  /** Host and port in the place of `127.0.0.1:PORT`. */
  address(port: (typeof PORTS)[number]): string;
}

/**
 * Copies the configurations to a folder: other ports, other targets, other durations, and nothing else is changed.
 */
export async function adaptFiles(
  folder: string,
  { factor, targets }: Adaptation,
): Promise<AdaptedFiles> {
  const ports = new Map<string, number>(
    freePorts(PORTS.length).map((port, index) => [PORTS[index] ?? "", port]),
  );
  const adapt = (text: string): string =>
    quicken(text, factor).replaceAll(INSTALLED, folder).replaceAll(
      /(?<=127\.0\.0\.1:)\d+/g,
      (port) => `${ports.get(port) ?? port}`,
    );
  for (const name of ["alerts", "rules", "service_discovery", "victoria_metrics"]) {
    await Deno.mkdir(`${folder}/${name}`);
  }
  for (const name of FILES) {
    await Deno.writeTextFile(
      `${folder}/${name}`,
      adapt(await Deno.readTextFile(`${SOURCE}/${name}`)),
    );
  }
  const list = Object.entries(targets).map(([hypervisor, target]) => ({
    targets: [target],
    labels: { hypervisor },
  }));
  await Deno.writeTextFile(`${folder}/${LIST}`, JSON.stringify(list));
  return {
    path: (name) => `${folder}/${name}`,
    variables: (name) =>
      Object.fromEntries(
        Array.from(
          Deno.readTextFileSync(`${folder}/${name}`).matchAll(/^(\w+)=(.*)$/gm),
          ([, key = "", value = ""]) => [key, value],
        ),
      ),
    address: (port) => `127.0.0.1:${ports.get(port)}`,
  };
}

/** A message of Alertmanager's, as far as it is read here. */
export interface AlertMessage {
  /** What the receiver's URL ends in: `page` or `ticket`. */
  readonly receiver: string;
  readonly status: "firing" | "resolved";
  readonly groupLabels: Readonly<Record<string, string>>;
  readonly alerts: readonly {
    readonly status: "firing" | "resolved";
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  }[];
}

/** A server for Alertmanager's messages. */
export interface Webhook extends AsyncDisposable {
  /** Those that have come, in order. */
  readonly messages: readonly AlertMessage[];
}

/** Starts a server that takes messages at an address. */
export function startWebhook(address: string): Webhook {
  const messages: AlertMessage[] = [];
  const [hostname = "", port = ""] = address.split(":");
  const server = Deno.serve(
    { hostname, port: Number(port), onListen: (): void => {} },
    async (request): Promise<Response> => {
      const receiver = new URL(request.url).pathname.slice(1);
      messages.push({ ...await request.json(), receiver });
      return new Response();
    },
  );
  return { messages, [Symbol.asyncDispose]: () => server.shutdown() };
}

/** Starts Alertmanager with the configuration. */
export async function startAlertmanager(files: AdaptedFiles): Promise<Service> {
  const address = files.address("9093");
  const directory = await Deno.makeTempDir({ prefix: "alertmanager-" });
  return await startService({
    name: "Alertmanager",
    program: ALERTMANAGER,
    args: [
      `--config.file=${files.path("alertmanager.yml")}`,
      `--storage.path=${directory}/data`,
      `--web.listen-address=${address}`,
      // It is alone.
      "--cluster.listen-address=",
    ],
    environment: { GOMEMLIMIT: MEMORY },
    directory,
    url: `http://${address}`,
    readyPath: "/-/ready",
  });
}

/** All that runs behind the exporters. */
export interface Monitoring extends AsyncDisposable {
  readonly prometheus: Prometheus;
  readonly victoriaMetrics: Service;
  readonly vmalert: Service;
  readonly alertmanager: Service;
  readonly webhook: Webhook;
}

/** A program of VictoriaMetrics with the settings of its `.env` file, and with others where the test must differ. */
async function startFromFile(
  files: AdaptedFiles,
  name: "victoria-metrics" | "vmagent" | "vmalert",
  program: string,
  settings: (directory: string) => Readonly<Record<string, string>>,
): Promise<Service> {
  const directory = await Deno.makeTempDir({ prefix: `${name}-` });
  const environment: Readonly<Record<string, string>> = {
    ...files.variables(`victoria_metrics/${name}.env`),
    ...settings(directory),
    GOMEMLIMIT: MEMORY,
  };
  return await startService({
    name,
    program,
    args: ["-envflag.enable", "-memory.allowedBytes=128MiB"],
    environment,
    directory,
    url: `http://${environment["httpListenAddr"]}`,
    readyPath: "/health",
  });
}

/** Starts everything; `agents` times vmagent, each with the same settings. */
export async function startMonitoring(files: AdaptedFiles, agents: number): Promise<Monitoring> {
  await using stack = new AsyncDisposableStack();
  const programs = await ensureVictoriaMetrics();
  const webhook = stack.use(startWebhook(files.address("9095")));
  const alertmanager = stack.use(await startAlertmanager(files));
  const victoriaMetrics = stack.use(
    await startFromFile(
      files,
      "victoria-metrics",
      programs.victoriaMetrics,
      (directory) => ({ storageDataPath: `${directory}/data` }),
    ),
  );
  for (const port of freePorts(agents)) {
    stack.use(
      await startFromFile(files, "vmagent", programs.vmagent, (directory) => ({
        httpListenAddr: `127.0.0.1:${port}`,
        "remoteWrite_tmpDataPath": `${directory}/data`,
      })),
    );
  }
  const vmalert = stack.use(
    await startFromFile(files, "vmalert", programs.vmalert, () => ({})),
  );
  const prometheus = stack.use(
    await startPrometheusWith({
      directory: await Deno.makeTempDir({ prefix: "prometheus-" }),
      configurationFile: files.path("prometheus.yml"),
      address: files.address("9090"),
      programs: await ensurePrometheus3(),
      environment: { GOMEMLIMIT: MEMORY },
    }),
  );
  const owned = stack.move();
  return {
    prometheus,
    victoriaMetrics,
    vmalert,
    alertmanager,
    webhook,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
