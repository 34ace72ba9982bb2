import assert from "node:assert/strict";
import { startExporterProcess } from "../../testing/exporter_process.ts";
import { waitUntil } from "../../testing/wait_until.ts";
import { ensureHypervisorHost } from "../../testing/libvirt/host.ts";
import { startHypervisor } from "../../testing/libvirt/hypervisor.ts";

const host = await ensureHypervisorHost();

const FAMILY = "libvirt_nova_exporter_instances_ended_total";
const NAMES = ["stays", "is-destroyed", "is-saved", "fails"];

if (host.available) {
  Deno.test("instances that end are counted by the reason that libvirt gives, once each", async () => {
    await using hypervisor = await startHypervisor({
      guests: NAMES.map((name) => ({ name, start: "paused", disks: [{ target: "vda" }] })),
    });
    await using exporter = await startExporterProcess(hypervisor.readOnlyUri);
    const counts = async (): Promise<Record<string, number>> => {
      const samples = (await exporter.scrape()).families.get(FAMILY)?.samples ?? [];
      return Object.fromEntries(samples.map(({ labels, value }) => [labels["reason"], value]));
    };
    const none = {
      ...{ shutdown: 0, destroyed: 0, crashed: 0, migrated: 0 },
      ...{ saved: 0, failed: 0, "from_snapshot": 0, unknown: 0 },
    };
    assert.deepEqual(await counts(), none);
    await hypervisor.virsh("destroy", "is-destroyed");
    await hypervisor.virsh("save", "is-saved", `${hypervisor.directory}/saved`);
    // libvirt calls it so when QEMU is gone without a word; crashed is what the guest's kernel has told.
    Deno.kill(hypervisor.guestPid("fails"), "SIGKILL");
    const expected = { ...none, destroyed: 1, saved: 1, failed: 1 };
    await waitUntil(
      "the end of QEMU to be told",
      async () => (await counts())["failed"] === 1 || undefined,
      10_000,
    );
    assert.deepEqual(await counts(), expected);
    // What has been counted stays, whatever becomes of the connection.
    await hypervisor.restartLibvirtd();
    assert.deepEqual(await counts(), expected);
    await hypervisor.virsh("destroy", "stays");
    await waitUntil(
      "the end to be told",
      async () => (await counts())["destroyed"] === 2 || undefined,
      10_000,
    );
    assert.equal(await exporter.stop(), 0);
  });
}
