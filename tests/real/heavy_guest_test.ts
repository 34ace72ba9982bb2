import assert from "node:assert/strict";
import { novaDomainXml, numberedUuid } from "../../testing/nova_domain.ts";
import {
  type AnsweredScrape,
  assertInTime,
  type ExporterProcess,
  startExporterProcess,
} from "../../testing/exporter_process.ts";
import { waitUntil } from "../../testing/wait_until.ts";
import { memoryOf } from "../../testing/processes.ts";
import { startVirshShell } from "../../testing/libvirt/virsh_shell.ts";
import { novaMetadata } from "../../testing/libvirt/guest_xml.ts";
import { type Hypervisor, startHypervisor } from "../../testing/libvirt/hypervisor.ts";
import { ensureHypervisorHost } from "../../testing/libvirt/host.ts";

const host = await ensureHypervisorHost();

const PREFIX = "libvirt_nova_instance_";
const NOVA = "http://openstack.org/xmlns/libvirt/nova/1.1";
const GUEST = "instance-00000001";

const DISKS = 40;
const LONG_NAME_LENGTH = 200_000;

const STORM_SECONDS = 10;
const COMMANDS_PER_LINE = 200;
const BYTES_PER_MEBIBYTE = 1024 * 1024;

/** Device names as Linux gives them: sda to sdz, sdaa, … */
function diskTarget(number: number): string {
  const letter = (index: number): string => String.fromCharCode("a".charCodeAt(0) + index);
  return number < 26 ? `sd${letter(number)}` : `sda${letter(number - 26)}`;
}

/** Disks beyond those that fit on the bus of the other test guests. */
function manyDisks(hypervisor: Hypervisor): string {
  const disks = Array.from({ length: DISKS }, (_, number) => {
    const file = `${hypervisor.directory}/disks/${diskTarget(number)}.raw`;
    Deno.writeTextFileSync(file, "");
    Deno.truncateSync(file, BYTES_PER_MEBIBYTE);
    return `<disk type="file" device="disk"><driver name="qemu" type="raw"/><source file="${file}"/>` +
      `<target dev="${diskTarget(number)}" bus="scsi"/><serial>volume-${number}</serial></disk>`;
  });
  return `<controller type="scsi" index="0" model="virtio-scsi"/>${disks.join("")}`;
}

/** The page once its only guest is complete. */
async function completePage(exporter: ExporterProcess): Promise<AnsweredScrape> {
  return await waitUntil("the guest to be complete", async () => {
    const page = await exporter.scrape();
    assertInTime(page);
    return page.value(`${PREFIX}scrape_success`) === 1 ? page : undefined;
  }, 10_000);
}

if (host.available) {
  Deno.test("a guest with forty disks, and a name of 200 kB, is on the page in full", async () => {
    await using hypervisor = await startHypervisor();
    const name = "\u00e4".repeat(LONG_NAME_LENGTH / 2);
    await hypervisor.defineGuest({
      name: GUEST,
      additionalDeviceXml: manyDisks(hypervisor),
      metadata: novaMetadata({ version: "1.1", name, project: { id: "p", name: "heavy" } }),
    });
    await hypervisor.startGuest(GUEST, { paused: true });
    await using exporter = await startExporterProcess(hypervisor.readOnlyUri);
    const page = await completePage(exporter);
    for (const family of ["rdbytes", "wrbytes", "rdreq", "wrreq"]) {
      const volumes = page.labelValues(PREFIX + family, "cindervolume").sort();
      const expected = Array.from({ length: DISKS }, (_, number) => `volume-${number}`).sort();
      assert.deepEqual(volumes, expected, family);
    }
    assert.deepEqual(page.labelValues(`${PREFIX}vcpu_count`, "novaname"), [name]);
    assert.deepEqual(exporter.logLines().filter((line) => !line.includes("level=info")), []);
  });

  Deno.test("a storm of events neither delays a scrape nor fills the memory, and its end is seen", async () => {
    await using hypervisor = await startHypervisor();
    // All connections of one daemon to this name see the same instances, as long as there is one.
    const uri = `test+unix:///default?socket=${hypervisor.directory}/sockets/libvirt-sock`;
    await using shell = startVirshShell(uri);
    const file = `${hypervisor.directory}/instance.xml`;
    Deno.writeTextFileSync(
      file,
      novaDomainXml({ name: GUEST, uuid: numberedUuid(1), novaName: "calm" }),
    );
    await shell.run(`create ${file}`);
    await using exporter = await startExporterProcess(`${uri}-ro`);
    await waitUntil(
      "the instance to be named",
      async () =>
        (await exporter.scrape()).labelValues(`${PREFIX}vcpu_count`, "novaname").includes("calm") ||
        undefined,
      10_000,
    );

    const end = performance.now() + STORM_SECONDS * 1_000;
    const rename = (name: string): string =>
      `metadata ${GUEST} ${NOVA} --key nova --set "<instance><name>${name}</name></instance>"`;
    const storm = async (number: number): Promise<number> => {
      await using own = startVirshShell(uri);
      let events = 0;
      while (performance.now() < end) {
        const commands = Array.from(
          { length: COMMANDS_PER_LINE },
          () => rename(`storm-${number}-${events++}`),
        );
        await own.run(commands.join("; "));
      }
      return events;
    };
    const memory: number[] = [];
    const scrape = async (): Promise<void> => {
      while (performance.now() < end) {
        const page = await exporter.scrape();
        assertInTime(page);
        assert.equal(page.up, 1);
        memory.push(memoryOf(exporter.processId).anonymous);
      }
    };
    const [, ...events] = await Promise.all([scrape(), storm(0), storm(1)]);
    const total = events.reduce((sum, one) => sum + one, 0);
    assert.ok(total / STORM_SECONDS > 500, `${total} events`);
    const half = Math.floor(memory.length / 2);
    const [early, late] = [Math.max(...memory.slice(0, half)), Math.max(...memory.slice(half))];
    assert.ok(late < early + 32 * BYTES_PER_MEBIBYTE, `The memory went from ${early} to ${late}`);
    await shell.run(rename("after the storm"));
    await waitUntil("the last name", async () => {
      const page = await exporter.scrape();
      const names = page.labelValues(`${PREFIX}vcpu_count`, "novaname");
      return names.includes("after the storm") || undefined;
    }, 10_000);
    assert.equal(await exporter.stop(), 0);
  });
}
