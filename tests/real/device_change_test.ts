import assert from "node:assert/strict";
import { COLLECTORS } from "../../src/metrics/mod.ts";
import {
  type AnsweredScrape,
  type ExporterProcess,
  startExporterProcess,
} from "./exporter_process.ts";
import { novaMetadata } from "./guest_xml.ts";
import { ensureHypervisorHost } from "./host.ts";
import { type Hypervisor, type InitialGuest, startHypervisor } from "./hypervisor.ts";
import { waitUntil } from "./wait_until.ts";

const host = await ensureHypervisorHost();

const PREFIX = "libvirt_nova_instance_";
const FAMILIES = COLLECTORS.flatMap(({ families }) => families);
const BYTES_PER_MEBIBYTE = 1024 * 1024;

/** The time that libvirt's events may take. */
const EVENT_MILLISECONDS = 500;

const RUNNING = "instance-00000001";
const PAUSED = "instance-00000002";
const BYSTANDER = "instance-00000003";
const VOLUME = "9b1e7c0a-4d1f-4c52-8f0e-5a7d3f2b1c00";
const OTHER_VOLUME = "1f2e3d4c-4d1f-4c52-8f0e-5a7d3f2b1c01";

const PROJECT = { id: "38bd8e984a3e435a87e950a441ee55aa", name: "storage" };

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

/** What a page has to tell of a guest. */
interface Expected {
  readonly novaname: string;
  /** Serials by target. */
  readonly disks: Readonly<Record<string, string>>;
  /** Addresses by device on the host. */
  readonly interfaces: Readonly<Record<string, string>>;
}

/** The counters of a guest as they were last, by family and device, which nothing here may set back. */
type LastCounters = Map<string, number>;

const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

function keyOf(family: string, labels: Readonly<Record<string, string>>): string {
  return `${family} ${JSON.stringify(Object.entries(labels).sort())}`;
}

/** The series of a guest but for those of its balloon, which come and go with its driver. */
function expectedSeries(name: string, expected: Expected): string[] {
  const identity = {
    libvirtname: name,
    novaname: expected.novaname,
    novaproject: PROJECT.name,
  };
  const keys = (families: readonly string[], labels: Readonly<Record<string, string>>): string[] =>
    families.map((family) => keyOf(PREFIX + family, { ...identity, ...labels }));
  return [
    ...keys(["cpu_time_total", "vcpu_count", "total_vcpu", "scrape_success"], {}),
    ...Object.entries(expected.disks).flatMap(([targetdev, cindervolume]) =>
      keys(["rdbytes", "wrbytes", "rdreq", "wrreq"], { targetdev, cindervolume, disktype: "file" })
    ),
    ...Object.entries(expected.interfaces).flatMap(([iface, macaddr]) =>
      keys(["rxbytes", "txbytes"], { iface, macaddr })
    ),
  ].sort();
}

/** Fails unless the page tells of the guest exactly what is expected, and all of it. */
function judge(
  page: AnsweredScrape,
  name: string,
  expected: Expected | undefined,
  last?: LastCounters,
): void {
  assert.equal(page.up, 1);
  const samples = FAMILIES.flatMap((family) =>
    (page.families.get(family.name)?.samples ?? [])
      .filter(({ labels }) => labels["libvirtname"] === name)
      .map((sample) => ({ ...sample, type: family.type }))
  );
  const series = samples.map((sample) => keyOf(sample.name, sample.labels));
  if (expected === undefined) {
    assert.deepEqual(series, []);
    return;
  }
  const withoutBalloon = series.filter((key) => !key.startsWith(`${PREFIX}memory_`));
  assert.deepEqual(withoutBalloon.sort(), expectedSeries(name, expected));
  assert.equal(page.value(`${PREFIX}scrape_success`, { libvirtname: name }), 1);
  for (const { name: family, labels, value, type } of samples) {
    if (type !== "counter") continue;
    const counter = `${family} ${labels["targetdev"] ?? labels["iface"] ?? ""}`;
    const before = last?.get(counter) ?? 0;
    assert.ok(value >= before, `${counter} went from ${before} to ${value}`);
    last?.set(counter, value);
  }
}

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
  } catch (error) {
    console.log("SECOND", String(error).slice(0, 300));
    await sleep(EVENT_MILLISECONDS);
  }
  const second = await exporter.scrape();
  judgeOf(second);
  return second;
}

/** Makes an empty raw file for a disk. */
function makeDiskFile(hypervisor: Hypervisor, name: string): string {
  const file = `${hypervisor.directory}/disks/${name}.raw`;
  Deno.writeTextFileSync(file, "");
  Deno.truncateSync(file, 16 * BYTES_PER_MEBIBYTE);
  return file;
}

async function attachDisk(
  hypervisor: Hypervisor,
  guest: string,
  target: string,
  serial: string,
): Promise<void> {
  const file = makeDiskFile(hypervisor, `${guest}-${target}`);
  const format = ["--targetbus", "virtio", "--driver", "qemu", "--subdriver", "raw"];
  await hypervisor.virsh(
    "attach-disk",
    guest,
    file,
    target,
    ...format,
    "--serial",
    serial,
    "--live",
  );
}

