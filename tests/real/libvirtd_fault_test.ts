import assert from "node:assert/strict";
import { outputOf } from "./command.ts";
import {
  type AnsweredScrape,
  assertInTime,
  type ExporterProcess,
  startExporterProcess,
} from "./exporter_process.ts";
import { ensureHypervisorHost } from "./host.ts";
import { type Hypervisor, startHypervisor } from "./hypervisor.ts";
import { pause, waitUntil } from "./wait_until.ts";

const host = await ensureHypervisorHost();

const NOBODY = { uid: 65534, gid: 65534 };
const GUEST = "instance-00000001";

/** Scrapes while libvirt is not there: always an answer in time that says so. */
async function assertDown(exporter: ExporterProcess, scrapes: number): Promise<AnsweredScrape> {
  for (let scrape = 1;; scrape++) {
    const page = await exporter.scrape();
    assert.equal(page.up, 0);
    assert.deepEqual(page.labelValues("libvirt_nova_instance_vcpu_count", "libvirtname"), []);
    assertInTime(page);
    if (scrape === scrapes) return page;
    await pause(100);
  }
}

async function assertUp(exporter: ExporterProcess): Promise<void> {
  const page = await exporter.scrape();
  assert.equal(page.up, 1, exporter.logLines().join("\n"));
  assert.deepEqual(page.labelValues("libvirt_nova_instance_rdbytes", "libvirtname"), [GUEST]);
}

function countLines(exporter: ExporterProcess, pattern: RegExp): number {
  return exporter.logLines().filter((line) => pattern.test(line)).length;
}

const BEGUN = /message="libvirt is not available"/;
const OVER = /message="Over: libvirt is not available"/;

/** Attempts to connect during `action`, by the exporter's own count. */
async function attemptsDuring(
  exporter: ExporterProcess,
  action: () => Promise<unknown>,
): Promise<number> {
  const attempts = async (): Promise<number> =>
    (await exporter.scrape()).value("libvirt_nova_exporter_connection_attempts_total") ?? NaN;
  const before = await attempts();
  await action();
  return await attempts() - before;
}

/** Connections that libvirtd has now, its own count. */
async function countClients(hypervisor: Hypervisor): Promise<number> {
  const uri = `libvirtd:///system?socket=${hypervisor.directory}/sockets/libvirt-admin-sock`;
  const report = await outputOf("virt-admin", ["-c", uri, "client-list", "libvirtd"]);
  return [...report.matchAll(/^\s*\d+\s+unix/gm)].length;
}

