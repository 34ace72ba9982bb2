import { StepError } from "../testing/progress.ts";
import { ROOT } from "../testing/set_up.ts";
import { messageOf } from "../src/text.ts";

/** Path of the file that the benchmark writes, from the project's folder. */
export const COSTS_PATH = "docs/collector_costs.json";

/** What a collector costs at each scrape. */
export interface CollectorCost {
  /** Time by which it makes a scrape longer, for each instance. */
  readonly wallMillisecondsPerInstance: number;
  /** Processor time of the exporter, libvirt's daemon and QEMU together, for each instance. */
  readonly cpuMillisecondsPerInstance: number;
}

/** What is known about the costs. */
export interface CollectorCosts {
  /** How they were measured, as Markdown; empty when they were not. */
  readonly conditions: string;
  readonly collectors: ReadonlyMap<string, CollectorCost>;
}

/** Nothing was measured. */
export const NO_COSTS: CollectorCosts = { conditions: "", collectors: new Map() };

/**
 * Reads the costs that the benchmark has written; {@linkcode NO_COSTS} when it has not.
 *
 * @throws {StepError} when the file is not as it should be
 */
export async function readCollectorCosts(): Promise<CollectorCosts> {
  const text = await Deno.readTextFile(`${ROOT}/${COSTS_PATH}`).catch((error: unknown) => {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  });
  return text === undefined ? NO_COSTS : parseCollectorCosts(text);
}

/**
 * Reads the file's text: `{"conditions": "…", "collectors": {"cpu": {"wallMillisecondsPerInstance": 1,
 * "cpuMillisecondsPerInstance": 1}}}`.
 *
 * @throws {StepError} when it is not of that form
 */
export function parseCollectorCosts(text: string): CollectorCosts {
  const { conditions, collectors } = asObject(parseJson(text), "the file");
  if (typeof conditions !== "string") throw malformed('"conditions" is no text');
  const costs = Object.entries(asObject(collectors, '"collectors"')).map(([name, value]) => {
    const cost = asObject(value, `"${name}"`);
    const number = (key: keyof CollectorCost): number => {
      const found = cost[key];
      if (typeof found !== "number") throw malformed(`"${key}" of "${name}" is no number`);
      return found;
    };
    return [name, {
      wallMillisecondsPerInstance: number("wallMillisecondsPerInstance"),
      cpuMillisecondsPerInstance: number("cpuMillisecondsPerInstance"),
    }] as const;
  });
  return { conditions, collectors: new Map(costs) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw malformed(messageOf(error));
  }
}

function asObject(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw malformed(`${what} is no object`);
  }
  return value as Readonly<Record<string, unknown>>;
}

function malformed(reason: string): StepError {
  return new StepError(`${COSTS_PATH} is malformed: ${reason}: let the benchmark write it anew`);
}
