/**
 * A private Prometheus server for tests, and Prometheus' own check of an exposition.
 *
 * @module
 */

import { type CommandResult, runCommand } from "../command.ts";
import { freePort } from "../free_port.ts";
import { INSTALLED_PROMETHEUS, type PrometheusPrograms } from "./newer_prometheus.ts";
import { getText, type Service, startService } from "./service.ts";
import { waitUntil } from "../wait_until.ts";
import { messageOf } from "../../src/text.ts";

/** What to scrape. */
export interface PrometheusOptions {
  /** Host and port of each target, e.g. `127.0.0.1:9100`; all of them belong to the job `exporter`. */
  readonly targets: readonly string[];
  /** `/metrics` when left out. */
  readonly metricsPath?: string;
  /** More settings of the scrape job by their YAML names, e.g. `{ basic_auth: { username: "a", password: "b" } }`. */
  readonly scrapeSettings?: Readonly<Record<string, unknown>>;
  /** Absolute paths of rule files to load and evaluate each second. */
  readonly ruleFiles?: readonly string[];
  /** Which Prometheus to start; the installed one when left out. */
  readonly programs?: PrometheusPrograms;
}

/** One series of an instant query's answer; a scalar has no labels. */
export interface PrometheusSample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A running Prometheus. */
export interface Prometheus extends AsyncDisposable {
  /** Its base URL, e.g. `http://127.0.0.1:41234`. */
  readonly url: string;
  /** The process id of the server. */
  readonly processId: number;
  /** Answers an instant query; throws with Prometheus' own message when it is refused. */
  query(expression: string): Promise<readonly PrometheusSample[]>;
  /**
   * Repeats an instant query until its answer pleases `predicate`, and returns that answer; throws with the last answer when the
   * bound passes first.
   */
  waitFor(
    expression: string,
    predicate: (samples: readonly PrometheusSample[]) => boolean,
    boundMilliseconds: number,
  ): Promise<readonly PrometheusSample[]>;
  /** Asks any path of the HTTP interface, e.g. `/api/v1/targets`, and returns the parsed JSON. */
  api(path: string): Promise<unknown>;
  /** Ends the server and removes its data. Further calls change nothing. */
  stop(): Promise<void>;
}

const QUERY_INTERVAL_MILLISECONDS = 200;

/** JSON is YAML too. */
function configuration(options: PrometheusOptions): string {
  return JSON.stringify({
    global: { scrape_interval: "1s", scrape_timeout: "1s", evaluation_interval: "1s" },
    rule_files: options.ruleFiles ?? [],
    scrape_configs: [{
      job_name: "exporter",
      metrics_path: options.metricsPath ?? "/metrics",
      static_configs: [{ targets: options.targets }],
      ...options.scrapeSettings,
    }],
  });
}

/** The value of a sample in Prometheus' answers: seconds since 1970, and the number as text. */
type WrittenValue = readonly [number, string];

/** The parts of an instant query's answer that the tests use. */
interface QueryAnswer {
  readonly status: "success" | "error";
  readonly error?: string;
  readonly data?:
    | { readonly resultType: "scalar"; readonly result: WrittenValue }
    | {
      readonly resultType: "vector";
      readonly result: readonly {
        readonly metric: Readonly<Record<string, string>>;
        readonly value: WrittenValue;
      }[];
    };
}

function parseValue([, text]: WrittenValue): number {
  return Number(text.replace("Inf", "Infinity"));
}

/**
 * Reads what `/api/v1/query` answers.
 *
 * @throws {Error} when Prometheus refused the query; the message has its reason
 */
export function parseQueryAnswer(expression: string, text: string): readonly PrometheusSample[] {
  const answer: QueryAnswer = JSON.parse(text);
  if (answer.data === undefined) {
    throw new Error(`Prometheus refuses the query "${expression}": ${answer.error}`);
  }
  if (answer.data.resultType === "scalar") {
    return [{ labels: {}, value: parseValue(answer.data.result) }];
  }
  return answer.data.result.map(({ metric, value }) => ({
    labels: metric,
    value: parseValue(value),
  }));
}

/**
 * Starts a Prometheus on a free port of the loopback address. It scrapes and evaluates rules every second, for the first time
 * some 5 s after the start, when it has taken up its targets. It ends with `stop()`, and also when this process dies. Call `ensureDebianPackages()` before.
 *
 * @throws {Error} when it does not get ready; the message has its log
 */
