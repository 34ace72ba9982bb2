import assert from "node:assert/strict";
import { outputOf } from "../../testing/command.ts";
import {
  type AnsweredScrape,
  type ExporterProcess,
  startExporterProcess,
} from "../../testing/exporter_process.ts";
import { novaMetadata } from "../../testing/libvirt/guest_xml.ts";
import { type InitialGuest, startHypervisor } from "../../testing/libvirt/hypervisor.ts";
import { pause, waitUntil } from "../../testing/wait_until.ts";
import {
  attachDisk,
  attachInterface,
  BYTES_PER_MEBIBYTE,
  detachInterface,
  type Expected,
  type ExpectedDisk,
  expectedSeries,
  host,
  judge,
  type LastCounters,
  namespaceOf,
  PREFIX,
  PROJECT,
  samplesOfGuest,
  seriesOf,
  serveDisk,
  setMetadata,
  tapInterface,
} from "./changed_devices.ts";

/** The time that libvirt's events may take. */
const EVENT_MILLISECONDS = 500;

const RUNNING = "instance-00000001";

const PAUSED = "instance-00000002";

const BYSTANDER = "instance-00000003";

const VOLUME = "9b1e7c0a-4d1f-4c52-8f0e-5a7d3f2b1c00";

const OTHER_VOLUME = "1f2e3d4c-4d1f-4c52-8f0e-5a7d3f2b1c01";

const GUESTS: readonly InitialGuest[] = [
  {
    name: RUNNING,
    disks: [{ target: "vda" }],
    interfaces: [{ target: "tap567a4527-b0", macAddress: "fa:16:3e:00:00:01" }],
    heartbeat: true,
    // The first one counts; the test guests' own would end the guest at a reset.
    additionalDomainXml: "<on_reboot>restart</on_reboot>",
    metadata: novaMetadata({ version: "1.0", name: "first", project: PROJECT }),
  },
  {
    name: PAUSED,
    start: "paused",
    metadata: novaMetadata({ version: "1.1", name: "paused", project: PROJECT }),
  },
  {
    name: BYSTANDER,
    start: "paused",
    disks: [{ target: "vda", serial: OTHER_VOLUME }],
    interfaces: [{ target: "tap567a4527-b9", macAddress: "fa:16:3e:00:00:09" }],
    metadata: novaMetadata({ version: "1.1", name: "bystander", project: PROJECT }),
  },
];

/**
 * Returns the first page after a change that the judge agrees to. It has to be the first one, or, as events may take a moment,
 * the one half a second later.
 */
async function pageAfterChange(
  exporter: ExporterProcess,
  judgeOf: (page: AnsweredScrape) => void,
): Promise<AnsweredScrape> {
  const first = await exporter.scrape();
  try {
    judgeOf(first);
    return first;
  } catch {
    await pause(EVENT_MILLISECONDS);
  }
  const second = await exporter.scrape();
  judgeOf(second);
  return second;
}

