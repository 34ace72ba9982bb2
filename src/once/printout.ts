import { Buffer } from "node:buffer";
import type { Collection } from "../scrape/collection.ts";
import type { OnceFormat } from "../config/flags.ts";
import { renderJson } from "./json.ts";
import { type Observation, overviewOf } from "./overview.ts";
import { renderTable, renderUnanswered } from "./table.ts";

/** Time between the two collections of a table. */
const RATE_MILLISECONDS = 1_000;

/** What `--once` prints, and whether libvirt answered. */
export interface Printout {
  readonly isUp: boolean;
  /** In UTF-8. */
  readonly chunks: Iterable<Uint8Array>;
}

/** What a printout needs. */
export interface Environment {
  collect(): Promise<Collection>;
  readonly clock: Clock;
  /** Width of the terminal that it is printed to; undefined when it is no terminal. */
  readonly terminalColumns: number | undefined;
}

/** Tells the time and lets it pass. */
export interface Clock {
  /** When the values of a collection were asked for, in milliseconds of a steady clock. */
  measuredAt(collection: Collection): number;
  /** Milliseconds of Unix time. */
  unixMilliseconds(): number;
  wait(milliseconds: number): Promise<void>;
}

/** Collects, and makes what is printed of it in this format. */
export async function printout(format: OnceFormat, environment: Environment): Promise<Printout> {
  if (format === "table") return await tablePrintout(environment);
  const collection = await environment.collect();
  const { isUp } = collection.findings;
  return { isUp, chunks: format === "json" ? jsonChunks(collection) : collection.page(format) };
}

function* jsonChunks(collection: Collection): Generator<Uint8Array> {
  for (const text of renderJson(collection)) yield Buffer.from(text);
}

/** Rates need two collections. When libvirt does not answer the second time, what it said first is shown without rates. */
async function tablePrintout(environment: Environment): Promise<Printout> {
  const { clock, terminalColumns } = environment;
  const print = (isUp: boolean, text: string): Printout => ({ isUp, chunks: [Buffer.from(text)] });
  const first = await observe(environment);
  const { isUp, reason } = first.findings;
  if (!isUp) return print(false, renderUnanswered(reason, terminalColumns));
  await clock.wait(RATE_MILLISECONDS);
  const second = await observe(environment);
  const again = second.findings;
  if (again.isUp) return print(true, renderTable(overviewOf(first, second), terminalColumns));
  const overview = overviewOf(undefined, first);
  const note = `There are no rates, for libvirt did not answer a second time: ${again.reason}`;
  const notes = [...overview.notes, note];
  return print(false, renderTable({ ...overview, notes }, terminalColumns));
}

async function observe({ collect, clock }: Environment): Promise<Observation> {
  const collection = await collect();
  return {
    findings: collection.findings,
    // Not when it ended: a guest that hangs holds up its end, but not the values of the others.
    steadySeconds: clock.measuredAt(collection) / 1_000,
    unixSeconds: clock.unixMilliseconds() / 1_000,
  };
}
