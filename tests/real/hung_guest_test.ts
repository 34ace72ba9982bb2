import assert from "node:assert/strict";
import { SWITCHED_COLLECTORS } from "../../src/metrics/mod.ts";
import {
  type AnsweredScrape,
  assertInTime,
  startExporterProcess,
} from "../../testing/exporter_process.ts";
import { pause, waitUntil } from "../../testing/wait_until.ts";
import { ensureHypervisorHost } from "../../testing/libvirt/host.ts";
import {
  type Hypervisor,
  type InitialGuest,
  startHypervisor,
} from "../../testing/libvirt/hypervisor.ts";
import { novaMetadata } from "../../testing/libvirt/guest_xml.ts";
import { outputOf } from "../../testing/command.ts";
import { busyWorkers } from "./workers.ts";

const host = await ensureHypervisorHost();

/** Families that need no monitor: a hung guest keeps them. */
const MONITOR_FREE = ["cpu_time_total", "vcpu_count", "rxbytes", "txbytes"];
/** Families that need the guest's monitor. */
const MONITOR_BOUND = ["rdbytes", "wrreq"];

/** The exporter's default. */
const MAXIMUM_ABANDONED = 5;

/** Long for a virsh that is served, short for one that waits for a hung guest. */
const VIRSH_BOUND_MILLISECONDS = 2_000;

const nameOf = (number: number): string => `instance-${String(number).padStart(8, "0")}`;

/** Paused guests: they cost no CPU and answer every question. */
function pausedGuests(count: number): InitialGuest[] {
  return Array.from({ length: count }, (_, number) => ({
    name: nameOf(number),
    start: "paused",
    disks: [{ target: "vda", serial: `volume-${number}` }],
    interfaces: [{
      target: `taphung${number}`,
      macAddress: `fa:16:3e:00:01:${number.toString(16).padStart(2, "0")}`,
    }],
    metadata: novaMetadata({
      version: "1.1",
      name: `hung-${number}`,
      project: { id: "p", name: "storage" },
    }),
  }));
}

function signal(hypervisor: Hypervisor, numbers: readonly number[], name: Deno.Signal): void {
  for (const number of numbers) Deno.kill(hypervisor.guestPid(nameOf(number)), name);
}

/** The guests that have samples of all these families. */
function withFamilies(page: AnsweredScrape, families: readonly string[]): Set<string> {
  const sets = families.map((family) =>
    new Set(page.labelValues(`libvirt_nova_instance_${family}`, "libvirtname"))
  );
  const [first = new Set<string>(), ...others] = sets;
  return new Set([...first].filter((name) => others.every((set) => set.has(name))));
}

function successOf(page: AnsweredScrape, number: number): number | undefined {
  const labels = { libvirtname: nameOf(number) };
  return page.value("libvirt_nova_instance_scrape_success", labels);
}

/** Guests that say that they are complete, and are. */
function completeGuests(page: AnsweredScrape): Set<string> {
  const all = withFamilies(page, [...MONITOR_FREE, ...MONITOR_BOUND]);
  return new Set(
    [...all].filter((libvirtname) =>
      page.value("libvirt_nova_instance_scrape_success", { libvirtname }) === 1
    ),
  );
}

/** Everybody else on the host can work: ends what does not answer soon, which fails. */
async function assertOthersAreServed(hypervisor: Hypervisor): Promise<void> {
  // The question itself takes one worker.
  assert.ok(await busyWorkers(hypervisor) <= MAXIMUM_ABANDONED + 1);
  const options = { boundMilliseconds: VIRSH_BOUND_MILLISECONDS };
  await outputOf("virsh", ["--connect", hypervisor.readWriteUri, "list"], options);
}

interface Scenario {
  readonly guests: number;
  /** The guests that are stopped. */
  readonly hung: readonly number[];
  readonly scrapes: number;
  /** Of the exporter; none when left out. */
  readonly flags?: readonly string[];
}

async function hang({ guests, hung, scrapes, flags = [] }: Scenario): Promise<void> {
  await using hypervisor = await startHypervisor({ guests: pausedGuests(guests) });
  await using exporter = await startExporterProcess(hypervisor.readOnlyUri, flags);
  const everybody = new Set(Array.from({ length: guests }, (_, number) => nameOf(number)));
  const healthy = new Set([...everybody].filter((name) => !hung.map(nameOf).includes(name)));
  await waitUntil(
    "all guests to be complete",
    async () => completeGuests(await exporter.scrape()).size === guests || undefined,
    20_000,
  );
  const pages: AnsweredScrape[] = [];
  signal(hypervisor, hung, "SIGSTOP");
  try {
    for (let scrape = 0; scrape < scrapes; scrape++) {
      const started = performance.now();
      const page = await exporter.scrape();
      pages.push(page);
      assertInTime(page);
      assert.equal(page.up, 1);
      assert.deepEqual(withFamilies(page, MONITOR_FREE), everybody, `scrape ${scrape}`);
      const abandoned = page.value("libvirt_nova_exporter_abandoned_calls", { need: "monitor" });
      assert.ok((abandoned ?? NaN) <= MAXIMUM_ABANDONED, `${abandoned} abandoned calls`);
      for (const number of hung) assert.equal(successOf(page, number), 0);
      if (scrape % 5 === 4) await assertOthersAreServed(hypervisor);
      await pause(started + 1_000 - performance.now());
    }
    const isOutage = hung.length > MAXIMUM_ABANDONED;
    // Beyond the bound nobody's monitor is asked, because one more hung guest would cost the host a worker.
    const expected = isOutage ? new Set<string>() : healthy;
    for (const page of pages.slice(2)) {
      assert.deepEqual(completeGuests(page), expected);
      // Nobody is waited for in vain again: what hangs is known by now.
      const labels = { reason: "late" };
      assert.equal(page.value("libvirt_nova_exporter_instances_incomplete", labels), 0);
    }
    const last = pages.at(-1);
    assert.ok(exporter.logLines().length < 60, exporter.logLines().join("\n"));
    assert.ok((last?.value("libvirt_nova_exporter_connection_attempts_total") ?? NaN) < 15);
  } finally {
    signal(hypervisor, hung, "SIGCONT");
  }
  let scrapesToRecover = 0;
  await waitUntil("all guests to be complete again", async () => {
    scrapesToRecover++;
    return completeGuests(await exporter.scrape()).size === guests || undefined;
  }, 20_000);
  assert.ok(scrapesToRecover <= 2, `complete after ${scrapesToRecover} scrapes`);
  await waitUntil("the abandoned calls to be over", async () => {
    const page = await exporter.scrape();
    return page.value("libvirt_nova_exporter_quarantined") === 0 || undefined;
  }, 5_000);
  assert.equal(await exporter.stop(), 0);
}

if (host.available) {
  Deno.test("one guest that hangs for a minute costs its own monitor's values and nothing else", () =>
    hang({ guests: 4, hung: [1], scrapes: 60 }));

  Deno.test("three of ten guests that hang at once cost the others no value", () =>
    hang({ guests: 10, hung: [2, 5, 9], scrapes: 10 }));

  Deno.test("three of ten guests that hang at once cost the others no value with all collectors on either", () =>
    hang({
      guests: 10,
      hung: [2, 5, 9],
      scrapes: 10,
      flags: SWITCHED_COLLECTORS.map(({ name }) => `--collector.${name}`),
    }));

  Deno.test("a storage outage that hangs all thirty guests for a minute leaves libvirtd its workers", () =>
    hang({
      guests: 30,
      hung: Array.from({ length: 30 }, (_, number) => number),
      scrapes: 60,
    }));
}
