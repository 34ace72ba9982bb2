import assert from "node:assert/strict";
import { startExporterProcess } from "../../testing/exporter_process.ts";
import { ensureHypervisorHost } from "../../testing/libvirt/host.ts";
import { startHypervisor } from "../../testing/libvirt/hypervisor.ts";

const host = await ensureHypervisorHost();

if (host.available) {
  Deno.test("the log names each volume about which libvirt does not answer, also one that comes to it later", async () => {
    await using hypervisor = await startHypervisor();
    const { directory, virsh } = hypervisor;
    const folderOf = (pool: string): string => `${directory}/${pool}`;
    for (const pool of ["first", "second"]) {
      Deno.mkdirSync(folderOf(pool));
      await virsh("pool-define-as", pool, "dir", "--target", folderOf(pool));
      await virsh("pool-start", pool);
      await virsh("vol-create-as", pool, "image", "1M");
    }
    await using exporter = await startExporterProcess(hypervisor.readOnlyUri, [
      "--collector.storage_pool",
      "--collector.storage_volume",
    ]);
    const scrapeTwice = async (): Promise<void> => {
      await exporter.scrape();
      await exporter.scrape();
    };
    /** Libvirt finds a file where the pool's folder was, which is no volume that has merely gone. */
    const breakPool = (pool: string): void => {
      Deno.removeSync(folderOf(pool), { recursive: true });
      Deno.writeTextFileSync(folderOf(pool), "");
    };
    await scrapeTwice();
    breakPool("first");
    await scrapeTwice();
    breakPool("second");
    await scrapeTwice();
    for (const pool of ["first", "second"]) {
      Deno.removeSync(folderOf(pool));
      Deno.mkdirSync(folderOf(pool));
    }
    await scrapeTwice();
    const told = exporter.logLines().slice(1)
      .map((line) => /message="([^"]*)".* volume=("[^"]*"|\S+)/.exec(line)?.slice(1));
    assert.deepEqual(told, [
      ["A libvirt call fails", "first/image"],
      ["Still: A libvirt call fails", '"second/image, first/image"'],
      ["Over: A libvirt call fails", '"first/image, second/image"'],
    ]);
    assert.equal(await exporter.stop(), 0);
  });
}
