/**
 * What scrapes a fleet: Prometheus in shards, or vmagent in a cluster that writes into one VictoriaMetrics.
 *
 * @module
 */

import type { Way } from "../../scripts/fleet_result.ts";
import { RULE_FILES } from "./asked_expressions.ts";
import { ensureVictoriaMetrics } from "../../testing/prometheus/engines.ts";
import { ensurePrometheus3 } from "../../testing/prometheus/newer_prometheus.ts";
import { startPrometheusWith } from "../../testing/prometheus/prometheus.ts";
import { freePort } from "../../testing/free_port.ts";
import { getText, type Service, startService } from "../../testing/prometheus/service.ts";
import { ROOT } from "../../testing/set_up.ts";

/** One of several that share the hosts. */
export interface Member {
  readonly processId: number;
  /** Ends it at once. Its place stays empty until {@link Member.restart}. */
  stop(): Promise<void>;
  /** Starts it anew, in the same place. */
  restart(): Promise<void>;
}

/** Everything that scrapes a fleet, keeps its series, and evaluates its rules. */
export interface FleetEngines extends AsyncDisposable {
  readonly way: Way;
  readonly members: readonly Member[];
  /** Where queries are answered: the engine that has all series, or each shard. */
  readonly engines: readonly string[];
  /** All processes, those that scrape and those that do not. */
  processIds(): readonly number[];
  /** The metrics of all processes. */
  ownMetrics(): Promise<readonly string[]>;
  /** The folders with the data. */
  readonly dataFolders: readonly string[];
}

/** How many Prometheus servers share the hosts. */
const SHARDS = 2;

/** How many vmagents share the hosts. */
export const AGENTS = 3;

/** How many of the vmagents scrape each host. */
export const REPLICATION = 2;

/** What to scrape, and how often. */
export interface FleetScrapes {
  readonly targets: readonly string[];
  readonly intervalSeconds: number;
  /** Rules are evaluated as often; without rules when undefined. */
  readonly ruleIntervalSeconds: number | undefined;
  /** Go and the caches of VictoriaMetrics keep themselves to it, in all processes together. */
  readonly memoryBytes: number;
}

function scrapeConfiguration({ targets, intervalSeconds }: FleetScrapes, shard?: number): unknown {
  return {
    "job_name": "libvirt_nova",
    "scrape_interval": `${intervalSeconds}s`,
    "scrape_timeout": `${intervalSeconds}s`,
    "static_configs": targets.map((target, number) => ({
      targets: [target],
      labels: { hypervisor: `compute${number}` },
    })),
    // As docs/prometheus.md has it.
    "relabel_configs": [
      { "source_labels": ["hypervisor"], "target_label": "instance" },
      ...(shard === undefined ? [] : [
        {
          "source_labels": ["__address__"],
          modulus: SHARDS,
          "target_label": "__tmp_shard",
          action: "hashmod",
        },
        { "source_labels": ["__tmp_shard"], regex: `${shard}`, action: "keep" },
      ]),
    ],
  };
}

const RULE_PATHS = RULE_FILES.map((file) => `${ROOT}/${file}`);

/** A process that can be started again with the same arguments. */
interface Restartable extends Member, AsyncDisposable {
  readonly url: string;
}

async function restartable(
  start: () => Promise<{ readonly processId: number; stop(): Promise<void> }>,
  url: string,
): Promise<Restartable> {
  let present = await start();
  return {
    url,
    get processId() {
      return present.processId;
    },
    stop: () => present.stop(),
    async restart(): Promise<void> {
      present = await start();
    },
    [Symbol.asyncDispose]: () => present.stop(),
  };
}

