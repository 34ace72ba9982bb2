import assert from "node:assert/strict";
import { COLLECTORS } from "../../src/metrics/mod.ts";
import { outputOf } from "../../testing/command.ts";
import type { AnsweredScrape } from "../../testing/exporter_process.ts";
import type { ParsedSample } from "../../testing/parse_page.ts";
import { novaMetadata } from "../../testing/libvirt/guest_xml.ts";
import { ensureHypervisorHost } from "../../testing/libvirt/host.ts";
import type { Hypervisor } from "../../testing/libvirt/hypervisor.ts";
import { waitUntil } from "../../testing/wait_until.ts";

/** Whether a private libvirtd can run here. */
export const host = await ensureHypervisorHost();

/** What the names of all instance families begin with. */
export const PREFIX = "libvirt_nova_instance_";

const FAMILIES = COLLECTORS.flatMap(({ families }) => families);

/** How many bytes a mebibyte has. */
export const BYTES_PER_MEBIBYTE = 1024 * 1024;

/** The project of all guests. */
export const PROJECT = { id: "38bd8e984a3e435a87e950a441ee55aa", name: "storage" };

/** What a page has to tell of a guest. */
export interface Expected {
  readonly novaname: string;
  /** By target. */
  readonly disks: Readonly<Record<string, ExpectedDisk>>;
  /** Addresses by device on the host. */
  readonly interfaces: Readonly<Record<string, string>>;
}

/** The labels of a disk that depend on what is attached. */
export interface ExpectedDisk {
  readonly cindervolume: string;
  readonly disktype: "file" | "network";
}

/** The counters of a guest as they were last, by family and device, which nothing here may set back. */
export type LastCounters = Map<string, number>;

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
export function expectedSeries(name: string, expected: Expected): string[] {
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
export function samplesOfGuest(
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
export function seriesOf(page: AnsweredScrape, guest: string): string[] {
  return samplesOfGuest(page, guest)
    .filter(({ name, type }) => type !== "info" && !name.startsWith(`${PREFIX}memory_`))
    .map(({ key }) => key).sort();
}

/** What describes a guest's disks and those of its network cards that the host has a device for. */
function descriptionOf(
  page: AnsweredScrape,
  guest: string,
): Pick<Expected, "disks" | "interfaces"> & { readonly instances: number } {
  const labelsOf = (family: string): readonly Readonly<Record<string, string>>[] =>
    samplesOfGuest(page, guest).filter(({ name }) => name === PREFIX + family)
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
export function judge(
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
  for (const { name, labels, value, type } of samplesOfGuest(page, guest)) {
    if (type !== "counter") continue;
    const device = labels["targetdev"] ?? labels["iface"] ?? labels["target_device"] ?? "";
    const counter = `${name} ${device}`;
    const before = last?.get(counter) ?? 0;
    assert.ok(value >= before, `${counter} went from ${before} to ${value}`);
    last?.set(counter, value);
  }
}

/** Makes an empty raw file for a disk. */
function makeDiskFile(hypervisor: Hypervisor, name: string): string {
  const file = `${hypervisor.directory}/disks/${name}.raw`;
  Deno.writeTextFileSync(file, "");
  Deno.truncateSync(file, 16 * BYTES_PER_MEBIBYTE);
  return file;
}

/** Attaches a new disk, with a serial, to a guest that runs. */
export async function attachDisk(
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

/** Attaches a network card to a guest that runs. */
export async function attachInterface(
  hypervisor: Hypervisor,
  guest: string,
  xml: string,
): Promise<void> {
  const file = `${hypervisor.directory}/interface.xml`;
  Deno.writeTextFileSync(file, xml);
  await hypervisor.virsh("attach-device", guest, file, "--live");
}

/** The document of a network card that has a tap device on the host. */
export function tapInterface(target: string, macAddress: string): string {
  return `<interface type="ethernet"><mac address="${macAddress}"/><target dev="${target}"/>` +
    `<model type="virtio"/></interface>`;
}

/** Unplugs a network card, which takes until the guest has let go of it. */
export async function detachInterface(
  { virsh }: Hypervisor,
  guest: string,
  type: string,
  macAddress: string,
): Promise<void> {
  await virsh("detach-interface", guest, type, "--mac", macAddress, "--live");
  await waitUntil(
    `card "${macAddress}" to be unplugged`,
    async () => !(await virsh("domiflist", guest)).includes(macAddress) || undefined,
    20_000,
  );
}

/** Sets, as Nova does, the metadata of one of its versions beside what there is of others. */
export async function setMetadata(
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
export async function serveDisk(hypervisor: Hypervisor): Promise<string> {
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

/** The namespace of a version of Nova's metadata. */
export function namespaceOf(version: "1.0" | "1.1"): string {
  return `http://openstack.org/xmlns/libvirt/nova/${version}`;
}
