import assert from "node:assert/strict";
import { COLLECTORS } from "../../src/metrics/mod.ts";
import {
  type AnsweredScrape,
  type ExporterProcess,
  startExporterProcess,
} from "./exporter_process.ts";
import { ensureGuestImage, KERNEL_COMMAND_LINE } from "./guest_image.ts";
import { guestDomainXml, novaMetadata } from "./guest_xml.ts";
import { ensureHypervisorHost } from "./host.ts";
import { type Hypervisor, type InitialGuest, startHypervisor } from "./hypervisor.ts";
import { startVirshShell } from "./virsh_shell.ts";
import { waitUntil } from "./wait_until.ts";

const host = await ensureHypervisorHost();

const SCRAPE_INTERVAL_MILLISECONDS = 100;
const BYTES_PER_MEBIBYTE = 1024 * 1024;

const INSTANCE_FAMILIES: readonly string[] = COLLECTORS.flatMap(({ families }) =>
  families.map(({ name }) => name)
);
const PREFIX = "libvirt_nova_instance_";

/** Families that every guest of a churn has once, whatever its driver. */
const WHOLE = ["cpu_time_total", "vcpu_count", "rxbytes", "txbytes", "rdbytes", "wrreq"];

/** A guest that comes and goes, and when, by the test's steady clock. */
interface PassingGuest {
  readonly name: string;
  readonly novaname: string;
  /** When the call that made it had returned. */
  born?: number;
  /** When the call that ends it was made. */
  dying?: number;
  /** When that call had returned. */
  dead?: number;
}

/** How to make guests come and go. */
interface ChurnOptions {
  /** The connection on which guests are made. */
  readonly uri: string;
  readonly directory: string;
  readonly seconds: number;
  /** How many guests are made at the same time. */
  readonly loops: number;
  /** How many guests each loop keeps alive. */
  readonly kept: number;
  /** The least time between two guests of a loop. */
  readonly intervalMilliseconds: number;
  /** The domain document of a guest; whatever it needs has to exist then. */
  documentOf(guest: PassingGuest, number: number): string;
  readonly createFlags?: string;
  /** Is called with each page of the churn. */
  readonly inspect?: (page: AnsweredScrape) => void;
}

const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, Math.max(0, milliseconds)));

const sum = (values: readonly number[]): number =>
  values.reduce((total, value) => total + value, 0);

/** Memory that a process has for itself, in bytes. */
function anonymousMemory(processId: number): number {
  const report = Deno.readTextFileSync(`/proc/${processId}/smaps_rollup`);
  return Number(/^Anonymous:\s+(\d+) kB/m.exec(report)?.[1]) * 1024;
}

function openFiles(processId: number): number {
  return [...Deno.readDirSync(`/proc/${processId}/fd`)].length;
}

/** The number of samples of each guest on a page, by family. */
function samplesByGuest(page: AnsweredScrape): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const family of INSTANCE_FAMILIES) {
    for (const { labels } of page.families.get(family)?.samples ?? []) {
      const name = labels["libvirtname"] ?? "";
      const families = found.get(name) ?? [];
      families.push(family);
      found.set(name, families);
    }
  }
  return found;
}

/** Holds a page to what was true while it was made: from `started` to `ended`. */
function judgePage(
  page: AnsweredScrape,
  guests: ReadonlyMap<string, PassingGuest>,
  started: number,
  ended: number,
): void {
  assert.equal(page.up, 1);
  for (const family of INSTANCE_FAMILIES) {
    for (const { labels } of page.families.get(family)?.samples ?? []) {
      const guest = guests.get(labels["libvirtname"] ?? "");
      if (guest === undefined) continue;
      const late = started - (guest.dead ?? Infinity);
      assert.ok(late <= 0, `${family} has "${guest.name}" ${late} ms after its end`);
      assert.equal(labels["novaname"], guest.novaname);
      assert.equal(labels["novaproject"], "churn");
      if (labels["cindervolume"] !== undefined) {
        assert.equal(labels["cindervolume"], `volume of ${guest.name}`);
      }
    }
  }
  const samples = samplesByGuest(page);
  for (const { name, born = Infinity, dying = Infinity } of guests.values()) {
    if (born > started || dying < ended) continue;
    const families = samples.get(name) ?? [];
    for (const family of WHOLE) {
      assert.equal(
        families.filter((one) => one === PREFIX + family).length,
        1,
        `${name} ${family}`,
      );
    }
    assert.equal(page.value(`${PREFIX}scrape_success`, { libvirtname: name }), 1, name);
  }
}

