import assert from "node:assert/strict";
import { scrape } from "../../src/metrics/collectors/scrape.ts";
import { seed } from "../../src/metrics/collectors/seed.ts";
import { COLLECTORS, SWITCHED_COLLECTORS } from "../../src/metrics/mod.ts";
import type { ParsedSample } from "../../testing/parse_page.ts";
import {
  type AnsweredScrape,
  type ExporterProcess,
  startExporterProcess,
} from "../../testing/exporter_process.ts";
import {
  ensureGuestImage,
  type GuestImage,
  KERNEL_COMMAND_LINE,
} from "../../testing/libvirt/guest_image.ts";
import { pause, waitUntil } from "../../testing/wait_until.ts";
import { countDescriptors, memoryOf } from "../../testing/processes.ts";
import { startVirshShell } from "../../testing/libvirt/virsh_shell.ts";
import { guestDomainXml, novaMetadata } from "../../testing/libvirt/guest_xml.ts";
import {
  type Hypervisor,
  type InitialGuest,
  startHypervisor,
} from "../../testing/libvirt/hypervisor.ts";
import { ensureHypervisorHost } from "../../testing/libvirt/host.ts";

const host = await ensureHypervisorHost();

const CHURN_SECONDS = 60;
const SCRAPE_INTERVAL_MILLISECONDS = 100;
const MEMORY_INTERVAL_MILLISECONDS = 500;
const BYTES_PER_MEBIBYTE = 1024 * 1024;

const PREFIX = "libvirt_nova_instance_";
const INSTANCE_FAMILIES: readonly string[] = COLLECTORS.flatMap(({ families }) =>
  families.map(({ name }) => name)
);

const ALL_ON = SWITCHED_COLLECTORS.map(({ name }) => `--collector.${name}`);

/** Families of which every guest of a churn has one sample, whatever its driver. */
const WHOLE = ["cpu_time_total", "vcpu_count", "rxbytes", "txbytes", "rdbytes", "wrreq"];

/** A guest that comes and goes, and when, in milliseconds of a steady clock. */
interface PassingGuest {
  readonly name: string;
  readonly number: number;
  /** When the call that made it had returned. */
  born?: number;
  /** When the call that ended it was made. */
  dying?: number;
  /** When that call had returned. */
  dead?: number;
}

/** How guests come and go. */
interface Churn {
  /** Where they are made and ended. */
  readonly uri: string;
  /** Where their documents are written. */
  readonly directory: string;
  /** How many are made at the same time. */
  readonly loops: number;
  /** How many each loop keeps alive. */
  readonly kept: number;
  /** The least time between the beginnings of two guests of a loop. */
  readonly intervalMilliseconds: number;
  /** Options of `virsh create`. */
  readonly createOptions: readonly string[];
  /** The domain document of a guest, whose files have to exist from then on. */
  documentOf(guest: PassingGuest): string;
  /** Looks at each page. */
  readonly inspect?: (page: AnsweredScrape) => void;
}

const novanameOf = ({ name }: PassingGuest): string => `"${name}"`;
const volumeOf = ({ name }: PassingGuest): string => `volume of ${name}`;

/** The samples about instances, by libvirt's name of the instance. */
function samplesByGuest(page: AnsweredScrape): ReadonlyMap<string, readonly ParsedSample[]> {
  const samples = INSTANCE_FAMILIES.flatMap((family) => page.families.get(family)?.samples ?? []);
  return Map.groupBy(samples, ({ labels }) => labels["libvirtname"] ?? "");
}

/** Holds a page to what was true for all the time in which it was made: from `started` to `ended`. */
function judgePage(
  page: AnsweredScrape,
  guests: readonly PassingGuest[],
  started: number,
  ended: number,
): void {
  assert.equal(page.up, 1);
  const samplesOf = samplesByGuest(page);
  for (const guest of guests) {
    const samples = samplesOf.get(guest.name) ?? [];
    const { born = Infinity, dying = Infinity, dead = Infinity } = guest;
    if (dead < started) {
      assert.deepEqual(samples, [], `${started - dead} ms after the end of "${guest.name}"`);
    }
    for (const { labels } of samples) {
      const expected = {
        ...labels,
        novaname: novanameOf(guest),
        novaproject: "churn",
        ...("cindervolume" in labels ? { cindervolume: volumeOf(guest) } : {}),
        ...("macaddr" in labels ? { macaddr: macAddressOf(guest) } : {}),
      };
      assert.deepEqual(labels, expected);
    }
    if (born < started && dying > ended) {
      for (const family of WHOLE) {
        const count = samples.filter(({ name }) => name === PREFIX + family).length;
        assert.equal(
          count,
          1,
          `${count} samples of ${family} for "${guest.name}"; incomplete: ${incompleteOf(page)}`,
        );
      }
      const success = samples.find(({ name }) => name === `${PREFIX}scrape_success`);
      assert.equal(success?.value, 1, `${guest.name}; incomplete: ${incompleteOf(page)}`);
    }
  }
}