async function attachInterface(
  hypervisor: Hypervisor,
  guest: string,
  xml: string,
): Promise<void> {
  const file = `${hypervisor.directory}/interface.xml`;
  Deno.writeTextFileSync(file, xml);
  await hypervisor.virsh("attach-device", guest, file, "--live");
}

function tapInterface(target: string, macAddress: string): string {
  return `<interface type="ethernet"><mac address="${macAddress}"/><target dev="${target}"/>` +
    `<model type="virtio"/></interface>`;
}

/** Unplugs a network card, which takes until the guest has let go of it. */
async function detachInterface(
  { virsh }: Hypervisor,
  guest: string,
  type: string,
  macAddress: string,
): Promise<void> {
  await virsh("detach-interface", guest, type, "--mac", macAddress, "--live");
  await waitUntil(
    `card "${macAddress}" to be unplugged`,
    20_000,
    async () => !(await virsh("domiflist", guest)).includes(macAddress) || undefined,
  );
}

/** Sets, as Nova does, the metadata of one of its versions beside what there is of others. */
async function setMetadata(
  { virsh }: Hypervisor,
  guest: string,
  version: "1.0" | "1.1",
  name: string,
): Promise<void> {
  const xml = novaMetadata({ version, name, project: PROJECT });
  await virsh("metadata", guest, namespaceOf(version), "--live", "--key", "instance", "--set", xml);
}

function namespaceOf(version: "1.0" | "1.1"): string {
  return `http://openstack.org/xmlns/libvirt/nova/${version}`;
}