/**
 * Makes and ends guests and scrapes all the while; fails when a page is not right, or when the exporter keeps something.
 *
 * @returns how many guests have come and gone in each second
 */
async function churn(exporter: ExporterProcess, options: ChurnOptions): Promise<number> {
  const { seconds, loops, kept, intervalMilliseconds } = options;
  const guests = new Map<string, PassingGuest>();
  const begin = performance.now();
  const end = begin + seconds * 1000;
  let gone = 0;

  async function comeAndGo(): Promise<void> {
    await using shell = await Promise.resolve(startVirshShell(options.uri));
    const alive: PassingGuest[] = [];
    const finish = async (guest: PassingGuest): Promise<void> => {
      guest.dying = performance.now();
      await shell.run(`destroy ${guest.name}`);
      guest.dead = performance.now();
      gone++;
    };
    while (performance.now() < end) {
      const started = performance.now();
      const number = guests.size;
      const name = `churn-${number}`;
      const guest: PassingGuest = { name, novaname: `"${name}"` };
      guests.set(name, guest);
      const file = `${options.directory}/${name}.xml`;
      Deno.writeTextFileSync(file, options.documentOf(guest, number));
      await shell.run(`create ${file} ${options.createFlags ?? ""}`);
      guest.born = performance.now();
      alive.push(guest);
      const oldest = alive.length > kept ? alive.shift() : undefined;
      if (oldest !== undefined) await finish(oldest);
      Deno.removeSync(file);
      await sleep(intervalMilliseconds - (performance.now() - started));
    }
    for (const guest of alive) await finish(guest);
  }

  async function scrapeAllTheWhile(): Promise<{ readonly memory: number; readonly files: number }> {
    let memory = 0;
    let files = 0;
    while (performance.now() < end) {
      const started = performance.now();
      const page = await exporter.scrape();
      const ended = performance.now();
      judgePage(page, guests, started, ended);
      options.inspect?.(page);
      if (memory === 0 && ended - begin > seconds * 1000 / 3) {
        memory = anonymousMemory(exporter.processId);
        files = openFiles(exporter.processId);
      }
      await sleep(SCRAPE_INTERVAL_MILLISECONDS - (performance.now() - started));
    }
    return { memory, files };
  }

  const [{ memory, files }] = await Promise.all([
    scrapeAllTheWhile(),
    ...Array.from({ length: loops }, comeAndGo),
  ]);
  const started = performance.now();
  const page = await exporter.scrape();
  judgePage(page, guests, started, performance.now());
  const after = anonymousMemory(exporter.processId);
  console.log({
    gone,
    rate: gone / seconds,
    memory,
    after,
    files,
    filesAfter: openFiles(exporter.processId),
    log: exporter.logLines().length,
    collections: page.value("libvirt_nova_exporter_collections_total"),
  });
  console.log(exporter.logLines().slice(0, 40).join("\n"));
  console.log(
    page.families.get("libvirt_nova_exporter_errors_total"),
    page.families.get("libvirt_nova_exporter_libvirt_errors_total"),
  );
  assert.ok(
    after <= memory * 1.25 + 8 * BYTES_PER_MEBIBYTE,
    `memory went from ${memory} to ${after} bytes`,
  );
  await waitUntil(
    `the open files to be ${files} again`,
    5_000,
    () => openFiles(exporter.processId) === files || undefined,
  );
  for (const family of ["abandoned_calls", "quarantined"]) {
    const samples = page.families.get(`libvirt_nova_exporter_${family}`)?.samples ?? [];
    assert.equal(sum(samples.map(({ value }) => value)), 0, family);
  }
  assert.equal(page.value("libvirt_nova_exporter_errors_total", { kind: "internal" }), 0);
  assert.equal(page.value("libvirt_nova_exporter_connections_opened_total"), 1);
  return gone / seconds;
}

