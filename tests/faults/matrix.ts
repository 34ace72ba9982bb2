/**
 * Goes through the cells of the fault matrix and says what was wrong in each.
 *
 * @module
 */

import { inspect } from "node:util";
import { type ParsedFamily, parsePage } from "../../testing/parse_page.ts";
import { pause, waitUntil } from "../../testing/wait_until.ts";
import {
  type Cell,
  describeCell,
  faultsOf,
  isOverAtOnce,
  isReconnecting,
  mayMiss,
  mustSucceed,
  takesAll,
} from "./cells.ts";
import type { World } from "./functions.ts";
import { describeSeries, missing, type Series, seriesOf, SUCCESS } from "./page.ts";
import type { PresentFault } from "./stand_in.ts";
import {
  type Daemon,
  DOMAINS,
  type Holdings,
  startSubject,
  type Subject,
  TIMEOUT_MILLISECONDS,
} from "./subject.ts";

/** What was wrong in a cell; nothing when all was well. */
export type Findings = readonly string[];

/** The findings of each cell, as they come. */
export type Outcomes = ReadonlyMap<Cell, Promise<Findings>>;

/** A page, as far as it matters here. */
interface Page {
  readonly isUp: boolean;
  readonly series: ReadonlyMap<string, Series>;
  /** Domains by whether all that was asked about them was answered. */
  readonly successes: ReadonlyMap<string, boolean>;
  /** What was given up and has not come back. */
  readonly givenUp: number;
}

/** How an exporter is when all is well. */
interface Health {
  readonly series: ReadonlyMap<string, Series>;
  readonly holdings: Holdings;
}

interface Ready {
  readonly subject: Subject;
  readonly health: Health;
}

/** Far more than the time that a scrape may take. */
const PAGE_BOUND_MILLISECONDS = 3 * TIMEOUT_MILLISECONDS;

const SETTLE_BOUND_MILLISECONDS = 10_000;

const FELT_BOUND_MILLISECONDS = 2_000;

/** An exporter does not connect twice within a second. */
const RECONNECTION_MILLISECONDS = 1_100;

/** Threads of the runtime and of the pool that start when they are first needed. */
const SPARE_THREADS = 4;

/** A connection of the test itself. */
const SPARE_DESCRIPTORS = 2;

/** How often a cell is tried in which libvirtd itself crashes. */
const MAXIMUM_ATTEMPTS = 5;

/** Enough for the exporter's threads and connections to be there. */
const WARM_UP_SCRAPES = 10;

const GIVEN_UP = ["libvirt_nova_exporter_abandoned_calls", "libvirt_nova_exporter_quarantined"];

/**
 * Goes through cells, several side by side, as most of a cell is waiting.
 *
 * @param library the folder of the stand-in
 * @returns the findings of each cell, as they come, and a promise that is kept when all exporters have ended
 */
export function runCells(
  library: string,
  cells: readonly Cell[],
  { daemon, sideBySide }: { daemon?: Daemon; sideBySide: number },
): { readonly findings: Outcomes; readonly ended: Promise<void> } {
  const outcomes = new Map(cells.map((cell) => [cell, Promise.withResolvers<Findings>()]));
  // Those of a world together, since an exporter serves one world.
  const remaining = [...cells].sort((one, other) => order(one).localeCompare(order(other)))
    .values();
  const healths = new Map<World, Health>();
  async function work(): Promise<void> {
    let ready: (Ready & { readonly world: World }) | undefined;
    const end = async (): Promise<void> => {
      await ready?.subject[Symbol.asyncDispose]();
      ready = undefined;
    };
    const run = async (cell: Cell): Promise<Findings> => {
      const { world } = cell;
      if (ready?.world !== world) await end();
      const known = healths.get(world);
      if (cell.isAtStart && known !== undefined) return runAtStart(library, cell, known, daemon);
      ready ??= { world, ...await startReady(library, world, daemon) };
      healths.set(world, ready.health);
      if (cell.isAtStart) return runAtStart(library, cell, ready.health, daemon);
      return runInTheMidst(cell, ready);
    };
    const tryCell = async (cell: Cell): Promise<Findings> => {
      for (let attempt = 1;; attempt++) {
        const starts = await daemon?.starts();
        const findings = await run(cell).catch((
          error,
        ) => [`the test itself failed: ${inspect(error)}`]);
        if (findings.length === 0) return findings;
        // The next cell is not to suffer from what this one has left.
        await end();
        // libvirtd may crash when a client goes while it answers it: that is not what the cell is about.
        if (attempt === MAXIMUM_ATTEMPTS || starts === await daemon?.starts()) return findings;
      }
    };
    try {
      for (const cell of remaining) outcomes.get(cell)?.resolve(await tryCell(cell));
    } finally {
      await end();
    }
  }
  const ended = Promise.all(Array.from({ length: sideBySide }, work)).then(() => {});
  ended.catch((error) => outcomes.forEach(({ reject }) => reject(error)));
  return {
    findings: new Map([...outcomes].map(([cell, { promise }]) => [cell, promise])),
    ended,
  };
}