if (host.available) {
  Deno.test("whatever happens to a guest is on the next page", async (context) => {
    await using hypervisor = await startHypervisor({ guests: GUESTS });
    const { virsh } = hypervisor;
    await hypervisor.waitForGuestReady(RUNNING);
    await using exporter = await startExporterProcess(hypervisor.readOnlyUri);

    let expected: Expected = {
      novaname: "first",
      disks: { vda: "" },
      interfaces: { "tap567a4527-b0": "fa:16:3e:00:00:01" },
    };
    let paused: Expected = { novaname: "paused", disks: {}, interfaces: {} };
    const bystander: Expected = {
      novaname: "bystander",
      disks: { vda: OTHER_VOLUME },
      interfaces: { "tap567a4527-b9": "fa:16:3e:00:00:09" },
    };
    const counters: LastCounters = new Map();
    const nextPage = (): Promise<AnsweredScrape> =>
      pageAfterChange(exporter, (page) => {
        judge(page, RUNNING, expected, counters);
        judge(page, PAUSED, paused);
        judge(page, BYSTANDER, bystander);
      });
    const ofVolume = (family: string): (page: AnsweredScrape) => number => (page) =>
      page.value(PREFIX + family, { cindervolume: VOLUME }) ?? NaN;

    await context.step("nothing, at first", async () => {
      await nextPage();
    });

    await context.step("a disk that is plugged in, and its traffic", async () => {
      await attachDisk(hypervisor, RUNNING, "vdb", VOLUME);
      expected = { ...expected, disks: { vda: "", vdb: VOLUME } };
      await nextPage();
      await waitUntil(
        "the guest to use the new disk",
        20_000,
        async () => ofVolume("wrbytes")(await nextPage()) > 0 || undefined,
      );
    });

    await context.step("the first disk of a guest, though it is paused", async () => {
      await attachDisk(hypervisor, PAUSED, "vda", "first-volume");
      paused = { ...paused, disks: { vda: "first-volume" } };
      await nextPage();
    });

    await context.step("a disk that is unplugged", async () => {
      await virsh("detach-disk", RUNNING, "vdb", "--live");
      await waitUntil(
        "the disk to be unplugged",
        20_000,
        async () => !(await virsh("domblklist", RUNNING)).includes("vdb") || undefined,
      );
      expected = { ...expected, disks: { vda: "" } };
      await nextPage();
    });

    await context.step("a network card that is plugged in and unplugged", async () => {
      const { interfaces } = expected;
      await attachInterface(
        hypervisor,
        RUNNING,
        tapInterface("tap567a4527-b1", "fa:16:3e:00:00:02"),
      );
      expected = {
        ...expected,
        interfaces: { ...interfaces, "tap567a4527-b1": "fa:16:3e:00:00:02" },
      };
      await nextPage();
      await detachInterface(hypervisor, RUNNING, "ethernet", "fa:16:3e:00:00:02");
      expected = { ...expected, interfaces };
      await nextPage();
    });

    await context.step(
      "the other cards of a guest beside one without a device on the host",
      async () => {
        await attachInterface(
          hypervisor,
          RUNNING,
          `<interface type="user"><mac address="fa:16:3e:00:00:03"/><model type="virtio"/></interface>`,
        );
        await nextPage();
        await attachInterface(
          hypervisor,
          RUNNING,
          tapInterface("tap567a4527-b2", "fa:16:3e:00:00:04"),
        );
        const { interfaces } = expected;
        expected = {
          ...expected,
          interfaces: { ...interfaces, "tap567a4527-b2": "fa:16:3e:00:00:04" },
        };
        await nextPage();
        const statistics = await virsh("domstats", RUNNING, "--interface");
        assert.match(statistics, /net\.0\.name=tap567a4527-b0\n/);
        assert.doesNotMatch(statistics, /net\.1\./);
        assert.match(statistics, /net\.2\.name=tap567a4527-b2\n/);
        await detachInterface(hypervisor, RUNNING, "user", "fa:16:3e:00:00:03");
        await nextPage();
        assert.match(
          await virsh("domstats", RUNNING, "--interface"),
          /net\.1\.name=tap567a4527-b2\n/,
        );
      },
    );

    await context.step(
      "another name, and metadata of a newer version beside the older",
      async () => {
        await setMetadata(hypervisor, RUNNING, "1.0", "renamed");
        expected = { ...expected, novaname: "renamed" };
        await nextPage();
        await setMetadata(hypervisor, RUNNING, "1.1", "newer");
        expected = { ...expected, novaname: "newer" };
        await nextPage();
        await setMetadata(hypervisor, RUNNING, "1.0", "older");
        await nextPage();
        await virsh("metadata", RUNNING, namespaceOf("1.1"), "--live", "--remove");
        expected = { ...expected, novaname: "older" };
        await nextPage();
        await setMetadata(hypervisor, PAUSED, "1.1", "paused and renamed");
        paused = { ...paused, novaname: "paused and renamed" };
        await nextPage();
      },
    );

    await context.step("the same disk after a live snapshot of it", async () => {
      const overlay = `vda,file=${hypervisor.directory}/disks/overlay.qcow2`;
      const flags = ["--disk-only", "--no-metadata", "--atomic"];
      await virsh("snapshot-create-as", RUNNING, ...flags, "--diskspec", overlay);
      assert.match(await virsh("domblklist", RUNNING), /vda\s+\S+overlay\.qcow2/);
      await nextPage();
    });

    await context.step("a guest that is suspended and resumed", async () => {
      await hypervisor.suspend(RUNNING);
      await nextPage();
      await hypervisor.resume(RUNNING);
      await nextPage();
    });

    await context.step("a guest that is told to reboot, and one that is reset", async () => {
      await virsh("reboot", RUNNING);
      await nextPage();
      const run = await virsh("domid", RUNNING);
      await hypervisor.startGuest;
      await virsh("reset", RUNNING);
      await nextPage();
      assert.equal(await virsh("domid", RUNNING), run);
    });

    await context.step("a guest that is saved, and started again", async () => {
      await virsh("managedsave", RUNNING);
      const page = await exporter.scrape();
      judge(page, RUNNING, undefined);
      judge(page, PAUSED, paused);
      judge(page, BYSTANDER, bystander);
      await virsh("start", RUNNING);
      counters.clear();
      await nextPage();
    });

    await context.step(
      "a guest that moves to another hypervisor, on the pages of both",
      async () => {
        // libvirt refuses to move a guest to what it takes for the same machine.
        await using target = await startHypervisor({
          libvirtdSettings: { host_uuid: crypto.randomUUID() },
        });
        await using targetExporter = await startExporterProcess(target.readOnlyUri);
        judge(await targetExporter.scrape(), RUNNING, undefined);
        let hasMoved = false;
        const pages: AnsweredScrape[] = [];
        const watch = async (): Promise<void> => {
          while (!hasMoved) {
            pages.push(await exporter.scrape(), await targetExporter.scrape());
            await sleep(50);
          }
        };
        const move = async (): Promise<void> => {
          try {
            await virsh(
              "migrate",
              "--live",
              "--unsafe",
              RUNNING,
              target.readWriteUri,
              // Their networks are apart.
              "--migrateuri",
              `unix://${hypervisor.directory}/migration`,
            );
          } finally {
            hasMoved = true;
          }
        };
        await Promise.all([watch(), move()]);
        for (const page of pages) {
          assert.equal(page.up, 1);
          for (const novaname of page.labelValues(`${PREFIX}cpu_time_total`, "novaname")) {
            assert.ok(["older", "paused and renamed", "bystander"].includes(novaname), novaname);
          }
        }
        const left = await exporter.scrape();
        judge(left, RUNNING, undefined);
        judge(left, PAUSED, paused);
        judge(left, BYSTANDER, bystander);
        await pageAfterChange(targetExporter, (page) => judge(page, RUNNING, expected));
        assert.equal(await targetExporter.stop(), 0);
      },
    );

    await context.step("without a word in the log", async () => {
      console.log(exporter.logLines().join("\n"));
      assert.equal(exporter.logLines().filter((line) => !line.includes("level=info")).length, 0);
      assert.equal(await exporter.stop(), 0);
    });
  });
}