if (host.available) {
  Deno.test("whatever happens to a guest is on the next page", async (context) => {
    await using hypervisor = await startHypervisor({ guests: GUESTS });
    const { virsh } = hypervisor;
    await hypervisor.waitForGuestReady(RUNNING);
    await using exporter = await startExporterProcess(hypervisor.readOnlyUri);

    const local: ExpectedDisk = { cindervolume: "", disktype: "file" };
    const volume: ExpectedDisk = { cindervolume: VOLUME, disktype: "file" };
    const bystander: Expected = {
      novaname: "bystander",
      disks: { vda: { cindervolume: OTHER_VOLUME, disktype: "file" } },
      interfaces: { "tap567a4527-b9": "fa:16:3e:00:00:09" },
    };
    let paused: Expected = { novaname: "paused", disks: {}, interfaces: {} };
    let running: Expected = {
      novaname: "first",
      disks: { vda: local },
      interfaces: { "tap567a4527-b0": "fa:16:3e:00:00:01" },
    };
    const counters: LastCounters = new Map();
    const judgeOthers = (page: AnsweredScrape): void => {
      judge(page, PAUSED, paused);
      judge(page, BYSTANDER, bystander);
    };
    const nextPage = (): Promise<AnsweredScrape> =>
      pageAfterChange(exporter, (page) => {
        judge(page, RUNNING, running, counters);
        judgeOthers(page);
      });

    await context.step("nothing, at first", async () => {
      await nextPage();
    });

    await context.step("a disk that is plugged in, and its traffic", async () => {
      await attachDisk(hypervisor, RUNNING, "vdb", VOLUME);
      running = { ...running, disks: { vda: local, vdb: volume } };
      await nextPage();
      await waitUntil("the guest to use the new disk", async () => {
        const page = await nextPage();
        return (page.value(`${PREFIX}wrbytes`, { cindervolume: VOLUME }) ?? 0) > 0 || undefined;
      }, 20_000);
    });

    await context.step("the first disk of a guest, though it is paused", async () => {
      await attachDisk(hypervisor, PAUSED, "vda", "first-volume");
      paused = { ...paused, disks: { vda: { ...local, cindervolume: "first-volume" } } };
      await nextPage();
    });

    await context.step("a disk that is unplugged", async () => {
      await virsh("detach-disk", RUNNING, "vdb", "--live");
      await waitUntil("the disk to be unplugged", async () => {
        return !(await virsh("domblklist", RUNNING)).includes("vdb") || undefined;
      }, 20_000);
      running = { ...running, disks: { vda: local } };
      await nextPage();
    });

    await context.step("a network card that is plugged in and unplugged", async () => {
      const { interfaces } = running;
      const [tap, macAddress] = ["tap567a4527-b1", "fa:16:3e:00:00:02"];
      await attachInterface(hypervisor, RUNNING, tapInterface(tap, macAddress));
      running = { ...running, interfaces: { ...interfaces, [tap]: macAddress } };
      await nextPage();
      await detachInterface(hypervisor, RUNNING, "ethernet", macAddress);
      running = { ...running, interfaces };
      await nextPage();
    });

    await context.step("the cards beside one without a device on the host", async () => {
      const user = "fa:16:3e:00:00:03";
      const [tap, macAddress] = ["tap567a4527-b2", "fa:16:3e:00:00:04"];
      const statistics = (): Promise<string> => virsh("domstats", RUNNING, "--interface");
      await attachInterface(
        hypervisor,
        RUNNING,
        `<interface type="user"><mac address="${user}"/><model type="virtio"/></interface>`,
      );
      await nextPage();
      await attachInterface(hypervisor, RUNNING, tapInterface(tap, macAddress));
      running = { ...running, interfaces: { ...running.interfaces, [tap]: macAddress } };
      await nextPage();
      assert.doesNotMatch(await statistics(), /net\.1\./);
      assert.match(await statistics(), new RegExp(`net\\.2\\.name=${tap}\n`));
      await detachInterface(hypervisor, RUNNING, "user", user);
      await nextPage();
      assert.match(await statistics(), new RegExp(`net\\.1\\.name=${tap}\n`));
    });

    await context.step("another name, and newer metadata beside the older", async () => {
      const changes: readonly (readonly ["1.0" | "1.1", name: string, shown: string])[] = [
        ["1.0", "renamed", "renamed"],
        ["1.1", "newer", "newer"],
        ["1.0", "older", "newer"],
        ["1.1", "renamed again", "renamed again"],
      ];
      for (const [version, name, novaname] of changes) {
        await setMetadata(hypervisor, RUNNING, version, name);
        running = { ...running, novaname };
        await nextPage();
      }
      await virsh("metadata", RUNNING, namespaceOf("1.1"), "--live", "--remove");
      running = { ...running, novaname: "older" };
      await nextPage();
      await setMetadata(hypervisor, PAUSED, "1.1", "paused and renamed");
      paused = { ...paused, novaname: "paused and renamed" };
      await nextPage();
    });

    await context.step("the same disk after a live snapshot of it", async () => {
      const overlay = `${hypervisor.directory}/disks/overlay.qcow2`;
      const flags = ["--disk-only", "--no-metadata", "--atomic"];
      await virsh("snapshot-create-as", RUNNING, ...flags, "--diskspec", `vda,file=${overlay}`);
      assert.match(await virsh("domblklist", RUNNING), /vda\s+\S+overlay\.qcow2/);
      await nextPage();
    });

    await context.step("the same disk after it has moved to other storage, and back", async () => {
      const copy = ["blockcopy", RUNNING, "vda", "--transient-job", "--wait", "--pivot"];
      await virsh(...copy, "--reuse-external", "--xml", await serveDisk(hypervisor));
      running = { ...running, disks: { vda: { ...local, disktype: "network" } } };
      await nextPage();
      await virsh(...copy, "--format", "raw", "--dest", `${hypervisor.directory}/disks/back.raw`);
      running = { ...running, disks: { vda: local } };
      await nextPage();
    });

    await context.step("a guest that is suspended and resumed", async () => {
      await hypervisor.suspend(RUNNING);
      await nextPage();
      await hypervisor.resume(RUNNING);
      await nextPage();
    });

    await context.step("a guest that is told to reboot, and one that is reset", async () => {
      const run = await virsh("domid", RUNNING);
      await virsh("reboot", RUNNING);
      await nextPage();
      await virsh("reset", RUNNING);
      await nextPage();
      assert.equal(await virsh("domid", RUNNING), run);
    });

    await context.step("a guest that is saved, and started again", async () => {
      await virsh("managedsave", RUNNING);
      const page = await exporter.scrape();
      assert.deepEqual(samplesOfGuest(page, RUNNING), []);
      judgeOthers(page);
      await virsh("start", RUNNING);
      counters.clear();
      await nextPage();
    });

    await context.step("a guest that moves, on the pages of both hypervisors", async () => {
      // libvirt refuses to move a guest to what it takes for the same machine.
      const libvirtdSettings = { "host_uuid": crypto.randomUUID() };
      await using target = await startHypervisor({ libvirtdSettings });
      await using targetExporter = await startExporterProcess(target.readOnlyUri);
      assert.deepEqual(samplesOfGuest(await targetExporter.scrape(), RUNNING), []);
      // A socket, because their networks are apart; unsafe, because libvirt does not know that they share the disks.
      const how = ["--live", "--unsafe", "--migrateuri", `unix://${target.directory}/migration`];
      let hasMoved = false;
      const moving = virsh("migrate", ...how, RUNNING, target.readWriteUri)
        .finally(() => hasMoved = true);
      const known = new Set(expectedSeries(RUNNING, running));
      while (!hasMoved) {
        for (const page of await Promise.all([exporter.scrape(), targetExporter.scrape()])) {
          assert.equal(page.up, 1);
          const unknown = seriesOf(page, RUNNING).filter((series) => !known.has(series));
          assert.deepEqual(unknown, []);
        }
        await pause(50);
      }
      await moving;
      const page = await exporter.scrape();
      assert.deepEqual(samplesOfGuest(page, RUNNING), []);
      judgeOthers(page);
      await pageAfterChange(targetExporter, (page) => judge(page, RUNNING, running));
      assert.equal(await targetExporter.stop(), 0);
    });

    await context.step("and nothing in the log", async () => {
      assert.deepEqual(exporter.logLines().filter((line) => !line.includes("level=info")), []);
      assert.equal(await exporter.stop(), 0);
    });
  });
}

