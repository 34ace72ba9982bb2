import assert from "node:assert/strict";
import { type AnsweredScrape, startExporterProcess } from "../../testing/exporter_process.ts";
import { ensureHypervisorHost } from "../../testing/libvirt/host.ts";
import { startHypervisor } from "../../testing/libvirt/hypervisor.ts";

const host = await ensureHypervisorHost();

const INACTIVE = 0;
const RUNNING = 2;

const COLLECTORS = ["--collector.storage_pool", "--collector.storage_volume"];

/** The values of a family about storage pools, by pool. */
function valuesOf(page: AnsweredScrape, family: string): ReadonlyMap<string, number> {
  const samples = page.families.get(`libvirt_nova_storage_${family}`)?.samples ?? [];
  return new Map(samples.map(({ labels, value }) => [labels["pool"] ?? "", value]));
}

if (host.available) {
  Deno.test("storage pools that are stopped, or whose folder is gone, are there with their state alone", async () => {
    await using hypervisor = await startHypervisor();
    const { directory } = hypervisor;
    for (const pool of ["runs", "stops", "vanishes"]) {
      Deno.mkdirSync(`${directory}/pools/${pool}`, { recursive: true });
      const file = `${directory}/${pool}.xml`;
      Deno.writeTextFileSync(
        file,
        `<pool type="dir"><name>${pool}</name><target><path>${directory}/pools/${pool}</path></target></pool>`,
      );
      await hypervisor.virsh("pool-define", file);
      await hypervisor.virsh("pool-start", pool);
      await hypervisor.virsh("pool-autostart", pool);
      await hypervisor.virsh("vol-create-as", pool, "image", "1M");
    }
    await using exporter = await startExporterProcess(hypervisor.readOnlyUri, COLLECTORS);
    const before = await exporter.scrape();
    assert.deepEqual([...valuesOf(before, "pool_state_code").values()], [
      RUNNING,
      RUNNING,
      RUNNING,
    ]);
    await hypervisor.virsh("pool-destroy", "stops");
    Deno.removeSync(`${directory}/pools/vanishes`, { recursive: true });
    // When libvirtd starts, it cannot start that pool.
    await hypervisor.restartLibvirtd();
    await hypervisor.virsh("pool-destroy", "stops").catch(() => {});
    const page = await exporter.scrape();
    assert.equal(page.up, 1);
    assert.deepEqual(
      new Map([...valuesOf(page, "pool_state_code")].sort()),
      new Map([["runs", RUNNING], ["stops", INACTIVE], ["vanishes", INACTIVE]]),
    );
    for (const family of ["pool_capacity_bytes", "pool_available_bytes", "pool_volumes"]) {
      assert.deepEqual([...valuesOf(page, family).keys()], ["runs"], family);
    }
    assert.deepEqual([...valuesOf(page, "volume_capacity_bytes").keys()], ["runs"]);
    for (
      const { value } of page.families.get("libvirt_nova_exporter_collector_success")?.samples ?? []
    ) {
      assert.equal(value, 1);
    }
    assert.equal(await exporter.stop(), 0);
  });
}
