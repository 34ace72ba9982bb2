/**
 * A private Prometheus server for tests, and Prometheus' own check of an exposition.
 *
 * @module
 */

import { get } from "node:http";
import { type CommandResult, runCommand } from "./command.ts";
import { INSTALLED_PROMETHEUS, type PrometheusPrograms } from "./newer_prometheus.ts";
import { isAlive } from "./processes.ts";
import { waitUntil } from "./wait_until.ts";

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

const START_BOUND_MILLISECONDS = 30_000;
const QUERY_INTERVAL_MILLISECONDS = 200;

/**
 * Runs Prometheus until standard input ends, as it also does when the tests die, and then removes the directory.
 * The first line of output is the server's process id.
 */
const SUPERVISOR_SCRIPT = `
directory=$1; program=$2; shift 2
trap '' HUP INT PIPE TERM
"$program" "$@" > "$directory/prometheus.log" 2>&1 < /dev/null &
echo $!
exec 2> /dev/null
cat > /dev/null
kill -KILL $!
wait $!
rm -rf -- "$directory"
`;

/** Asks the loopback address directly, whatever proxy the environment names. */
function getText(url: string): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    // Each answer closes its connection, so that none outlives the test.
    get(url, { agent: false }, (response) => {
      const parts: string[] = [];
      response.setEncoding("utf8");
      response.on("data", (part: string) => parts.push(part));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text: parts.join("") }));
      response.on("error", reject);
    }).on("error", reject);
  });
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

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

async function isReady(url: string): Promise<boolean> {
  try {
    return (await getText(`${url}/-/ready`)).status === 200;
  } catch {
    return false;
  }
}

async function readLine(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string> {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { done, value } = await reader.read();
    if (done) break;
    text += value;
  }
  await reader.cancel();
  return text.trim();
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
  const address = `127.0.0.1:${freePort()}`;
  const url = `http://${address}`;
  const child = new Deno.Command("setsid", {
    args: [
      "sh",
      "-c",
      SUPERVISOR_SCRIPT,
      "supervisor",
      directory,
      (options.programs ?? INSTALLED_PROMETHEUS).prometheus,
      `--config.file=${directory}/prometheus.yml`,
      `--storage.tsdb.path=${directory}/data`,
      `--web.listen-address=${address}`,
      "--log.level=warn",
    ],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
    cwd: "/",
  }).spawn();
  const lifeline = child.stdin.getWriter();
  const processId = Number(await readLine(child.stdout));

  async function end(): Promise<void> {
    await lifeline.close();
    await child.status;
  }
  let ending: Promise<void> | undefined;
  const stop = (): Promise<void> => ending ??= end();

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
      return await waitUntil(`query "${expression}"`, boundMilliseconds, async () => {
        last = await query(expression);
        return predicate(last) ? last : undefined;
      }, QUERY_INTERVAL_MILLISECONDS);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`${reason}; its last answer was ${JSON.stringify(last)}`);
    }
  }

  try {
    await waitUntil("Prometheus to get ready", START_BOUND_MILLISECONDS, async () => {
      if (!isAlive(processId)) throw new Error("Prometheus ended at once");
      return await isReady(url) ? true : undefined;
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const log = Deno.readTextFileSync(`${directory}/prometheus.log`).trim();
    await stop();
    throw new Error(`${reason}; its log says:\n${log}`);
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
