/**
 * What has to hold for every page while something is the matter with a guest or a daemon, and after it.
 *
 * @module
 */

import assert from "node:assert/strict";
import {
  type AnsweredScrape,
  assertInTime,
  type ExporterProcess,
} from "../../testing/exporter_process.ts";
import { pause, waitUntil } from "../../testing/wait_until.ts";
import { type Hypervisor, type InitialGuest } from "../../testing/libvirt/hypervisor.ts";
import { valuesBySeries } from "./expected_samples.ts";
import { novaMetadata } from "../../testing/libvirt/guest_xml.ts";
import { outputOf } from "../../testing/command.ts";
import { busyWorkers } from "./workers.ts";

const PREFIX = "libvirt_nova_instance_";
const START_BOUND_MILLISECONDS = 20_000;
const SCRAPE_INTERVAL_MILLISECONDS = 1_000;
const SHOWN_SERIES = 5;

/** The exporter's default for the calls that it may leave unanswered, and two that may be under way. */
const MAXIMUM_WORKERS = 5 + 2;
/** The question how many workers are busy takes one itself. */
const OF_THE_QUESTION = 1;

/** A fault, and who must not notice it. */
export interface FaultWatch {
  readonly hypervisor: Hypervisor;
  readonly exporter: ExporterProcess;
  /** A page from before the fault, with everything on it. */
  readonly reference: AnsweredScrape;
  /** libvirt's names of the guests that have nothing to do with the fault. */
  readonly uninvolved: readonly string[];
  /** Workers of libvirtd that others than the exporter keep busy; 0 when left out. */
  readonly othersWorkers?: number;
}

/** Guests that never boot, with a disk and a network card: they cost no CPU and answer every question. */
export function pausedGuests(count: number): readonly InitialGuest[] {
  return Array.from({ length: count }, (_, number) => ({
    name: `instance-${String(number).padStart(8, "0")}`,
    start: "paused",
    disks: [{ target: "vda", serial: `volume-${number}` }],
    interfaces: [{
      target: `tappaused${number}`,
      macAddress: `fa:16:3e:00:03:${number.toString(16).padStart(2, "0")}`,
    }],
    metadata: novaMetadata({
      version: "1.1",
      name: `paused-${number}`,
      project: { id: "p", name: "faults" },
    }),
  }));
}

/** What the page says of whether a guest is complete. */
export function successOf(page: AnsweredScrape, libvirtname: string): number | undefined {
  return page.value(`${PREFIX}scrape_success`, { libvirtname });
}

function guestsOnPage(page: AnsweredScrape): readonly string[] {
  return page.labelValues(`${PREFIX}scrape_success`, "libvirtname");
}

/** How many instances are incomplete for a reason. */
export function incompleteBecause(page: AnsweredScrape, reason: string): number | undefined {
  return page.value("libvirt_nova_exporter_instances_incomplete", { reason });
}

/** Scrapes until these guests, and no others, are complete, and returns that page. */
export function pageWithAll(
  exporter: ExporterProcess,
  guests: readonly string[],
): Promise<AnsweredScrape> {
  return waitUntil("all guests to be complete", async () => {
    const page = await exporter.scrape();
    const isWhole = guestsOnPage(page).length === guests.length &&
      guests.every((name) => successOf(page, name) === 1);
    return isWhole ? page : undefined;
  }, START_BOUND_MILLISECONDS);
}

/** The series about a guest. */
function seriesOf(page: AnsweredScrape, guest: string): readonly string[] {
  const all = valuesBySeries(page, (family) => family.startsWith(PREFIX));
  return [...all.keys()].filter((series) => series.includes(`["libvirtname","${guest}"]`));
}

/** Fails unless guests are complete, and have all series that a page from before the fault has of them. */
export function assertWhole(
  page: AnsweredScrape,
  reference: AnsweredScrape,
  guests: readonly string[],
): void {
  assert.equal(page.up, 1);
  const incomplete = guests.filter((guest) => successOf(page, guest) !== 1);
  assert.deepEqual(incomplete, [], "These guests are not complete");
  const missing = guests.flatMap((guest) => {
    const present = new Set(seriesOf(page, guest));
    return seriesOf(reference, guest).filter((series) => !present.has(series));
  });
  assert.deepEqual(missing.slice(0, SHOWN_SERIES), [], `${missing.length} series are missing`);
}

/** Scrapes while the fault lasts; fails when anybody else can notice it. */
export async function scrapeInFault(watch: FaultWatch): Promise<AnsweredScrape> {
  const page = await watch.exporter.scrape();
  assertInTime(page);
  assertWhole(page, watch.reference, watch.uninvolved);
  const busy = await busyWorkers(watch.hypervisor);
  const allowed = MAXIMUM_WORKERS + OF_THE_QUESTION + (watch.othersWorkers ?? 0);
  assert.ok(busy <= allowed, `${busy} workers of libvirtd are busy, ${allowed} may be`);
  return page;
}

/** Does something once a second, as Prometheus may scrape, and returns what came of each time. */
export async function eachSecond<Value>(
  times: number,
  work: (time: number) => Promise<Value>,
): Promise<readonly Value[]> {
  const results: Value[] = [];
  for (let time = 0; time < times; time++) {
    const started = performance.now();
    results.push(await work(time));
    await pause(started + SCRAPE_INTERVAL_MILLISECONDS - performance.now());
  }
  return results;
}

/**
 * Fails unless one of the next two scrapes has these guests and no others, and everything of them; returns that page.
 *
 * @param assertMore what else has to hold for it
 */
export async function assertBackInTwoScrapes(
  { exporter, reference }: Pick<FaultWatch, "exporter" | "reference">,
  guests: readonly string[],
  assertMore: (page: AnsweredScrape) => void = () => {},
): Promise<AnsweredScrape> {
  const scrape = async (): Promise<AnsweredScrape> => {
    const page = await exporter.scrape();
    assertWhole(page, reference, guests);
    assert.deepEqual(new Set(guestsOnPage(page)), new Set(guests));
    assertMore(page);
    return page;
  };
  return await scrape().catch(async () => {
    await pause(SCRAPE_INTERVAL_MILLISECONDS);
    return await scrape();
  });
}

/** Fails unless the log has one line of when a fault began, and one of when it was over. */
export function assertToldOnce(exporter: ExporterProcess): void {
  const lines = exporter.logLines().filter((line) => !line.includes("message=Started"));
  const [begun = "", over = ""] = lines;
  assert.equal(lines.length, 2, lines.join("\n"));
  assert.doesNotMatch(begun, /libvirt is not available/);
  const message = /message=(?:"([^"]*)"|(\S+))/.exec(begun)?.slice(1).find(Boolean);
  assert.ok(message !== undefined && over.includes(`Over: ${message}`), lines.join("\n"));
}

/** Defines a domain that nobody starts, as an operator would; fails when that takes longer than it may. */
export async function defineInTime(
  hypervisor: Hypervisor,
  name: string,
  boundMilliseconds: number,
): Promise<void> {
  const file = `${hypervisor.directory}/${name}.xml`;
  const type = "<os><type>hvm</type></os>";
  const document = `<domain type="qemu"><name>${name}</name><memory>1024</memory>${type}</domain>`;
  Deno.writeTextFileSync(file, document);
  const command = ["--quiet", "--connect", hypervisor.readWriteUri, "define", file];
  await outputOf("virsh", command, { boundMilliseconds });
}
