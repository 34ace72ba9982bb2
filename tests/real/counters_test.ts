import assert from "node:assert/strict";
import { SWITCHED_COLLECTORS } from "../../src/metrics/mod.ts";
import { seriesKey } from "./expected_samples.ts";
import { type AnsweredScrape, startExporterProcess } from "../../testing/exporter_process.ts";
import { pause, waitUntil } from "../../testing/wait_until.ts";
import { ensureHypervisorHost } from "../../testing/libvirt/host.ts";
import {
  type Hypervisor,
  type InitialGuest,
  startHypervisor,
} from "../../testing/libvirt/hypervisor.ts";
import { novaMetadata } from "../../testing/libvirt/guest_xml.ts";

const host = await ensureHypervisorHost();

const SCRAPE_INTERVAL_MILLISECONDS = 200;
/** How long the guest is bothered at least. */
const MILLISECONDS = 30_000;
const BYTES_PER_MEBIBYTE = 1024 * 1024;

const GUEST = "instance-00000001";

const GUESTS: readonly InitialGuest[] = [{
  name: GUEST,
  disks: [{ target: "vda" }],
  interfaces: [{ target: "tap567a4527-b0", macAddress: "fa:16:3e:00:00:01" }],
  heartbeat: true,
  metadata: novaMetadata({ version: "1.1", name: "steady", project: { id: "p", name: "lab" } }),
}];

/** Every counter of a page, by its series. */
function countersOf({ families }: AnsweredScrape): ReadonlyMap<string, number> {
  return new Map(
    [...families.values()].filter(({ type }) => type === "counter")
      .flatMap(({ name, samples }) =>
        samples.map(({ labels, value }) => [seriesKey(name, labels), value] as const)
      ),
  );
}

/** What is done to the guest, over and over; each device that is plugged in has a name of its own. */
function troubles(
  hypervisor: Hypervisor,
  target: Hypervisor,
): Readonly<Record<string, (round: number) => Promise<void>>> {
  const { virsh, directory } = hypervisor;
  return {
    "suspend and resume": async () => {
      await hypervisor.suspend(GUEST);
      await pause(300);
      await hypervisor.resume(GUEST);
    },
    "another disk": async (round) => {
      const file = `${directory}/disks/plugged-${round}.raw`;
      const disk = `vd${String.fromCharCode("b".charCodeAt(0) + round)}`;
      Deno.writeTextFileSync(file, "");
      Deno.truncateSync(file, 16 * BYTES_PER_MEBIBYTE);
      const format = ["--targetbus", "virtio", "--driver", "qemu", "--subdriver", "raw"];
      await virsh("attach-disk", GUEST, file, disk, ...format, "--live");
      await pause(1_000);
      await virsh("detach-disk", GUEST, disk, "--live");
      await waitUntil("the disk to be unplugged", async () => {
        return !(await virsh("domblklist", GUEST)).includes(disk) || undefined;
      }, 20_000);
    },
    "a migration that is cancelled": async () => {
      await virsh("migrate-setspeed", GUEST, "4");
      const how = ["--live", "--unsafe", "--migrateuri", `unix://${target.directory}/migration`];
      const moving = virsh("migrate", ...how, GUEST, target.readWriteUri)
        .then(() => "moved", String);
      await waitUntil("the guest's memory to be on its way", async () => {
        const report = await virsh("domjobinfo", GUEST, "--rawstats");
        return /memory_processed: [1-9]/.test(report) || undefined;
      }, 20_000);
      await virsh("domjobabort", GUEST);
      assert.match(await moving, /cancell?ed/);
    },
    "a live snapshot": async (round) => {
      const overlay = `vda,file=${directory}/disks/overlay-${round}.qcow2`;
      const flags = ["--disk-only", "--no-metadata", "--atomic"];
      await virsh("snapshot-create-as", GUEST, ...flags, "--diskspec", overlay);
    },
    "a balloon that grows and shrinks": async () => {
      for (const mebibytes of [90, 96]) {
        await virsh("setmem", GUEST, `${mebibytes}M`, "--live");
        await pause(300);
      }
    },
  };
}

if (host.available) {
  Deno.test("no counter goes down while its guest lives", async () => {
    await using hypervisor = await startHypervisor({ guests: GUESTS });
    // libvirt refuses to move a guest to what it takes for the same machine.
    const libvirtdSettings = { "host_uuid": crypto.randomUUID() };
    await using target = await startHypervisor({ libvirtdSettings });
    await hypervisor.waitForGuestReady(GUEST);
    await using exporter = await startExporterProcess(
      hypervisor.readOnlyUri,
      SWITCHED_COLLECTORS.map(({ name }) => `--collector.${name}`),
    );
    const first = countersOf(await exporter.scrape());
    const last = new Map(first);
    let isOver = false;

    const scrapeAllTheWhile = async (): Promise<number> => {
      for (let scrapes = 0;; scrapes++) {
        if (isOver) return scrapes;
        const next = performance.now() + SCRAPE_INTERVAL_MILLISECONDS;
        const page = await exporter.scrape();
        assert.equal(page.up, 1);
        for (const [series, value] of countersOf(page)) {
          const before = last.get(series) ?? 0;
          assert.ok(value >= before, `${series} went from ${before} to ${value}`);
          last.set(series, value);
        }
        await pause(next - performance.now());
      }
    };
    const bother = async (): Promise<void> => {
      const begin = performance.now();
      const all = Object.entries(troubles(hypervisor, target));
      try {
        for (let round = 0; round === 0 || performance.now() < begin + MILLISECONDS; round++) {
          for (const [, trouble] of all) await trouble(round);
        }
      } finally {
        isOver = true;
      }
    };

    const [scrapes] = await Promise.all([scrapeAllTheWhile(), bother()]);
    assert.ok(scrapes > 20, `${scrapes} scrapes`);
    const grown = (family: string): boolean =>
      [...last].some(([series, value]) =>
        series.startsWith(`libvirt_nova_instance_${family} `) && value > (first.get(series) ?? 0)
      );
    for (
      const family of [
        "cpu_seconds_total",
        "vcpu_seconds_total",
        "block_written_bytes_total",
        "interface_transmit_bytes_total",
        "memory_minor_faults_total",
      ]
    ) {
      assert.ok(grown(family), `${family} did not grow`);
    }
    assert.equal(await exporter.stop(), 0);
  });
}