if (host.available) {
  Deno.test("what happens to libvirtd never costs an answer, and is over at the next scrape", async (context) => {
    await using hypervisor = await startHypervisor({
      guests: [{ name: GUEST, start: "paused", disks: [{ target: "vda" }] }],
    });
    const { readOnlyUri } = hypervisor;

    await context.step("stopped (SIGSTOP) for a while", async () => {
      await using exporter = await startExporterProcess(readOnlyUri);
      await assertUp(exporter);
      await hypervisor.killLibvirtd("SIGSTOP");
      const page = await assertDown(exporter, 4).finally(() => hypervisor.killLibvirtd("SIGCONT"));
      assert.ok(
        (page.value("libvirt_nova_exporter_connection_attempts_total") ?? NaN) <= 3,
        "an attempt that hangs is waited for, not repeated",
      );
      await assertUp(exporter);
      assert.deepEqual([countLines(exporter, BEGUN), countLines(exporter, OVER)], [1, 1]);
    });

    await context.step("stopped for so long that the connection is given up", async () => {
      await using exporter = await startExporterProcess(readOnlyUri, [
        "--libvirt.timeout",
        "500ms",
      ]);
      await assertUp(exporter);
      await hypervisor.killLibvirtd("SIGSTOP");
      try {
        const attempts = await attemptsDuring(exporter, async () => {
          for (let second = 0; second < 25; second++) {
            assert.equal((await exporter.scrape()).up, 0);
            await pause(500);
          }
        });
        assert.ok(attempts <= 25, `${attempts} attempts`);
      } finally {
        await hypervisor.killLibvirtd("SIGCONT");
      }
      await assertUp(exporter);
      await waitUntil(
        "calls that were given up to be over",
        10_000,
        async () =>
          (await exporter.scrape()).value("libvirt_nova_exporter_quarantined") === 0 || undefined,
      );
    });

    await context.step("killed, absent for a while, and started again", async () => {
      await using exporter = await startExporterProcess(readOnlyUri);
      await assertUp(exporter);
      await hypervisor.killLibvirtd("SIGKILL");
      const started = performance.now();
      const attempts = await attemptsDuring(exporter, () => assertDown(exporter, 6));
      const seconds = (performance.now() - started) / 1_000;
      assert.ok(attempts <= seconds + 1, `${attempts} attempts in ${seconds} s`);
      await hypervisor.startLibvirtd();
      await assertUp(exporter);
      assert.deepEqual([countLines(exporter, BEGUN), countLines(exporter, OVER)], [1, 1]);
    });

    await context.step("restarted again and again while being scraped", async () => {
      await using exporter = await startExporterProcess(readOnlyUri);
      let restarting = true;
      const scraping = (async (): Promise<number> => {
        let scrapes = 0;
        for (; restarting; scrapes++) {
          await exporter.scrape();
          await pause(20);
        }
        return scrapes;
      })();
      for (let restart = 0; restart < 5; restart++) {
        await hypervisor.restartLibvirtd();
        await pause(300);
      }
      restarting = false;
      assert.ok(await scraping > 2);
      await assertUp(exporter);
      assert.equal(countLines(exporter, /Internal error/), 0);
    });

    await context.step("absent when the exporter starts", async () => {
      await hypervisor.killLibvirtd("SIGTERM");
      await using exporter = await startExporterProcess(readOnlyUri);
      await assertDown(exporter, 2);
      await hypervisor.startLibvirtd();
      await assertUp(exporter);
    });

    await context.step(
      "killed while a guest hangs: what was asked counts until the guest answers",
      async () => {
        await using exporter = await startExporterProcess(readOnlyUri);
        await assertUp(exporter);
        const guest = hypervisor.guestPid(GUEST);
        Deno.kill(guest, "SIGSTOP");
        try {
          assert.equal((await exporter.scrape()).up, 1);
          await hypervisor.killLibvirtd("SIGKILL");
          await assertDown(exporter, 1);
        } finally {
          Deno.kill(guest, "SIGCONT");
        }
        await hypervisor.startLibvirtd();
        await assertUp(exporter);
        const page = await exporter.scrape();
        assert.equal(page.value("libvirt_nova_exporter_quarantined"), 0);
      },
    );

    await context.step("a socket that is not there, with what to do about it", async () => {
      const socket = `${hypervisor.directory}/sockets/missing`;
      await using exporter = await startExporterProcess(`qemu+unix:///system?socket=${socket}`);
      await assertDown(exporter, 2);
      assert.equal(countLines(exporter, BEGUN), 1);
      assert.equal(countLines(exporter, /No such file.*start libvirtd or virtqemud/), 1);
    });

    await context.step("a socket that may not be opened, with the group to join", async () => {
      const uri = `qemu+unix:///system?socket=${hypervisor.directory}/sockets/libvirt-sock`;
      await using exporter = await startExporterProcess(uri, [], { user: NOBODY });
      await assertDown(exporter, 2);
      assert.equal(countLines(exporter, BEGUN), 1);
      assert.equal(
        countLines(exporter, /Permission denied.*add the exporter's user to the group/),
        1,
      );
    });

    await context.step(
      "an exporter that is killed and started again leaves nothing behind",
      async () => {
        const before = await countClients(hypervisor);
        for (let restart = 0; restart < 5; restart++) {
          const exporter = await startExporterProcess(readOnlyUri);
          const scrapes = [exporter.scrape(), exporter.scrape()].map((one) => one.catch(() => {}));
          await assertUp(exporter);
          exporter.kill("SIGKILL");
          await Promise.all(scrapes);
          await exporter.stop().catch(() => {});
        }
        await waitUntil(
          "libvirtd to notice",
          10_000,
          async () => await countClients(hypervisor) === before || undefined,
        );
      },
    );
  });
}