export async function startPrometheus(options: PrometheusOptions): Promise<Prometheus> {
  const directory = Deno.makeTempDirSync({ prefix: "prometheus-" });
  Deno.writeTextFileSync(`${directory}/prometheus.yml`, configuration(options));
  return await startPrometheusWith({
    directory,
    configurationFile: `${directory}/prometheus.yml`,
    address: `127.0.0.1:${freePort()}`,
    programs: options.programs ?? INSTALLED_PROMETHEUS,
  });
}

/** How to start a Prometheus with a configuration of one's own. */
export interface ConfiguredPrometheus {
  /** A folder of its own, which is removed when it is stopped. */
  readonly directory: string;
  /** Where its data is; in `directory` when left out. */
  readonly dataDirectory?: string;
  readonly configurationFile: string;
  /** Host and port to listen on. */
  readonly address: string;
  readonly programs: PrometheusPrograms;
  /** More flags. */
  readonly flags?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

/**
 * Starts a Prometheus with a configuration file. It ends with `stop()`, and also when this process dies.
 *
 * @throws {Error} when it does not get ready; the message has its log
 */
export async function startPrometheusWith(options: ConfiguredPrometheus): Promise<Prometheus> {
  const { directory, configurationFile, address, programs, flags = [], environment } = options;
  const dataDirectory = options.dataDirectory ?? `${directory}/data`;
  const service = await startService({
    name: "Prometheus",
    program: programs.prometheus,
    args: [
      `--config.file=${configurationFile}`,
      `--storage.tsdb.path=${dataDirectory}`,
      `--web.listen-address=${address}`,
      "--log.level=warn",
      ...flags,
    ],
    ...(environment === undefined ? {} : { environment }),
    directory,
    url: `http://${address}`,
    readyPath: "/-/ready",
  });
  return prometheusOf(service);
}

function prometheusOf({ url, processId, stop }: Service): Prometheus {
  async function api(path: string): Promise<unknown> {
    return JSON.parse((await getText(url + path)).text);
  }

  async function query(expression: string): Promise<readonly PrometheusSample[]> {
    const { text } = await getText(`${url}/api/v1/query?query=${encodeURIComponent(expression)}`);
    return parseQueryAnswer(expression, text);
  }

  async function waitFor(
    expression: string,
    predicate: (samples: readonly PrometheusSample[]) => boolean,
    boundMilliseconds: number,
  ): Promise<readonly PrometheusSample[]> {
    let last: readonly PrometheusSample[] = [];
    try {
      return await waitUntil(
        `query "${expression}"`,
        async () => {
          last = await query(expression);
          return predicate(last) ? last : undefined;
        },
        boundMilliseconds,
        QUERY_INTERVAL_MILLISECONDS,
      );
    } catch (error) {
      const reason = messageOf(error);
      throw new Error(`${reason}; its last answer was ${JSON.stringify(last)}`);
    }
  }

  return { url, processId, query, waitFor, api, stop, [Symbol.asyncDispose]: stop };
}

/** What `promtool` said: its exit code, and the lines of both outputs that are not empty. */
export interface PromtoolResult {
  readonly code: number;
  readonly lines: readonly string[];
}

/**
 * Runs `promtool`, e.g. with `check rules FILE`.
 *
 * @param input what it reads from standard input; nothing when left out
 * @param programs whose `promtool`; the installed one when left out
 */
export async function promtool(
  parameters: readonly string[],
  input?: string,
  programs: PrometheusPrograms = INSTALLED_PROMETHEUS,
): Promise<PromtoolResult> {
  const result: CommandResult = await runCommand(
    programs.promtool,
    parameters,
    input === undefined ? {} : { input },
  );
  const lines = `${result.output}\n${result.errorOutput}`.split("\n");
  return { code: result.code, lines: lines.filter((line) => line.trim() !== "") };
}

/**
 * Lets `promtool check metrics` judge a page in Prometheus' text format. Exit code 0 comes without lines; 3 means that its lines
 * tell of bad habits, 1 that the page is not valid.
 */
export async function promtoolCheckMetrics(
  text: string,
  programs?: PrometheusPrograms,
): Promise<PromtoolResult> {
  return await promtool(["check", "metrics"], text, programs);
}
