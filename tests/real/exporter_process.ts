/**
 * The executable, serving a hypervisor, as the tests of this folder use it.
 *
 * @module
 */

import { type ParsedFamily, parsePage } from "../support/parse_page.ts";
import { waitUntil } from "./wait_until.ts";

const EXECUTABLE = decodeURIComponent(
  new URL("../../dist/libvirt_nova_exporter", import.meta.url).pathname,
);
const START_BOUND_MILLISECONDS = 10_000;

/** An answered scrape. */
export interface AnsweredScrape {
  readonly families: ReadonlyMap<string, ParsedFamily>;
  readonly milliseconds: number;
  /** The value of `libvirt_nova_up`. */
  readonly up: number | undefined;
  /** The value of the first sample of a family whose labels include these. */
  value(family: string, labels?: Readonly<Record<string, string>>): number | undefined;
  /** The values of one label over all samples of a family. */
  labelValues(family: string, label: string): string[];
}

/** A running exporter. */
export interface ExporterProcess extends AsyncDisposable {
  /** Host and port, as Prometheus takes it. */
  readonly target: string;
  readonly processId: number;
  /** The lines of its log so far. */
  logLines(): readonly string[];
  /** Scrapes once; fails unless the answer is 200 with a valid page. */
  scrape(headers?: Readonly<Record<string, string>>): Promise<AnsweredScrape>;
  /** Sends SIGTERM and returns the exit code. */
  stop(): Promise<number>;
  /** Sends any signal. */
  kill(signal: Deno.Signal): void;
}

/** Starts the executable for a connection URI on a free port of the loopback address, with its log on standard error. */
export async function startExporterProcess(
  uri: string,
  args: readonly string[] = [],
  settings: {
    readonly uid?: number;
    readonly gid?: number;
    readonly env?: Record<string, string>;
  } = {},
): Promise<ExporterProcess> {
  const listen = ["--web.listen-address", "127.0.0.1:0", "--log", "-"];
  const child = new Deno.Command(EXECUTABLE, {
    args: ["--uri", uri, ...listen, ...args],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
    ...settings,
  }).spawn();
  const lines: string[] = [];
  const reading = readLines(child.stderr, lines);
  let hasEnded = false;
  const ended = child.status.then(async ({ code }) => {
    hasEnded = true;
    await reading;
    return code;
  });
  const stop = async (): Promise<number> => {
    if (!hasEnded) child.kill("SIGTERM");
    return await ended;
  };
  try {
    const port = await waitUntil("the exporter to start", START_BOUND_MILLISECONDS, () => {
      if (hasEnded) throw new Error(`The exporter ended: ${lines.join("\n")}`);
      return Promise.resolve(/addresses="127\.0\.0\.1 port (\d+)"/.exec(lines.join("\n"))?.[1]);
    });
    const target = `127.0.0.1:${port}`;
    return {
      target,
      processId: child.pid,
      logLines: () => [...lines],
      scrape: (headers) => scrape(`http://${target}/metrics`, headers),
      stop,
      kill: (signal) => child.kill(signal),
      [Symbol.asyncDispose]: async (): Promise<void> => void await stop(),
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function scrape(
  url: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<AnsweredScrape> {
  const started = performance.now();
  const response = await fetch(url, { headers });
  const text = await response.text();
  const milliseconds = performance.now() - started;
  if (response.status !== 200) throw new Error(`The exporter answered ${response.status}: ${text}`);
  const families = parsePage(text);
  const value = (
    family: string,
    labels: Readonly<Record<string, string>> = {},
  ): number | undefined =>
    families.get(family)?.samples.find((sample) =>
      Object.entries(labels).every(([label, wanted]) => sample.labels[label] === wanted)
    )?.value;
  return {
    families,
    milliseconds,
    up: value("libvirt_nova_up"),
    value,
    labelValues: (family, label) =>
      families.get(family)?.samples.map(({ labels }) => labels[label] ?? "") ?? [],
  };
}

async function readLines(stream: ReadableStream<Uint8Array>, lines: string[]): Promise<void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split("\n");
    rest = parts.pop() ?? "";
    lines.push(...parts);
  }
  if (rest !== "") lines.push(rest);
}