function metadataOf({ novaname }: PassingGuest): string {
  return novaMetadata({ version: "1.1", name: novaname, project: { id: "p", name: "churn" } });
}

/** A guest of libvirt's test driver, with the devices of a real one. */
function testDriverDocument(guest: PassingGuest, number: number): string {
  return guestDomainXml({
    name: guest.name,
    uuid: crypto.randomUUID(),
    memoryMebibytes: 96,
    processors: { current: 1, maximum: 1 },
    kernel: "/kernel",
    initramfs: "/initramfs",
    kernelCommandLine: "",
    disks: [{ target: "vda", file: `/${guest.name}.raw`, serial: `volume of ${guest.name}` }],
    interfaces: [{ target: `tap${number}`, macAddress: macAddress(number) }],
    balloonPeriodSeconds: undefined,
    consoleFile: `/${guest.name}.log`,
    metadata: metadataOf(guest),
  }).replace('<domain type="qemu">', '<domain type="test">');
}

function macAddress(number: number): string {
  const digits = number.toString(16).padStart(4, "0");
  return `fa:16:3e:02:${digits.slice(0, 2)}:${digits.slice(2)}`;
}

const image = await ensureGuestImage();
const STEADY: InitialGuest = {
  name: "instance-00000001",
  uuid: "0b7d5a5e-5b3f-4a71-9d0a-6f2f3ad0c001",
  disks: [{ target: "vda", serial: "0b1c2d3e-volume" }],
  interfaces: [{ target: "tap567a4527-b0", macAddress: "fa:16:3e:00:00:01" }],
  heartbeat: true,
  metadata: novaMetadata({ version: "1.1", name: "steady", project: { id: "p", name: "churn" } }),
};

if (host.available) {
  Deno.test("QEMU guests that come and go", async (context) => {
    await using hypervisor = await startHypervisor({ guests: [STEADY] });
    await hypervisor.waitForGuestReady(STEADY.name);
    await using exporter = await startExporterProcess(hypervisor.readOnlyUri);
    assert.equal((await exporter.scrape()).up, 1);
    const { directory } = hypervisor;
    await context.step("churn", async () => {
    const rate = await churn(exporter, {
      uri: hypervisor.readWriteUri,
      directory,
      seconds: 30,
      loops: 2,
      kept: 2,
      intervalMilliseconds: 0,
      createFlags: "--paused",
      documentOf: (guest, number) => {
        const file = `${directory}/disks/${guest.name}.raw`;
        Deno.writeTextFileSync(file, "");
        Deno.truncateSync(file, 16 * BYTES_PER_MEBIBYTE);
        return guestDomainXml({
          name: guest.name,
          uuid: crypto.randomUUID(),
          memoryMebibytes: 96,
          processors: { current: 1, maximum: 1 },
          ...image,
          kernelCommandLine: KERNEL_COMMAND_LINE,
          disks: [{ target: "vda", file, serial: `volume of ${guest.name}` }],
          interfaces: [{ target: `tap${number}`, macAddress: macAddress(number) }],
          balloonPeriodSeconds: 1,
          consoleFile: `${directory}/consoles/${guest.name}.log`,
          metadata: metadataOf(guest),
        });
      },
    });
    assert.ok(rate >= 1, `${rate} guests a second`);
    });
    assert.equal(await exporter.stop(), 0);
  });
}