/** One disk, so that nothing that is asked tells its path. */
const LONE = "instance-00000004";

/** Two disks, one of them a CD-ROM. */
const BETRAYED = "instance-00000005";

const BRIDGED_ADDRESS = "fa:16:3e:00:00:11";

/** The time after which a definition is read again at the latest, and what a page may take on a busy machine. */
const FRESH_MILLISECONDS = 60_000;

const SLACK_MILLISECONDS = 10_000;

function bridgedInterface(bridge: string, more: string = ""): string {
  return `<interface type="bridge"><mac address="${BRIDGED_ADDRESS}"/><source bridge="${bridge}"/>` +
    `<target dev="tapbridged"/><model type="virtio"/>${more}</interface>`;
}

/** What of a guest changes without an event. */
function unannounced(page: AnsweredScrape, guest: string): Readonly<Record<string, unknown>> {
  const labels = { libvirtname: guest };
  const disks = samplesOfGuest(page, guest).filter(({ name }) => name === `${PREFIX}block_info`)
    .map(({ labels }) => [labels["target_device"], labels["source"]?.split("/").at(-1)]);
  const [bridged] = samplesOfGuest(page, guest)
    .filter(({ name, labels }) => name.endsWith("interface_info") && labels["bridge"] !== "");
  return {
    vcpus: page.value(`${PREFIX}vcpus`, labels),
    ...Object.fromEntries(disks),
    bridge: bridged?.labels["bridge"],
    isLinkUp: page.value(`${PREFIX}interface_link_up`, labels),
  };
}

