import assert from "node:assert/strict";
import { COLLECTORS } from "../../src/metrics/mod.ts";
import { outputOf } from "./command.ts";
import {
  type AnsweredScrape,
  type ExporterProcess,
  startExporterProcess,
} from "./exporter_process.ts";
import type { ParsedSample } from "../support/parse_page.ts";
import { novaMetadata } from "./guest_xml.ts";
import { ensureHypervisorHost } from "./host.ts";
import { type Hypervisor, type InitialGuest, startHypervisor } from "./hypervisor.ts";
import { pause, waitUntil } from "./wait_until.ts";

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
  /** By target. */
  readonly disks: Readonly<Record<string, ExpectedDisk>>;
  /** Addresses by device on the host. */
  readonly interfaces: Readonly<Record<string, string>>;
}

interface ExpectedDisk {
  readonly cindervolume: string;
  readonly disktype: "file" | "network";
}

/** The counters of a guest as they were last, by family and device, which nothing here may set back. */
type LastCounters = Map<string, number>;

function keyOf(family: string, labels: Readonly<Record<string, string>>): string {
  return `${family} ${JSON.stringify(Object.entries(labels).sort())}`;
}

/** Families of which every guest has one series, of those that are collected by default. */
const OF_INSTANCE = [
  "cpu_time_total",
  "cpu_seconds_total",
  "cpu_user_seconds_total",
  "cpu_system_seconds_total",
  "vcpu_count",
  "total_vcpu",
  "vcpus",
  "vcpus_maximum",
  "state_code",
  "metadata_created_timestamp_seconds",
  "scrape_success",
];

/** Likewise of each disk and of each network card. */
const OF_DISK = [
  "block_read_bytes_total",
  "block_written_bytes_total",
  "block_read_requests_total",
  "block_write_requests_total",
  "block_flush_requests_total",
  "block_read_seconds_total",
  "block_write_seconds_total",
  "block_flush_seconds_total",
];
const OF_INTERFACE = [
  "interface_link_up",
  ...["receive", "transmit"].flatMap((direction) =>
    ["bytes", "packets", "errors", "drops"].map((what) => `interface_${direction}_${what}_total`)
  ),
];

/**
 * The series of a guest but for those of its balloon, which come and go with its driver, and those that only describe it.
 */
function expectedSeries(name: string, expected: Expected): string[] {
  const identity = {
    libvirtname: name,
    novaname: expected.novaname,
    novaproject: PROJECT.name,
  };
  const keys = (families: readonly string[], labels: Readonly<Record<string, string>>): string[] =>
    families.map((family) => keyOf(PREFIX + family, { ...identity, ...labels }));
  return [
    ...keys(OF_INSTANCE, {}),
    ...Object.entries(expected.disks).flatMap(([targetdev, disk]) => [
      ...keys(["rdbytes", "wrbytes", "rdreq", "wrreq"], { targetdev, ...disk }),
      ...keys(OF_DISK, { "target_device": targetdev }),
    ]),
    ...Object.entries(expected.interfaces).flatMap(([iface, macaddr]) => [
      ...keys(["rxbytes", "txbytes"], { iface, macaddr }),
      ...keys(OF_INTERFACE, { "target_device": iface }),
    ]),
  ].sort();
}

/** The samples of a guest, each with the key of its series. */
function samplesOf(
  page: AnsweredScrape,
  guest: string,
): readonly (ParsedSample & { readonly key: string; readonly type: string })[] {
  return FAMILIES.flatMap(({ name, type }) =>
    (page.families.get(name)?.samples ?? [])
      .filter(({ labels }) => labels["libvirtname"] === guest)
      .map((sample) => ({ ...sample, type, key: keyOf(name, sample.labels) }))
  );
}

/** The series of a guest on a page, but for those of its balloon and those that only describe it. */
function seriesOf(page: AnsweredScrape, guest: string): string[] {
  return samplesOf(page, guest)
    .filter(({ name, type }) => type !== "info" && !name.startsWith(`${PREFIX}memory_`))
    .map(({ key }) => key).sort();
}

