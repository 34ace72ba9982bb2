/**
 * The executable, serving a hypervisor, as the tests of this folder use it.
 *
 * @module
 */

import assert from "node:assert/strict";
import { type Families, parsePage, valueOf } from "./parse_page.ts";
import { createTestFolder, startExecutable, type StartOptions } from "./executable.ts";

/** An answered scrape. */
export interface AnsweredScrape {
  readonly families: Families;
  readonly milliseconds: number;
  /** The value of `libvirt_nova_up`. */
  readonly up: number | undefined;
  /** The value of the first sample of a family whose labels include these. */
  value(family: string, labels?: Readonly<Record<string, string>>): number | undefined;
  /** The values of one label over all samples of a family. */
  labelValues(family: string, label: string): string[];
}

/** The exporter's default for a whole scrape, and what the way over HTTP may add on a busy machine. */
const DEADLINE_MILLISECONDS = 2_000;
const SLACK_MILLISECONDS = 250;

/** Fails for an answer that came later than the exporter promises by default. */
export function assertInTime({ milliseconds }: AnsweredScrape): void {
  const limit = DEADLINE_MILLISECONDS + SLACK_MILLISECONDS;
  assert.ok(milliseconds < limit, `A scrape took ${milliseconds} ms`);
}

/** A running exporter. Whatever becomes of the test, it has ended when it is disposed of. */
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

/**
 * Starts the executable for a connection URI on a free port of the loopback address, with its log on standard error and in
 * a temporary folder of its own.
 */
export async function startExporterProcess(
  uri: string,
  args: readonly string[] = [],
  settings: Pick<StartOptions, "environment" | "executable" | "through" | "user"> = {},
): Promise<ExporterProcess> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await createTestFolder());
  const executable = stack.use(
    await startExecutable(["--uri", uri, "--log", "-", ...args], { folder, ...settings }),
  );
  const target = `127.0.0.1:${executable.ports[0]}`;
  const owned = stack.move();
  return {
    target,
    processId: executable.processId,
    logLines: () => executable.errorOutput().split("\n").slice(0, -1),
    scrape: async (headers = {}) => {
      const started = performance.now();
      const { status, body } = await executable.get("/metrics", { headers });
      const milliseconds = performance.now() - started;
      if (status !== 200) throw new Error(`The exporter answered ${status}: ${body}`);
      return answeredScrape(body, milliseconds);
    },
    stop: async () => (await executable.stop()).code,
    kill: executable.signal,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function answeredScrape(page: string, milliseconds: number): AnsweredScrape {
  const families = parsePage(page);
  return {
    families,
    milliseconds,
    up: valueOf(families, "libvirt_nova_up"),
    value: (family, labels) => valueOf(families, family, labels),
    labelValues: (family, label) =>
      families.get(family)?.samples.map(({ labels }) => labels[label] ?? "") ?? [],
  };
}
