import assert from "node:assert/strict";
import {
  assertBetween,
  expectedSamples,
  type KnownGuest,
  type Samples,
  valuesBySeries,
} from "./expected_samples.ts";
import {
  type AnsweredScrape,
  type ExporterProcess,
  startExporterProcess,
} from "../../testing/exporter_process.ts";
import { ensureHypervisorHost } from "../../testing/libvirt/host.ts";
import { type Hypervisor, startHypervisor } from "../../testing/libvirt/hypervisor.ts";
import { askAboutGuest, type Figures, figuresOf, numberIn } from "./virsh_figures.ts";
import { pause, waitUntil } from "../../testing/wait_until.ts";
import { BUSY, furnish, furnishHost, GUESTS, knownGuests } from "./furnished_guests.ts";
import { startVirshShell, type VirshShell } from "../../testing/libvirt/virsh_shell.ts";
import {
  ALL_ON,
  assertCountersTold,
  assertGuestsTold,
  assertHostTold,
  assertNothingFailed,
  HOST_FAMILIES,
  INSTANCE_FAMILIES,
  isInstanceFamily,
} from "./told_values.ts";

const host = await ensureHypervisorHost();

/**
 * Families that may have no sample where these tests run, and why. Any other has to have one.
 */
const UNFED: Readonly<Record<string, RegExp>> = {
  "QEMU counts no errors of disks": /_block_errors_total$/,
  "libvirt tells it of guests of IBM Z only": /_vcpu_halted$/,
  "it came with libvirt 11.10 or 12.1": /_block_(limit|interval|\w+_latency_bin)_/,
  "it came with libvirt 12.7": /_iothread_poll_weight$/,
  "only KVM counts, and the guests are emulated": /_hypervisor_statistic_/,
  "QEMU measures it by the dirty ring of KVM": /_vcpu_dirtyrate_/,
  "it needs a processor with resource control":
    /_(cpu_(cache|energy)_monitor|memory_bandwidth|perf_cache_occupancy)_|_perf_memory_bandwidth_/,
  "the machine's processor may count no events":
    /_perf_(cache|instructions|cpu_cycles|branch|bus|stalled|reference)/,
  "the kernel may give no events to a container": /_perf_/,
  "only a migration with post-copy, compression, slowed vCPUs, or its disks has it":
    /_job_(memory_postcopy|compression|auto_converge|disk_bytes_per_second)/,
  "only a guest with a VFIO device that can be moved has it, with libvirt 10.6 or later":
    /_job_vfio_/,
  "only the destination of a migration, and a backup, have it":
    /_job_(elapsed_net|downtime_net|disk_temporary_\w+)_/,
  "only a network with a limit of its own can keep a rate free": /_interface_tune_receive_floor_/,
  "QEMU expects an end only after an iteration over the memory": /_job_remaining_seconds$/,
};

/**
 * Moves a guest until it stops at a destination whose QEMU stands still, so that the figures of the move stand still, too.
 */
