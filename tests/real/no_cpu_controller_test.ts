import assert from "node:assert/strict";
import { startExporterProcess } from "../../testing/exporter_process.ts";
import { pageWithAll, pausedGuests } from "./fault_watch.ts";
import { ensureHypervisorHost } from "../../testing/libvirt/host.ts";
import { type Hypervisor, startHypervisor } from "../../testing/libvirt/hypervisor.ts";
import { figuresOf, numberIn } from "./virsh_figures.ts";

const host = await ensureHypervisorHost();

const RUNNING = "instance-00running";
const PAUSED = pausedGuests(2);
const GUESTS = [RUNNING, ...PAUSED.map(({ name }) => name)];
const NANOSECONDS_PER_SECOND = 1e9;

/** Families about processor time, the field of libvirt's that each has, and what of it is one of the family's unit. */
const FAMILIES = [
  ["cpu_time_total", "cpu.time", 1],
  ["cpu_seconds_total", "cpu.time", NANOSECONDS_PER_SECOND],
  ["cpu_user_seconds_total", "cpu.user", NANOSECONDS_PER_SECOND],
  ["cpu_system_seconds_total", "cpu.system", NANOSECONDS_PER_SECOND],
] as const;

/** Starts a libvirtd that gives its guests no control group, and the guests. */
async function startWithoutControllers(): Promise<Hypervisor> {
  const guests = PAUSED.map((guest) => ({ ...guest, start: "defined" as const }));
  const hypervisor = await startHypervisor({
    guests: [...guests, { name: RUNNING, start: "defined", disks: [{ target: "vda" }] }],
  });
  try {
    const file = `${hypervisor.directory}/etc/qemu.conf`;
    Deno.writeTextFileSync(file, "cgroup_controllers = []\n", { append: true });
    await hypervisor.restartLibvirtd();
    for (const { name } of PAUSED) await hypervisor.startGuest(name, { paused: true });
    await hypervisor.startGuest(RUNNING);
    return hypervisor;
  } catch (error) {
    await hypervisor.stop();
    throw error;
  }
}

if (host.available) {
  Deno.test("processor time is right where guests have no control group that counts it", async () => {
    await using hypervisor = await startWithoutControllers();
    await assert.rejects(
      hypervisor.virsh("cpu-stats", RUNNING, "--total"),
      /controller is not mounted/,
      "This libvirt finds the time by itself, so there is nothing to see here",
    );
    await using exporter = await startExporterProcess(hypervisor.readOnlyUri);
    for (const libvirtname of GUESTS) {
      const ask = async (): Promise<ReturnType<typeof figuresOf>> =>
        figuresOf(await hypervisor.virsh("domstats", libvirtname, "--cpu-total"));
      const before = await ask();
      const page = await pageWithAll(exporter, GUESTS);
      const after = await ask();
      for (const [family, field, unit] of FAMILIES) {
        const value = page.value(`libvirt_nova_instance_${family}`, { libvirtname }) ?? NaN;
        const least = (numberIn(before, field) ?? NaN) / unit;
        const most = (numberIn(after, field) ?? NaN) / unit;
        assert.ok(
          least <= value && value <= most,
          `${family} of ${libvirtname} is ${value}, and not from ${least} to ${most}`,
        );
      }
    }
    assert.equal(await exporter.stop(), 0);
  });
}