/** How many instances are not complete, by reason, and what failed so far. */
function incompleteOf({ families }: AnsweredScrape): string {
  const names = ["instances_incomplete", "scrape_errors_total", "libvirt_errors_total"];
  return names.flatMap((name) => families.get(`libvirt_nova_exporter_${name}`)?.samples ?? [])
    .filter(({ value }) => value !== 0)
    .map(({ name, labels, value }) => `${name}${JSON.stringify(labels)} ${value}`).join(", ");
}

/** What the parts of a churn share while it goes on. Times are milliseconds of a steady clock. */
interface RunningChurn {
  readonly exporter: ExporterProcess;
  readonly options: Churn;
  /** All guests so far, those that are gone as well. */
  readonly guests: PassingGuest[];
  readonly begin: number;
  readonly end: number;
}

/**
 * Makes and ends guests for a minute, and scrapes all the while. Fails when a page is not right, or when the exporter keeps
 * something of guests that are gone.
 *
 * @returns how many guests have come and gone in each second
 */
async function churn(exporter: ExporterProcess, options: Churn): Promise<number> {
  const begin = performance.now();
  const end = begin + CHURN_SECONDS * 1000;
  const running: RunningChurn = { exporter, options, guests: [], begin, end };
  await scrapeOnce(running);
  const files = countDescriptors(exporter.processId);
  const [{ early, late }] = await Promise.all([
    watchMemory(running),
    scrapeAllTheWhile(running),
    ...Array.from({ length: options.loops }, () => comeAndGo(running)),
  ]);
  const page = await scrapeOnce(running);
  assert.ok(
    late <= early * 1.25 + 8 * BYTES_PER_MEBIBYTE,
    `The memory went from ${early} to ${late} bytes`,
  );
  await waitUntil(
    `the exporter to have ${files} files open again`,
    () => countDescriptors(exporter.processId) === files || undefined,
    5_000,
  );
  assertNothingFailed(page);
  return running.guests.length / CHURN_SECONDS;
}

/** Makes one guest after the other, and ends the oldest when there are more than are kept. */
async function comeAndGo({ options, guests, end }: RunningChurn): Promise<void> {
  await using shell = startVirshShell(options.uri);
  const alive: PassingGuest[] = [];
  const finish = async (guest: PassingGuest): Promise<void> => {
    guest.dying = performance.now();
    await shell.run(`destroy ${guest.name}`);
    guest.dead = performance.now();
  };
  while (performance.now() < end) {
    const started = performance.now();
    const guest: PassingGuest = { name: `churn-${guests.length}`, number: guests.length };
    guests.push(guest);
    const file = `${options.directory}/${guest.name}.xml`;
    Deno.writeTextFileSync(file, options.documentOf(guest));
    await shell.run(["create", file, ...options.createOptions].join(" "));
    guest.born = performance.now();
    alive.push(guest);
    const oldest = alive.length > options.kept ? alive.shift() : undefined;
    if (oldest !== undefined) await finish(oldest);
    await pause(started + options.intervalMilliseconds - performance.now());
  }
  for (const guest of alive) await finish(guest);
}

async function scrapeOnce({ exporter, options, guests }: RunningChurn): Promise<AnsweredScrape> {
  const started = performance.now();
  const page = await exporter.scrape();
  judgePage(page, guests, started, performance.now());
  options.inspect?.(page);
  return page;
}

async function scrapeAllTheWhile(running: RunningChurn): Promise<void> {
  while (performance.now() < running.end) {
    const next = performance.now() + SCRAPE_INTERVAL_MILLISECONDS;
    await scrapeOnce(running);
    await pause(next - performance.now());
  }
}

/**
 * The least memory of the exporter in the second and in the last third, in bytes. A collector of garbage makes a saw of the
 * memory, so the low points are what can be compared.
 */
async function watchMemory(
  { exporter, begin, end }: RunningChurn,
): Promise<{ readonly early: number; readonly late: number }> {
  const isLastThird = (time: number): boolean => time > begin + (end - begin) * 2 / 3;
  const isFirstThird = (time: number): boolean => time < begin + (end - begin) / 3;
  let [early, late] = [Infinity, Infinity];
  while (performance.now() < end) {
    const now = performance.now();
    const memory = memoryOf(exporter.processId).anonymous;
    if (isLastThird(now)) late = Math.min(late, memory);
    else if (!isFirstThird(now)) early = Math.min(early, memory);
    await pause(MEMORY_INTERVAL_MILLISECONDS);
  }
  return { early, late };
}