function order({ world, isAtStart }: Cell): string {
  return `${world} ${isAtStart ? 1 : 0}`;
}

async function startReady(library: string, world: World, daemon?: Daemon): Promise<Ready> {
  await using stack = new AsyncDisposableStack();
  const subject = stack.use(await startSubject(library, world, { daemon }));
  let page: Page | undefined;
  for (let scrape = 0; scrape < WARM_UP_SCRAPES; scrape++) page = await getPage(subject);
  if (page === undefined || !DOMAINS.every((domain) => page.successes.get(domain))) {
    throw new Error(`No page of an exporter that is well: ${subject.executable.errorOutput()}`);
  }
  stack.move();
  return { subject, health: { series: page.series, holdings: subject.holdings() } };
}

async function runInTheMidst(cell: Cell, { subject, health }: Ready): Promise<string[]> {
  if (isReconnecting(cell)) await pause(RECONNECTION_MILLISECONDS);
  const { own, occasion } = faultsOf(cell);
  const { standIn } = subject;
  const fault = standIn.bring(own);
  const others = occasion.map((one) => standIn.bring(one));
  const findings = await look(cell, subject, health);
  if (!await isFelt(fault)) findings.push("the call was never made");
  for (const one of [fault, ...others]) one.takeAway();
  return [...findings, ...await recover(subject, health)];
}

async function runAtStart(
  library: string,
  cell: Cell,
  health: Health,
  daemon?: Daemon,
): Promise<string[]> {
  const { own } = faultsOf(cell);
  await using subject = await startSubject(library, cell.world, { daemon, faults: [own] });
  const findings = await look(cell, subject, health);
  for (const fault of subject.present) {
    if (!await isFelt(fault)) findings.push("the call was never made");
    fault.takeAway();
  }
  return [...findings, ...await recover(subject, health)];
}

/** Gets pages while the fault is there. */
async function look(cell: Cell, subject: Subject, health: Health): Promise<string[]> {
  const pagesOf = new Map<string, number[]>();
  for (let number = 1; number <= pageCount(cell); number++) {
    let findings: readonly string[];
    try {
      findings = judge(cell, await getPage(subject), health);
    } catch (error) {
      findings = [String(error)];
    }
    for (const one of findings) pagesOf.set(one, [...(pagesOf.get(one) ?? []), number]);
  }
  const findings = [...pagesOf].map(([one, pages]) => `page ${pages.join(", ")}: ${one}`);
  const { status } = await subject.executable.get("/-/healthy");
  return status === 200 ? findings : [...findings, `/-/healthy answers ${status}`];
}

/** How many pages are got while a fault is there. */
function pageCount(cell: Cell): number {
  // The second page is that on which what was given up at the first is known.
  if (cell.happening === "hangs for ever") return 3;
  return isOverAtOnce(cell) && cell.row.occasion !== "reconnection" ? 1 : 2;
}