/** Starts Prometheus in shards: each has a part of the hosts, and knows nothing of the others. */
async function startPrometheusShards(scrapes: FleetScrapes): Promise<FleetEngines> {
  await using stack = new AsyncDisposableStack();
  const members: Restartable[] = [];
  const dataFolders: string[] = [];
  for (let shard = 0; shard < SHARDS; shard++) {
    // Outside of what goes with the process: one that comes back finds its data.
    const kept = await Deno.makeTempDir({ prefix: "fleet_shard_" });
    stack.defer(() => Deno.remove(kept, { recursive: true }));
    dataFolders.push(kept);
    members.push(stack.use(await startShard(kept, shard, scrapes)));
  }
  const owned = stack.move();
  return {
    way: "Prometheus",
    members,
    engines: members.map(({ url }) => url),
    processIds: () => members.map(({ processId }) => processId),
    ownMetrics: () => Promise.all(members.map(({ url }) => textOf(`${url}/metrics`))),
    dataFolders,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function startShard(
  folder: string,
  shard: number,
  scrapes: FleetScrapes,
): Promise<Restartable> {
  const { ruleIntervalSeconds, memoryBytes } = scrapes;
  const programs = await ensurePrometheus3();
  const address = `127.0.0.1:${freePort()}`;
  const configurationFile = `${folder}/prometheus.yml`;
  await Deno.writeTextFile(
    configurationFile,
    JSON.stringify({
      global: {
        "external_labels": { shard: `${shard}` },
        ...(ruleIntervalSeconds === undefined
          ? {}
          : { "evaluation_interval": `${ruleIntervalSeconds}s` }),
      },
      "rule_files": ruleIntervalSeconds === undefined ? [] : RULE_PATHS,
      "scrape_configs": [scrapeConfiguration(scrapes, shard)],
    }),
  );
  return await restartable(async () =>
    await startPrometheusWith({
      directory: await Deno.makeTempDir({ prefix: "prometheus-" }),
      configurationFile,
      address,
      programs,
      dataDirectory: `${folder}/data`,
      flags: ["--web.enable-admin-api"],
      environment: { GOMEMLIMIT: `${Math.floor(memoryBytes / SHARDS)}` },
    }), `http://${address}`);
}

/** A program of VictoriaMetrics, and how it is started. */
interface ProgramStart {
  readonly name: string;
  readonly program: string;
  readonly url: string;
  readonly args: (directory: string) => readonly string[];
  readonly memoryBytes: number;
}

async function startProgram(
  { name, program, url, args, memoryBytes }: ProgramStart,
): Promise<Service> {
  const directory = await Deno.makeTempDir({ prefix: `${name}-` });
  return await startService({
    name,
    program,
    args: [
      `-httpListenAddr=${url.slice("http://".length)}`,
      `-memory.allowedBytes=${Math.floor(memoryBytes / 2)}`,
      ...args(directory),
    ],
    environment: { GOMEMLIMIT: `${Math.floor(memoryBytes)}` },
    directory,
    url,
    readyPath: "/health",
  });
}

function freeUrl(): string {
  return `http://127.0.0.1:${freePort()}`;
}

/** Starts vmagent in a cluster, each host scraped by two of its members, and one VictoriaMetrics that keeps a sample of the two. */
async function startVictoriaMetricsCluster(scrapes: FleetScrapes): Promise<FleetEngines> {
  await using stack = new AsyncDisposableStack();
  const programs = await ensureVictoriaMetrics();
  const { memoryBytes } = scrapes;
  const folder = await Deno.makeTempDir({ prefix: "fleet_victoria_" });
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const storage = stack.use(await startStorage(programs.victoriaMetrics, folder, scrapes));
  const configurationFile = `${folder}/scrape.yml`;
  await Deno.writeTextFile(
    configurationFile,
    JSON.stringify({ "scrape_configs": [scrapeConfiguration(scrapes)] }),
  );
  const members: Restartable[] = [];
  for (let number = 0; number < AGENTS; number++) {
    members.push(
      stack.use(
        await startAgent(programs.vmagent, number, {
          configurationFile,
          engine: storage.url,
          memoryBytes: memoryBytes * 0.1,
        }),
      ),
    );
  }
  const others = [storage];
  if (scrapes.ruleIntervalSeconds !== undefined) {
    others.push(
      stack.use(
        await startEvaluator(programs.vmalert, storage.url, {
          intervalSeconds: scrapes.ruleIntervalSeconds,
          memoryBytes: memoryBytes * 0.2,
        }),
      ),
    );
  }
  const owned = stack.move();
  return {
    way: "VictoriaMetrics",
    members,
    engines: [storage.url],
    processIds: () => [...others, ...members].map(({ processId }) => processId),
    ownMetrics: () =>
      Promise.all([...others, ...members].map(({ url }) => textOf(`${url}/metrics`))),
    dataFolders: [`${folder}/data`],
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function startStorage(
  program: string,
  folder: string,
  { intervalSeconds, memoryBytes }: FleetScrapes,
): Promise<Service> {
  return startProgram({
    name: "victoria-metrics",
    program,
    url: freeUrl(),
    args: () => [
      `-storageDataPath=${folder}/data`,
      `-dedup.minScrapeInterval=${intervalSeconds}s`,
      // A dashboard asks for all that there is here, and at once.
      "-search.maxUniqueTimeseries=5000000",
      "-search.maxQueryDuration=60s",
    ],
    memoryBytes: memoryBytes * 0.5,
  });
}

function startAgent(
  program: string,
  number: number,
  { configurationFile, engine, memoryBytes }: {
    readonly configurationFile: string;
    readonly engine: string;
    readonly memoryBytes: number;
  },
): Promise<Restartable> {
  const url = freeUrl();
  return restartable(() =>
    startProgram({
      name: "vmagent",
      program,
      url,
      args: (directory) => [
        `-promscrape.config=${configurationFile}`,
        `-promscrape.cluster.membersCount=${AGENTS}`,
        `-promscrape.cluster.memberNum=${number}`,
        `-promscrape.cluster.replicationFactor=${REPLICATION}`,
        `-remoteWrite.url=${engine}/api/v1/write`,
        `-remoteWrite.tmpDataPath=${directory}/data`,
      ],
      memoryBytes,
    }), url);
}

function startEvaluator(
  program: string,
  engine: string,
  { intervalSeconds, memoryBytes }: {
    readonly intervalSeconds: number;
    readonly memoryBytes: number;
  },
): Promise<Service> {
  return startProgram({
    name: "vmalert",
    program,
    url: freeUrl(),
    args: () => [
      `-rule=${RULE_PATHS.join()}`,
      `-evaluationInterval=${intervalSeconds}s`,
      `-datasource.url=${engine}`,
      `-remoteWrite.url=${engine}`,
      "-notifier.blackhole",
      "-disableAlertgroupLabel",
      "-rule.evalDelay=5s",
    ],
    memoryBytes,
  });
}

/** Starts one or the other. */
export function startEngines(way: Way, scrapes: FleetScrapes): Promise<FleetEngines> {
  return way === "Prometheus"
    ? startPrometheusShards(scrapes)
    : startVictoriaMetricsCluster(scrapes);
}

async function textOf(url: string): Promise<string> {
  return (await getText(url)).text;
}