if (host.available) {
  Deno.test("a change without an event is on the page after the next where the statistics show it, and else after a minute", async () => {
    await using hypervisor = await startHypervisor();
    const { directory, virsh } = hypervisor;
    for (const bridge of ["bridge0", "bridge1"]) {
      await outputOf("nsenter", [
        ...["--target", String(hypervisor.libvirtdPid()), "--net", "--"],
        ...["ip", "link", "add", bridge, "up", "type", "bridge"],
      ]);
    }
    for (const name of ["first.iso", "second.iso"]) {
      Deno.writeFileSync(`${directory}/disks/${name}`, new Uint8Array(BYTES_PER_MEBIBYTE));
    }
    const cdrom = `<disk type="file" device="cdrom"><driver name="qemu" type="raw"/>` +
      `<source file="${directory}/disks/first.iso"/><target dev="hda" bus="ide"/><readonly/></disk>`;
    for (const name of [LONE, BETRAYED]) {
      await hypervisor.defineGuest({
        name,
        processors: { current: 1, maximum: 2 },
        disks: [{ target: "vda" }],
        additionalDeviceXml: name === LONE ? bridgedInterface("bridge0") : cdrom,
      });
      await hypervisor.startGuest(name, { paused: true });
    }
    const collectors = ["--collector.vcpu"];
    await using exporter = await startExporterProcess(hypervisor.readOnlyUri);
    await using asksAll = await startExporterProcess(hypervisor.readOnlyUri, collectors);
    const before = await exporter.scrape();
    await asksAll.scrape();
    assert.deepEqual(unannounced(before, LONE), {
      ...unannounced(before, LONE),
      vcpus: 1,
      bridge: "bridge0",
      isLinkUp: 1,
    });

    for (const name of [LONE, BETRAYED]) {
      const overlay = `${directory}/disks/${name}.qcow2`;
      const flags = ["--disk-only", "--no-metadata", "--atomic"];
      const disks = name === LONE ? [] : ["--diskspec", "hda,snapshot=no"];
      await virsh(
        ...["snapshot-create-as", name, ...flags, "--diskspec", `vda,file=${overlay}`],
        ...disks,
      );
      await virsh("setvcpus", name, "2", "--live");
    }
    await virsh(
      "change-media",
      BETRAYED,
      "hda",
      `${directory}/disks/second.iso`,
      "--live",
      "--force",
    );
    const document = `${directory}/interface.xml`;
    Deno.writeTextFileSync(document, bridgedInterface("bridge1", '<link state="down"/>'));
    await virsh("update-device", LONE, document, "--live");

    const betrayed = { vda: `${BETRAYED}.qcow2`, hda: "second.iso", vcpus: 2 };
    await asksAll.scrape();
    const next = unannounced(await asksAll.scrape(), BETRAYED);
    assert.deepEqual(next, { ...next, ...betrayed });
    const lone = { vda: `${LONE}.qcow2`, vcpus: 2, bridge: "bridge1", isLinkUp: 0 };
    await waitUntil(
      "what nothing betrays to be on the page",
      async () => {
        const page = await exporter.scrape();
        const [one, other] = [unannounced(page, LONE), unannounced(page, BETRAYED)];
        const isFresh = Object.entries(lone).every(([key, value]) => one[key] === value) &&
          Object.entries(betrayed).every(([key, value]) => other[key] === value);
        return isFresh || undefined;
      },
      FRESH_MILLISECONDS + SLACK_MILLISECONDS,
    );
    for (const one of [exporter, asksAll]) {
      assert.deepEqual(one.logLines().filter((line) => !line.includes("level=info")), []);
      assert.equal(await one.stop(), 0);
    }
  });
}