function judge(cell: Cell, page: Page, health: Health): string[] {
  const findings: string[] = [];
  if (!page.isUp && !takesAll(cell)) findings.push("up is 0");
  const lacking = missing(health.series, page.series).filter((one) => !mayMiss(cell, one));
  if (lacking.length > 0) findings.push(`lacks ${describeSeries(lacking)}`);
  const failed = [...page.successes].filter(([domain, success]) =>
    !success && mustSucceed(cell, domain)
  );
  if (failed.length > 0) findings.push(`no success for ${failed.map(([one]) => one).join(", ")}`);
  return findings;
}

/** Sees to it that all is as before within two scrapes after a fault's end. */
async function recover(subject: Subject, { series, holdings }: Health): Promise<string[]> {
  await subject.standIn.allReleased();
  let findings: string[] = [];
  for (let scrape = 1; scrape <= 2; scrape++) {
    findings = [];
    const page = await getPage(subject);
    if (!page.isUp) findings.push("afterwards: up is 0");
    const lacking = missing(series, page.series);
    if (lacking.length > 0) findings.push(`afterwards: lacks ${describeSeries(lacking)}`);
    const further = missing(page.series, series);
    if (further.length > 0) findings.push(`afterwards: has more, ${describeSeries(further)}`);
    const failed = [...page.successes.values()].filter((success) => !success);
    if (failed.length > 0) findings.push(`afterwards: ${failed.length} instances have no success`);
    if (page.givenUp > 0) findings.push(`afterwards: ${page.givenUp} calls or instances given up`);
    if (findings.length === 0) break;
  }
  // An exporter that is not well holds something else anyway.
  if (findings.length > 0) return findings;
  const difference = await settle(subject, holdings);
  return difference === "" ? [] : [`afterwards: holds ${difference}`];
}

/** Waits until a process holds what it held before, and says of what it holds another number in the end. */
async function settle(subject: Subject, before: Holdings): Promise<string> {
  const giveUpAt = performance.now() + SETTLE_BOUND_MILLISECONDS;
  while (true) {
    const now = subject.holdings();
    const difference = [
      now.threads > before.threads + SPARE_THREADS ? `${now.threads} threads` : "",
      now.descriptors > before.descriptors + SPARE_DESCRIPTORS
        ? `${now.descriptors} descriptors`
        : "",
      ...(["connections", "handles", "subscriptions"] as const)
        .map((what) => now[what] !== before[what] ? `${now[what]} ${what}` : ""),
    ].filter((one) => one !== "").join(", ");
    if (difference === "" || performance.now() > giveUpAt) return difference;
    await pause(20);
  }
}

/** Whether a fault is felt; a call that no page waits for may come after the page. */
function isFelt(fault: PresentFault): Promise<boolean> {
  const felt = (): true | undefined => fault.felt() > 0 || undefined;
  return waitUntil("the call", felt, FELT_BOUND_MILLISECONDS).catch(() => false);
}

async function getPage({ executable }: Subject): Promise<Page> {
  const signal = AbortSignal.timeout(PAGE_BOUND_MILLISECONDS);
  const { status, body } = await executable.get("/metrics", { signal });
  if (status !== 200) throw new Error(`the answer is ${status}`);
  const families = parsePage(body);
  const samples = (name: string): ParsedFamily["samples"] => families.get(name)?.samples ?? [];
  return {
    isUp: samples("libvirt_nova_up")[0]?.value === 1,
    series: seriesOf(families),
    successes: new Map(
      samples(SUCCESS).map(({ labels, value }) => [labels["libvirtname"] ?? "", value === 1]),
    ),
    givenUp: GIVEN_UP.flatMap(samples).reduce((sum, { value }) => sum + value, 0),
  };
}

/** The failed cells as a table, a line for each; empty when there are none. */
export async function failureTable(
  outcomes: Outcomes,
): Promise<string> {
  const rows: [call: string, cell: string, findings: string][] = [];
  for (const [cell, outcome] of outcomes) {
    const findings = await outcome;
    if (findings.length > 0) rows.push([cell.call, describeCell(cell), findings.join("; ")]);
  }
  const width = (column: 0 | 1): number => Math.max(...rows.map((row) => row[column].length));
  return rows.map(([call, cell, findings]) =>
    `${call.padEnd(width(0))}  ${cell.padEnd(width(1))}  ${findings}`
  ).join("\n");
}