/** What describes a guest's disks and those of its network cards that the host has a device for. */
function descriptionOf(
  page: AnsweredScrape,
  guest: string,
): Pick<Expected, "disks" | "interfaces"> & { readonly instances: number } {
  const labelsOf = (family: string): readonly Readonly<Record<string, string>>[] =>
    samplesOf(page, guest).filter(({ name }) => name === PREFIX + family)
      .map(({ labels }) => labels);
  return {
    instances: labelsOf("info").length,
    disks: Object.fromEntries(
      labelsOf("block_info").map((labels) => [
        labels["target_device"],
        { cindervolume: labels["volume_id"], disktype: labels["source_type"] },
      ]),
    ),
    interfaces: Object.fromEntries(
      labelsOf("interface_info").filter((labels) => labels["target_device"] !== "")
        .map((labels) => [labels["target_device"], labels["mac_address"]]),
    ),
  };
}

/** Fails unless the page tells of the guest what is expected, all of it and nothing else. */
function judge(
  page: AnsweredScrape,
  guest: string,
  expected: Expected,
  last?: LastCounters,
): void {
  assert.equal(page.up, 1);
  assert.deepEqual(seriesOf(page, guest), expectedSeries(guest, expected));
  const { disks, interfaces } = expected;
  assert.deepEqual(descriptionOf(page, guest), { instances: 1, disks, interfaces });
  assert.equal(page.value(`${PREFIX}scrape_success`, { libvirtname: guest }), 1);
  for (const { name, labels, value, type } of samplesOf(page, guest)) {
    if (type !== "counter") continue;
    const device = labels["targetdev"] ?? labels["iface"] ?? labels["target_device"] ?? "";
    const counter = `${name} ${device}`;
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
  } catch {
    await pause(EVENT_MILLISECONDS);
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

/**
 * Serves a new disk file over the network block protocol, until the hypervisor ends.
 *
 * @returns a document of a disk that is behind it
 */
async function serveDisk(hypervisor: Hypervisor): Promise<string> {
  const file = makeDiskFile(hypervisor, "served");
  const socket = `${hypervisor.directory}/block.sock`;
  // In the hypervisor's process namespace, so that it has the same end.
  const inside = ["--target", String(hypervisor.libvirtdPid()), "--mount", "--pid"];
  await outputOf("nsenter", [
    ...inside,
    "qemu-storage-daemon",
    ...["--blockdev", `driver=file,filename=${file},node-name=file`],
    ...["--nbd-server", `addr.type=unix,addr.path=${socket}`],
    ...["--export", "type=nbd,id=export,node-name=file,name=served,writable=on"],
    "--daemonize",
  ]);
  const document = `${hypervisor.directory}/served.xml`;
  Deno.writeTextFileSync(
    document,
    `<disk type="network" device="disk"><driver name="qemu" type="raw"/>` +
      `<source protocol="nbd" name="served"><host transport="unix" socket="${socket}"/></source></disk>`,
  );
  return document;
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
      await waitUntil("the guest to use the new disk", 20_000, async () => {
        const page = await nextPage();
        return (page.value(`${PREFIX}wrbytes`, { cindervolume: VOLUME }) ?? 0) > 0 || undefined;
      });
    });

    await context.step("the first disk of a guest, though it is paused", async () => {
      await attachDisk(hypervisor, PAUSED, "vda", "first-volume");
      paused = { ...paused, disks: { vda: { ...local, cindervolume: "first-volume" } } };
      await nextPage();
    });

    await context.step("a disk that is unplugged", async () => {
      await virsh("detach-disk", RUNNING, "vdb", "--live");
      await waitUntil("the disk to be unplugged", 20_000, async () => {
        return !(await virsh("domblklist", RUNNING)).includes("vdb") || undefined;
      });
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
      assert.deepEqual(samplesOf(page, RUNNING), []);
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
      assert.deepEqual(samplesOf(await targetExporter.scrape(), RUNNING), []);
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
      assert.deepEqual(samplesOf(page, RUNNING), []);
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
