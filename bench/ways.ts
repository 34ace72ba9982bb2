import { startCommand } from "../testing/command.ts";
import { PHASES } from "../src/metrics/self.ts";
import { startExporterProcess } from "../testing/exporter_process.ts";
import { deployedEnvironment } from "../testing/deployed_environment.ts";
import { connectKeepAlive, type KeepAlive } from "./keep_alive.ts";

/** A running program that scrapes a hypervisor when it is told to. */
export interface Way extends AsyncDisposable {
  readonly name: string;
  readonly processId: number;
  /**
   * Scrapes once.
   *
   * @throws {IncompletePageError} when the page lacks something
   */
  round(): Promise<Scrape>;
}

/** How long a scrape took. */
export interface Scrape {
  readonly nanoseconds: number;
  /** Nanoseconds of its phases, as far as the way tells of them. */
  readonly phases: ReadonlyMap<string, number>;
}

/** Nothing is known of phases. */
export const NO_PHASES: Scrape["phases"] = new Map();

/** The baselines, by the names that the program in `bench/baseline/` has for them. */
export type BaselineName = "seed" | "seed-kept" | "bulk" | "bulk-all" | "floor";

/** The exporter for the families that the other ways ask for as well, and for all that it has by default. */
export type ExporterName = "exporter" | "exporter-defaults";

const EXPORTER_FLAGS: Readonly<Record<ExporterName, readonly string[]>> = {
  exporter: ["--collector.disable-defaults", "--collector.seed"],
  "exporter-defaults": [],
};

/** Long enough for every scrape here: with the default a slow machine would show incomplete pages as quick ones. */
const TIMEOUT = "60s";

/** More than the exporter's own metrics take. */
const TAIL_BYTES = 64 * 1024;

/**
 * Starts the executable as it is deployed, to be scraped over one connection; a round is what Prometheus would wait for.
 *
 * @param instances how many instances a complete page has
 */
export async function startExporterWay(
  name: ExporterName,
  uri: string,
  instances: number,
): Promise<Way> {
  const flags = ["--libvirt.timeout", TIMEOUT, ...EXPORTER_FLAGS[name]];
  const exporter = await startExporterProcess(uri, flags, { environment: deployedEnvironment() });
  const port = Number(exporter.target.split(":").at(-1));
  let connection: KeepAlive | undefined;
  return {
    name,
    processId: exporter.processId,
    round: async () => {
      // Not before: the exporter waits for a first request only so long.
      connection ??= await connectKeepAlive(port);
      const started = performance.now();
      const page = await connection.get("/metrics");
      const nanoseconds = (performance.now() - started) * 1e6;
      return { nanoseconds, phases: phasesIn(tailOfComplete(page, instances)) };
    },
    [Symbol.asyncDispose]: async () => {
      connection?.[Symbol.dispose]();
      await exporter[Symbol.asyncDispose]();
    },
  };
}

/** A page lacks something. */
export class IncompletePageError extends Error {}

/**
 * Returns the end of a page, which has the exporter's own metrics.
 *
 * @param instances how many instances a complete page has
 * @throws {IncompletePageError} when the page lacks something, which would be an unfair advantage
 */
export function tailOfComplete(page: Uint8Array, instances: number): string {
  const tail = new TextDecoder().decode(page.subarray(-TAIL_BYTES));
  const listed = /^libvirt_nova_exporter_instances (\d+)$/m.exec(tail)?.[1];
  const incomplete = [
    ...tail.matchAll(/^libvirt_nova_exporter_instances_incomplete\{reason="(\w+)"\} ([1-9]\d*)$/gm),
  ].map(([, reason, count]) => `${count} ${reason}`);
  if (Number(listed) === instances && incomplete.length === 0) return tail;
  const unsuccessful = new TextDecoder().decode(page)
    .match(/^libvirt_nova_instance_scrape_success\{.*\} 0$/gm);
  throw new IncompletePageError(
    `The page has ${listed} instances instead of ${instances}, and of them ${
      incomplete.join(", ") || "none"
    } incomplete: ${unsuccessful?.join(" ")}`,
  );
}

/** What the page says about its own making. */
function phasesIn(tail: string): Scrape["phases"] {
  return new Map(PHASES.map((phase) => {
    const pattern =
      `^libvirt_nova_exporter_scrape_phase_duration_seconds\\{phase="${phase}"\\} (.+)$`;
    const seconds = new RegExp(pattern, "m").exec(tail)?.[1];
    if (seconds === undefined) throw new Error(`The page does not tell of the phase "${phase}"`);
    return [phase, Number(seconds) * 1e9];
  }));
}

/** Starts a baseline. A round is measured by itself. */
export function startBaselineWay(program: string, name: BaselineName, uri: string): Way {
  const child = startCommand(program, [name, uri], { stdin: "piped", stdout: "piped" });
  const input = child.stdin.getWriter();
  const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const newline = new TextEncoder().encode("\n");

  async function readLine(): Promise<string> {
    let line = "";
    while (!line.endsWith("\n")) {
      const { value, done } = await output.read();
      if (done) throw new Error(`The baseline "${name}" has ended early`);
      line += value;
    }
    return line;
  }

  return {
    name,
    processId: child.pid,
    round: async () => {
      await input.write(newline);
      const [nanoseconds = NaN, made, failed] = (await readLine()).split(" ").map(Number);
      if (failed !== 0) {
        throw new Error(`Of ${made} calls of the baseline "${name}" ${failed} failed`);
      }
      return { nanoseconds, phases: NO_PHASES };
    },
    [Symbol.asyncDispose]: async () => {
      await input.close();
      await output.cancel();
      await child.status;
    },
  };
}