function assertNothingFailed(page: AnsweredScrape): void {
  const own = (family: string, labels?: Readonly<Record<string, string>>): number | undefined =>
    page.value(`libvirt_nova_exporter_${family}`, labels);
  assert.equal(own("quarantined"), 0);
  assert.equal(own("abandoned_calls", { need: "monitor" }), 0);
  assert.equal(own("abandoned_calls", { need: "none" }), 0);
  assert.equal(own("connections_opened_total"), 1);
  for (
    const kind of ["survey", "definition", "definition_content", "call", "timeout", "internal"]
  ) {
    assert.equal(own("errors_total", { kind }), 0, kind);
  }
}

function macAddressOf({ number }: PassingGuest): string {
  const digits = number.toString(16).padStart(4, "0");
  return `fa:16:3e:02:${digits.slice(0, 2)}:${digits.slice(2)}`;
}

function diskFileOf(guest: PassingGuest, directory: string): string {
  return `${directory}/disks/${guest.name}.raw`;
}

function documentOf(guest: PassingGuest, directory: string, image: GuestImage): string {
  return guestDomainXml({
    name: guest.name,
    uuid: crypto.randomUUID(),
    memoryMebibytes: 96,
    processors: { current: 1, maximum: 1 },
    ...image,
    kernelCommandLine: KERNEL_COMMAND_LINE,
    disks: [{ target: "vda", file: diskFileOf(guest, directory), serial: volumeOf(guest) }],
    // As the names that Nova gives, none of them ever comes back.
    interfaces: [{ target: `tap${guest.number}`, macAddress: macAddressOf(guest) }],
    balloonPeriodSeconds: 1,
    consoleFile: `${directory}/consoles/${guest.name}.log`,
    metadata: novaMetadata({
      version: "1.1",
      name: novanameOf(guest),
      project: { id: "p", name: "churn" },
    }),
  });
}

/**
 * Ten guests a second and more. They are the test driver's, in the same daemon, because QEMU cannot do that everywhere: even a
 * guest without memory, disk and network takes 0.27 s of processor time to start and end, so that two processors make
 * fewer than six a second when they have nothing else to do.
 */
async function churnOfTestDriver(hypervisor: Hypervisor, image: GuestImage): Promise<number> {
  // All connections of one daemon to this name see the same guests, as long as there is one.
  const uri = `test+unix:///default?socket=${hypervisor.directory}/sockets/libvirt-sock`;
  await using exporter = await startExporterProcess(`${uri}-ro`);
  const directory = `${hypervisor.directory}/churn`;
  Deno.mkdirSync(directory);
  const rate = await churn(exporter, {
    uri,
    directory,
    loops: 2,
    kept: 10,
    intervalMilliseconds: 80,
    createOptions: [],
    documentOf: (guest) =>
      documentOf(guest, directory, image).replace('type="qemu"', 'type="test"'),
  });
  assert.equal(exporter.logLines().filter((line) => !line.includes("level=info")).length, 0);
  assert.equal(await exporter.stop(), 0);
  return rate;
}

/** As many guests as the processors make. Their ends meet calls at their monitors. */
async function churnOfQemu(
  hypervisor: Hypervisor,
  exporter: ExporterProcess,
  image: GuestImage,
): Promise<number> {
  const { directory } = hypervisor;
  const steadySeries = seriesOf(await exporter.scrape(), STEADY.name);
  let last = 0;
  return await churn(exporter, {
    uri: hypervisor.readWriteUri,
    directory,
    loops: 2,
    kept: 2,
    intervalMilliseconds: 0,
    createOptions: ["--paused"],
    documentOf: (guest) => {
      const file = diskFileOf(guest, directory);
      Deno.writeTextFileSync(file, "");
      Deno.truncateSync(file, BYTES_PER_MEBIBYTE);
      return documentOf(guest, directory, image);
    },
    inspect: (page) => {
      const series = seriesOf(page, STEADY.name);
      assert.deepEqual([...series.keys()], [...steadySeries.keys()]);
      const valueOf = (family: string): number =>
        page.value(PREFIX + family, { libvirtname: STEADY.name }) ?? NaN;
      assert.equal(valueOf("scrape_success"), 1);
      const time = valueOf("cpu_time_total");
      assert.ok(time >= last, `The steady guest's time went from ${last} to ${time}`);
      last = time;
    },
  });
}

/** A guest that is there all the time, and uses its devices. */
const STEADY: InitialGuest = {
  name: "instance-00000001",
  uuid: "0b7d5a5e-5b3f-4a71-9d0a-6f2f3ad0c001",
  disks: [{ target: "vda", serial: "0b1c2d3e-volume" }],
  interfaces: [{ target: "tap567a4527-b0", macAddress: "fa:16:3e:00:00:01" }],
  heartbeat: true,
  metadata: novaMetadata({ version: "1.1", name: "steady", project: { id: "p", name: "churn" } }),
};