async function assertJobIsTold(
  hypervisor: Hypervisor,
  known: KnownGuest,
  shell: VirshShell,
  scrape: () => Promise<AnsweredScrape>,
): Promise<void> {
  const { virsh } = hypervisor;
  // libvirt does not move a guest with checkpoints.
  for (const name of ["two", "one"]) await virsh("checkpoint-delete", BUSY, name, "--metadata");
  // The destination would put the limits into force with the real program.
  await virsh("domiftune", BUSY, "tapelse", "--live", "--inbound", "0", "--outbound", "0");
  // libvirt refuses to move a guest to what it takes for the same machine.
  const libvirtdSettings = { "host_uuid": crypto.randomUUID() };
  await using target = await startHypervisor({ libvirtdSettings });
  await using targetExporter = await startExporterProcess(target.readOnlyUri, ALL_ON);
  await virsh("migrate-setspeed", BUSY, "2");
  // A socket, because their networks are apart; unsafe, because libvirt does not know that they share the disks.
  const how = ["--live", "--unsafe", "--migrateuri", `unix://${target.directory}/migration`];
  const moving = virsh("migrate", ...how, BUSY, target.readWriteUri).then(() => "moved", String);
  const job = async (): Promise<Figures> =>
    figuresOf(await shell.run(`domjobinfo ${BUSY} --rawstats`));
  await waitUntil("the guest's memory to be on its way", async () => {
    return (numberIn(await job(), "memory_processed") ?? 0) > 0 || undefined;
  }, 20_000);
  // The destination has no figures of the move, which is no failure.
  const page = await targetExporter.scrape();
  assert.equal(page.up, 1);
  assert.deepEqual(targetExporter.logLines().filter((line) => !line.includes("level=info")), []);
  const destination = target.guestPid(BUSY);
  Deno.kill(destination, "SIGSTOP");
  try {
    const withoutClock = (figures: Figures): string =>
      JSON.stringify([...figures].filter(([name]) => name !== "time_elapsed"));
    await waitUntil("the move to stand still", async () => {
      const before = withoutClock(await job());
      await pause(300);
      return withoutClock(await job()) === before || undefined;
    }, 20_000);
    const ofJob = (samples: Samples): Samples =>
      new Map([...samples].filter(([series]) => series.startsWith("libvirt_nova_instance_job_")));
    const expected = async (): Promise<Samples> => {
      const devices = [Object.keys(known.disks), Object.keys(known.interfaces)] as const;
      return ofJob(expectedSamples(known, await askAboutGuest(shell, BUSY, ...devices)));
    };
    const before = await expected();
    const actual = valuesBySeries(await scrape(), isInstanceFamily);
    const after = await expected();
    const isMoved = (series: string): boolean => series.includes(`"${BUSY}"`);
    assertBetween(new Map([...ofJob(actual)].filter(([series]) => isMoved(series))), before, after);
    const moves = [...before].filter(([series, value]) => after.get(series) !== value);
    assert.deepEqual(moves.map(([series]) => series.split(" ")[0]), [
      "libvirt_nova_instance_job_elapsed_seconds",
    ]);
  } finally {
    Deno.kill(destination, "SIGCONT");
  }
  await virsh("domjobabort", BUSY);
  assert.match(await moving, /canceled/);
}

if (host.available) {
  Deno.test("every family has what virsh says", async (context) => {
    await using hypervisor = await startHypervisor({ guests: GUESTS });
    await hypervisor.waitForGuestReady(BUSY);
    await furnish(hypervisor);
    await furnishHost(hypervisor);
    // The private libvirtd has its state elsewhere than its sockets; libvirtd's own are neighbours.
    Deno.symlinkSync("../run/libvirt/qemu", `${hypervisor.directory}/sockets/qemu`);
    const known = await knownGuests(hypervisor);
    await using shell = startVirshShell(hypervisor.readWriteUri);
    await using exporter = await startExporterProcess(hypervisor.readOnlyUri, ALL_ON);
    const fed = new Set<string>();
    const scrape = async (from: ExporterProcess = exporter): Promise<AnsweredScrape> => {
      const page = await from.scrape();
      assert.equal(page.up, 1);
      for (const { name, samples } of page.families.values()) {
        if (samples.length > 0) fed.add(name);
      }
      return page;
    };
    await waitUntil("the guest's balloon to report", async () => {
      return (await shell.run(`dommemstat ${BUSY}`)).includes("usable") || undefined;
    }, 30_000);
    await scrape();

    const told = { shell, known, scrape };
    await context.step("counters of a running guest, between two looks", () => {
      return assertCountersTold(told);
    });

    await context.step("all series of guests that stand still, exactly", async () => {
      await hypervisor.suspend(BUSY);
      await assertGuestsTold(told, hypervisor, () => startExporterProcess(hypervisor.readOnlyUri));
    });

    await context.step("the host, its pools, volumes and networks, and the projects", () => {
      return assertHostTold(told);
    });

    await context.step("the job of a guest that is moved", async () => {
      const guest = known[BUSY];
      assert.ok(guest !== undefined);
      await assertJobIsTold(hypervisor, guest, shell, scrape);
    });

    await context.step("every family has a sample, or a reason to have none", () => {
      const all = [...INSTANCE_FAMILIES, ...HOST_FAMILIES];
      const reasons = Object.values(UNFED);
      const silent = all.filter((family) => !fed.has(family));
      const unexplained = silent.filter((family) => !reasons.some((one) => one.test(family)));
      const remedy = "give it a row in tests/real/expected_samples.ts, or a reason in UNFED";
      assert.deepEqual(unexplained, [], remedy);
      const unused = reasons.filter((one) => !all.some((family) => one.test(family)));
      assert.deepEqual(unused, [], "take the reason out of UNFED");
    });

    await context.step("without a failure of anything that was asked", async () => {
      assertNothingFailed(await scrape(), exporter.logLines());
      assert.equal(await exporter.stop(), 0);
    });
  });
}