/** STEADY as another image was rebuilt on it, as far as libvirt sees that. */
const REBUILT: InitialGuest = {
  ...STEADY,
  disks: [{ target: "vda" }, { target: "vdb", serial: "4f5a6b7c-volume" }],
  interfaces: [{ target: "tap567a4527-b0", macAddress: "fa:16:3e:00:00:02" }],
  metadata: novaMetadata({ version: "1.1", name: "rebuilt", project: { id: "p", name: "churn" } }),
};

/** What a guest has on a page: the value of each series. */
function seriesOf(page: AnsweredScrape, guest: string): ReadonlyMap<string, number> {
  return new Map(
    (samplesByGuest(page).get(guest) ?? [])
      .map(({ name, labels, value }) => [`${name} ${JSON.stringify(labels)}`, value]),
  );
}

if (host.available) {
  Deno.test("guests that come and go leave nothing behind, on a page or in memory", async (context) => {
    const image = await ensureGuestImage();
    await using hypervisor = await startHypervisor({ guests: [STEADY] });
    await hypervisor.waitForGuestReady(STEADY.name);
    await using exporter = await startExporterProcess(hypervisor.readOnlyUri, ALL_ON);
    await waitUntil("the balloon to report", async () => {
      const page = await exporter.scrape();
      return page.labelValues(`${PREFIX}memory_used_kb`, "libvirtname").length > 0 || undefined;
    }, 30_000);

    await context.step(
      "every page is right while QEMU guests, and more than ten others a second, come and go",
      async () => {
        const [ofTestDriver, ofQemu] = await Promise.all([
          churnOfTestDriver(hypervisor, image),
          churnOfQemu(hypervisor, exporter, image),
        ]);
        assert.ok(ofTestDriver >= 10, `${ofTestDriver} guests a second`);
        assert.ok(ofQemu > 0.5, `${ofQemu} guests a second`);
      },
    );

    const restart = async (): Promise<void> => {
      const { virsh } = hypervisor;
      const run = await virsh("domid", STEADY.name);
      await hypervisor.destroyGuest(STEADY.name);
      await hypervisor.startGuest(STEADY.name, { paused: true });
      assert.notEqual(await virsh("domid", STEADY.name), run);
    };

    await context.step(
      "counts anew for the same series when a guest is started again",
      async () => {
        const before = seriesOf(await exporter.scrape(), STEADY.name);
        await restart();
        const after = seriesOf(await exporter.scrape(), STEADY.name);
        // What the balloon tells comes when the guest has booted; its state is another one.
        const others = (samples: ReadonlyMap<string, number>): string[] =>
          [...samples.keys()].filter((series) => !/_memory_|_state_info /.test(series));
        assert.deepEqual(others(after), others(before));
        for (const [series, value] of after) {
          const earlier = before.get(series) ?? NaN;
          const [, family = ""] = /^libvirt_nova_instance_(\w+)/.exec(series) ?? [];
          if (/^cpu_(time|seconds)_total/.test(family)) {
            assert.ok(0 < value && value < earlier, series);
          }
          // The guest's processors have not run yet: whatever counts what it does is 0.
          if (/^(txbytes|rd|wr|block_\w+_(bytes|requests)_total)/.test(family)) {
            assert.ok(value === 0 && earlier > 0, series);
          }
        }
      },
    );

    await context.step(
      "takes the new labels of a guest that is defined and started anew",
      async () => {
        await exporter.scrape();
        await hypervisor.defineGuest(REBUILT);
        await restart();
        const samples = samplesByGuest(await exporter.scrape()).get(STEADY.name) ?? [];
        for (const { name, labels } of samples) {
          const expected = {
            ...labels,
            novaname: "rebuilt",
            novaproject: "churn",
            ...("targetdev" in labels
              ? {
                cindervolume: labels["targetdev"] === "vda" ? "" : "4f5a6b7c-volume",
                disktype: "file",
              }
              : {}),
            ...("iface" in labels ? { iface: "tap567a4527-b0", macaddr: "fa:16:3e:00:00:02" } : {}),
          };
          assert.deepEqual(labels, expected, name);
        }
        assert.equal(samples.filter(({ name }) => name === `${PREFIX}rdbytes`).length, 2);
        const seeds = new Set(
          [seed, scrape].flatMap(({ families }) => families.map(({ name }) => name)),
        );
        assert.equal(samples.filter(({ name }) => seeds.has(name)).length, 4 + 2 + 2 * 4);
      },
    );

    await context.step("ends with 0 when it is told to", async () => {
      assert.equal(await exporter.stop(), 0);
    });
  });
}
