import { childElements, parseXml, textOf, type XmlElement } from "./xml_namespace.ts";
import { quote, type WantedElements } from "./xml_syntax.ts";

/** A flavor as Nova wrote it when it last wrote the metadata. What is missing is `""` or `undefined`. */
export interface NovaFlavor {
  readonly name: string;
  /** Written since Nova 32. */
  readonly id: string;
  readonly memoryMebibytes: number | undefined;
  readonly diskGibibytes: number | undefined;
  readonly swapMebibytes: number | undefined;
  readonly ephemeralGibibytes: number | undefined;
  readonly virtualCpus: number | undefined;
}

/** One address of a port. */
export interface NovaAddress {
  /** `fixed` or `floating`. */
  readonly type: string;
  readonly address: string;
  /** `4` or `6`. */
  readonly ipVersion: string;
}

/** A Neutron port of an instance. */
export interface NovaPort {
  readonly id: string;
  readonly addresses: readonly NovaAddress[];
}

/** What Nova says about an instance. Texts that are missing are `""`. */
export interface NovaInstance {
  /** The version in the namespace the data was read from: `1.0`, `1.1`, or a later `1.<minor>`. */
  readonly metadataVersion: string;
  /** The display name: any text, exactly as Nova wrote it. */
  readonly name: string;
  readonly projectName: string;
  readonly projectId: string;
  readonly userName: string;
  readonly userId: string;
  /** The release of Nova that wrote the data, such as `34.0.0`. */
  readonly packageVersion: string;
  /** In UTC, such as `2024-06-01 10:00:00`. */
  readonly creationTime: string;
  /** The same in Unix time; `undefined` when it is of another form or no date of the calendar. */
  readonly creationTimeSeconds: number | undefined;
  readonly flavor: NovaFlavor;
  /** Empty for an instance that boots from a volume. */
  readonly rootImageId: string;
  /** `image` or `volume`. */
  readonly rootType: string;
  /** Written since Nova 23. */
  readonly ports: readonly NovaPort[];
}

const IO_TUNE_LIMITS = [
  "total_bytes_sec",
  "read_bytes_sec",
  "write_bytes_sec",
  "total_iops_sec",
  "read_iops_sec",
  "write_iops_sec",
  "total_bytes_sec_max",
  "read_bytes_sec_max",
  "write_bytes_sec_max",
  "total_iops_sec_max",
  "read_iops_sec_max",
  "write_iops_sec_max",
  "total_bytes_sec_max_length",
  "read_bytes_sec_max_length",
  "write_bytes_sec_max_length",
  "total_iops_sec_max_length",
  "read_iops_sec_max_length",
  "write_iops_sec_max_length",
  "size_iops_sec",
] as const;

/** libvirt's name of a limit that a disk can have. */
export type IoTuneLimit = typeof IO_TUNE_LIMITS[number];

/** Limits by libvirt's name. Plain objects, as a host may have thousands of them, and maps are larger. */
export type IoTuneLimits = Readonly<Partial<Record<IoTuneLimit, number>>>;

/** How a disk is throttled. libvirt keeps this true when the limits of a running domain change. */
export interface IoTune {
  /**
   * The limits that libvirt wrote; it writes none that is not set. `…_bytes_sec` are bytes in a second, `…_iops_sec`
   * requests in a second, the same with `_max` what a burst may reach and with `_max_length` for how many
   * seconds, and `size_iops_sec` the bytes up to which a request counts as one.
   */
  readonly limits: IoTuneLimits;
  /** Disks of one domain that have the same name here share their limits. `""` when missing. */
  readonly groupName: string;
}

/** A disk of a domain. Texts that are missing are `""`. */
export interface Disk {
  /** The device name by which libvirt's statistics know it, such as `vda`. */
  readonly target: string;
  /** `file`, `block`, `network`, `volume`… */
  readonly type: string;
  /** `disk`, `cdrom`, `floppy` or `lun`. */
  readonly device: string;
  /** `virtio`, `scsi`, `ide`… */
  readonly bus: string;
  /** For a Cinder volume its id. */
  readonly serial: string;
  /** The file, device, directory, image or volume name, or socket that is behind it. */
  readonly source: string;
  /** How a disk of type `network` is reached: `rbd`, `iscsi`, `nbd`… */
  readonly sourceProtocol: string;
  /** The format of what is behind it: `raw`, `qcow2`… */
  readonly driverType: string;
  /** `none`, `writeback`, `writethrough`, `directsync` or `unsafe`. */
  readonly cache: string;
  /** What becomes of discard requests: `unmap` or `ignore`. */
  readonly discard: string;
  /** How QEMU does its I/O: `native`, `threads` or `io_uring`. */
  readonly io: string;
  readonly isReadOnly: boolean;
  readonly isShareable: boolean;
  /** `undefined` when the disk is not throttled. */
  readonly ioTune: IoTune | undefined;
}

/**
 * How an interface is shaped in one direction, in libvirt's own units. It calls them kilobytes; `tc`, to which it
 * passes the numbers on as `kbps` and `kb`, makes 1000 bytes of one of a rate and 1024 of one of a burst.
 */
export interface BandwidthLimit {
  readonly averageKilobytesPerSecond: number | undefined;
  readonly peakKilobytesPerSecond: number | undefined;
  readonly burstKilobytes: number | undefined;
  /** What the interface gets at least; inbound only. */
  readonly floorKilobytesPerSecond: number | undefined;
}

/** How an interface is shaped. Inbound is what the guest receives. */
export interface Bandwidth {
  readonly inbound: BandwidthLimit | undefined;
  readonly outbound: BandwidthLimit | undefined;
}

/** A network interface of a domain. Texts that are missing are `""`, but for the target. */
export interface NetworkInterface {
  /** The device on the host, such as `tap567a4527-b0`; `undefined` when libvirt gave none. */
  readonly target: string | undefined;
  readonly macAddress: string;
  readonly model: string;
  /** `bridge`, `network`, `ethernet`, `direct`, `vhostuser`… */
  readonly type: string;
  /** The network, bridge, device or socket that it is connected to. */
  readonly source: string;
  /** The bridge that it is on: the one that it names, or with type `network` the one of that network. */
  readonly bridge: string;
  /** libvirt's network that it is on, which has nothing to do with Neutron's. */
  readonly network: string;
  /** From the virtual port, else the port of Nova's list after which the target is named. */
  readonly neutronPortId: string;
  /** `openvswitch`, `midonet`, `802.1Qbg` or `802.1Qbh`. */
  readonly virtualPortType: string;
  /** The tags that libvirt sets, in document order; more than one is a trunk. Neutron sets its own beside them. */
  readonly vlanTags: readonly number[];
  /** `undefined` when libvirt leaves it to the host. */
  readonly mtuBytes: number | undefined;
  /** Who moves the packets: `vhost` or `qemu`. */
  readonly driverName: string;
  readonly queues: number | undefined;
  /** `up` or `down` as set by hand, and kept by libvirt; a link that was never set has `""` and is up. */
  readonly linkState: string;
  /** `undefined` when it is not shaped. */
  readonly bandwidth: Bandwidth | undefined;
}

/** What the exporter needs to know from one domain's XML. */
export interface DomainDescription {
  readonly name: string;
  readonly uuid: string;
  /** `kvm`, `qemu` for emulation, `test`… */
  readonly hypervisorType: string;
  /** What the guest sees: `hvm` for a whole machine. */
  readonly operatingSystemType: string;
  /** Of the guest, such as `x86_64`. */
  readonly architecture: string;
  /** Such as `pc-q35-7.2`. */
  readonly machineType: string;
  /** `undefined` when Nova wrote nothing that is understood. */
  readonly nova: NovaInstance | undefined;
  /** Why Nova's metadata is there and yet not understood; the rest of the description holds all the same. */
  readonly novaProblem: string | undefined;
  readonly maximumVirtualCpus: number | undefined;
  readonly currentVirtualCpus: number | undefined;
  /** The most that the guest can have. */
  readonly memoryBytes: number | undefined;
  /** What the balloon is set to; where libvirt gives none, all that the guest can have. */
  readonly currentMemoryBytes: number | undefined;
  readonly disks: readonly Disk[];
  readonly interfaces: readonly NetworkInterface[];
}

/** Says in one line why a domain's XML could not be read. */
export class DomainXmlError extends Error {
  override readonly name = "DomainXmlError";
}

const NOVA_NAMESPACE = /^http:\/\/openstack\.org\/xmlns\/libvirt\/nova\/1\.(0|[1-9][0-9]{0,8})$/;
const NOTHING_INSIDE: WantedElements = only({});
/** What is read; most of a document describes devices and features that no metric needs. */
const WANTED: WantedElements = only({
  ...whole("name", "uuid", "memory", "currentMemory", "vcpu"),
  os: only(whole("type")),
  metadata: only({
    instance: only({
      ...whole("package", "name", "creationTime", "root", "ports"),
      flavor: only(whole("memory", "disk", "swap", "ephemeral", "vcpus")),
      owner: only(whole("user", "project")),
    }),
  }),
  devices: only({
    disk: only({
      ...bare("target", "source", "driver", "readonly", "shareable"),
      ...whole("serial", "iotune"),
    }),
    interface: only({
      ...bare("target", "source", "mac", "model", "mtu", "driver", "link"),
      ...whole("virtualport", "vlan", "bandwidth"),
    }),
  }),
});
const NO_NAMESPACE = "";
const DISK_SOURCE_ATTRIBUTES = ["file", "dev", "dir", "name", "volume", "path"];
const INTERFACE_SOURCE_ATTRIBUTES = ["network", "bridge", "dev", "path"];
const NO_TAGS: readonly number[] = [];
/** As Python writes a time that has no time zone, down to the second. */
const CREATION_TIME = /^([0-9]{4}-[0-9]{2}-[0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2})$/;
/** A unit of an amount of memory: `b`, `byte` or `bytes`, or a prefix alone, with `iB` or with `B`. */
const MEMORY_UNIT = /^(?:b|bytes?|([kmgtpe])(i?b)?)$/i;
const MEMORY_PREFIXES = "kmgtpe";
/** Linux allows 15 characters; Nova cuts at 14. */
const TAP_NAME_LENGTH = 14;

/**
 * Reads the XML of one domain, as libvirt or Nova writes it.
 *
 * - Namespaces count by URI, never by prefix. libvirt's own elements are in no namespace.
 * - Of Nova's metadata the newest `…/nova/1.<minor>` counts, also a minor newer than those known,
 *   for Nova raises the minor when it adds something and the major when it breaks something. Another
 *   major is no metadata.
 * - An element that is read and may stand only once must not stand twice in its parent: nobody could say
 *   which one counts. In libvirt's part this is an error; in Nova's part, where it includes Nova's element
 *   twice in one version, the instance has no `nova` and a `novaProblem`. Elements that are not read may
 *   stand as often as they like.
 * - Numbers that are not plain decimal integers are `undefined`.
 *
 * @throws {DomainXmlError} and nothing else, when the document is not well-formed, not a domain, has
 * an element twice, declares a document type, or is longer or deeper than `xml_syntax.ts` allows
 */
export function parseDomainXml(xml: string): DomainDescription {
  const domain = readRoot(xml);
  if (domain.localName !== "domain" || domain.namespace !== NO_NAMESPACE) {
    throw new DomainXmlError(
      `Domain XML begins with element ${quote(domain.localName)} of namespace ` +
        `${quote(domain.namespace ?? "")}, pass one that begins with "domain" of no namespace`,
    );
  }
  const children = childElements(domain);
  const { nova, novaProblem } = readNova(children);
  const operatingSystem = onlyElement(childrenOf(onlyElement(children, "os")), "type");
  const memoryBytes = toBytes(onlyElement(children, "memory"));
  const currentMemory = onlyElement(children, "currentMemory");
  const virtualCpus = onlyElement(children, "vcpu");
  const maximumVirtualCpus = toInteger(textIn(virtualCpus));
  const devices = childrenOf(onlyElement(children, "devices"));
  const portIds = portIdsByTarget(nova?.ports ?? []);
  return {
    name: textIn(onlyElement(children, "name")),
    uuid: textIn(onlyElement(children, "uuid")),
    hypervisorType: attributeOf(domain, "type"),
    operatingSystemType: textIn(operatingSystem),
    architecture: attributeOf(operatingSystem, "arch"),
    machineType: attributeOf(operatingSystem, "machine"),
    nova,
    novaProblem,
    maximumVirtualCpus,
    currentVirtualCpus: toInteger(attributeOf(virtualCpus, "current")) ?? maximumVirtualCpus,
    memoryBytes,
    currentMemoryBytes: currentMemory === undefined ? memoryBytes : toBytes(currentMemory),
    disks: elementsNamed(devices, "disk").map(readDisk),
    interfaces: elementsNamed(devices, "interface").map((element) =>
      readInterface(element, portIds)
    ),
  };
}

/**
 * The fixed addresses of a Neutron port in the order in which Nova wrote them.
 *
 * @param neutronPortId of a {@link NetworkInterface}
 * @returns nothing for a port that Nova's metadata does not list, as before Nova 23
 */
export function fixedAddressesOf(
  nova: NovaInstance | undefined,
  neutronPortId: string,
): readonly string[] {
  if (nova === undefined || neutronPortId === "") return [];
  return nova.ports.filter(({ id }) => id === neutronPortId)
    .flatMap(({ addresses }) => addresses.filter(({ type }) => type === "fixed"))
    .map(({ address }) => address);
}

function readRoot(xml: string): XmlElement {
  try {
    return parseXml(xml, WANTED);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new DomainXmlError(`Domain XML cannot be read: ${reason}`, { cause: error });
  }
}

/** What is wrong with Nova's metadata must not cost the domain its disks and interfaces. */
function readNova(
  children: readonly XmlElement[],
): Pick<DomainDescription, "nova" | "novaProblem"> {
  try {
    const nova = readNovaInstance(onlyElement(children, "metadata"));
    return { nova, novaProblem: undefined };
  } catch (error) {
    if (!(error instanceof DomainXmlError)) throw error;
    return { nova: undefined, novaProblem: error.message };
  }
}

function readNovaInstance(metadata: XmlElement | undefined): NovaInstance | undefined {
  const instances = new Map<number, XmlElement>();
  for (const element of childrenOf(metadata)) {
    const minor = novaMinor(element);
    if (minor === undefined) continue;
    if (instances.has(minor)) throw duplicate(element);
    instances.set(minor, element);
  }
  const newest = [...instances.keys()].reduce((left, right) => Math.max(left, right), -1);
  const instance = instances.get(newest);
  return instance === undefined ? undefined : toNovaInstance(`1.${newest}`, instance);
}

function novaMinor(element: XmlElement): number | undefined {
  if (element.localName !== "instance") return undefined;
  const minor = NOVA_NAMESPACE.exec(element.namespace ?? "")?.[1];
  return minor === undefined ? undefined : Number(minor);
}

function toNovaInstance(metadataVersion: string, instance: XmlElement): NovaInstance {
  const { namespace } = instance;
  const children = childElements(instance);
  const child = (name: string): XmlElement | undefined => onlyElement(children, name, namespace);
  const owner = childrenOf(child("owner"));
  const user = onlyElement(owner, "user", namespace);
  const project = onlyElement(owner, "project", namespace);
  const root = child("root");
  const creationTime = textIn(child("creationTime"));
  return {
    metadataVersion,
    name: textIn(child("name")),
    projectName: textIn(project),
    projectId: attributeOf(project, "uuid"),
    userName: textIn(user),
    userId: attributeOf(user, "uuid"),
    packageVersion: attributeOf(child("package"), "version"),
    creationTime,
    creationTimeSeconds: toUnixSeconds(creationTime),
    flavor: readFlavor(child("flavor"), namespace),
    rootImageId: attributeOf(root, "uuid"),
    rootType: attributeOf(root, "type"),
    ports: elementsNamed(childrenOf(child("ports")), "port", namespace).map(readPort),
  };
}

function readFlavor(flavor: XmlElement | undefined, namespace: string | undefined): NovaFlavor {
  const children = childrenOf(flavor);
  const amount = (name: string): number | undefined =>
    toInteger(textIn(onlyElement(children, name, namespace)));
  return {
    name: attributeOf(flavor, "name"),
    id: attributeOf(flavor, "id"),
    memoryMebibytes: amount("memory"),
    diskGibibytes: amount("disk"),
    swapMebibytes: amount("swap"),
    ephemeralGibibytes: amount("ephemeral"),
    virtualCpus: amount("vcpus"),
  };
}

function readPort(port: XmlElement): NovaPort {
  return {
    id: attributeOf(port, "uuid"),
    addresses: elementsNamed(childElements(port), "ip", port.namespace).map((address) => ({
      type: attributeOf(address, "type"),
      address: attributeOf(address, "address"),
      ipVersion: attributeOf(address, "ipVersion"),
    })),
  };
}

function readDisk(disk: XmlElement): Disk {
  const children = childElements(disk);
  const target = onlyElement(children, "target");
  const source = onlyElement(children, "source");
  const driver = onlyElement(children, "driver");
  return {
    target: attributeOf(target, "dev"),
    type: attributeOf(disk, "type"),
    device: attributeOf(disk, "device") || "disk",
    bus: attributeOf(target, "bus"),
    serial: textIn(onlyElement(children, "serial")),
    source: firstAttribute(source, DISK_SOURCE_ATTRIBUTES),
    sourceProtocol: attributeOf(source, "protocol"),
    driverType: attributeOf(driver, "type"),
    cache: attributeOf(driver, "cache"),
    discard: attributeOf(driver, "discard"),
    io: attributeOf(driver, "io"),
    isReadOnly: onlyElement(children, "readonly") !== undefined,
    isShareable: onlyElement(children, "shareable") !== undefined,
    ioTune: readIoTune(onlyElement(children, "iotune")),
  };
}

function readIoTune(element: XmlElement | undefined): IoTune | undefined {
  if (element === undefined) return undefined;
  const children = childElements(element);
  const limits: Partial<Record<IoTuneLimit, number>> = {};
  for (const name of IO_TUNE_LIMITS) {
    const limit = toInteger(textIn(onlyElement(children, name)));
    if (limit !== undefined) limits[name] = limit;
  }
  return { limits, groupName: textIn(onlyElement(children, "group_name")) };
}

function readInterface(
  element: XmlElement,
  portIds: ReadonlyMap<string, string>,
): NetworkInterface {
  const children = childElements(element);
  const target = attributeOf(onlyElement(children, "target"), "dev");
  const source = onlyElement(children, "source");
  const virtualPort = onlyElement(children, "virtualport");
  const parameters = onlyElement(childrenOf(virtualPort), "parameters");
  const driver = onlyElement(children, "driver");
  return {
    target: target || undefined,
    macAddress: attributeOf(onlyElement(children, "mac"), "address"),
    model: attributeOf(onlyElement(children, "model"), "type"),
    type: attributeOf(element, "type"),
    source: firstAttribute(source, INTERFACE_SOURCE_ATTRIBUTES),
    bridge: attributeOf(source, "bridge"),
    network: attributeOf(source, "network"),
    neutronPortId: attributeOf(parameters, "interfaceid") || (portIds.get(target) ?? ""),
    virtualPortType: attributeOf(virtualPort, "type"),
    vlanTags: readVlanTags(onlyElement(children, "vlan")),
    mtuBytes: toInteger(attributeOf(onlyElement(children, "mtu"), "size")),
    driverName: attributeOf(driver, "name"),
    queues: toInteger(attributeOf(driver, "queues")),
    linkState: attributeOf(onlyElement(children, "link"), "state"),
    bandwidth: readBandwidth(onlyElement(children, "bandwidth")),
  };
}

function readVlanTags(vlan: XmlElement | undefined): readonly number[] {
  if (vlan === undefined) return NO_TAGS;
  return elementsNamed(childElements(vlan), "tag")
    .flatMap((tag) => toInteger(attributeOf(tag, "id")) ?? []);
}

function readBandwidth(element: XmlElement | undefined): Bandwidth | undefined {
  if (element === undefined) return undefined;
  const children = childElements(element);
  return {
    inbound: readBandwidthLimit(onlyElement(children, "inbound")),
    outbound: readBandwidthLimit(onlyElement(children, "outbound")),
  };
}

function readBandwidthLimit(element: XmlElement | undefined): BandwidthLimit | undefined {
  if (element === undefined) return undefined;
  const amount = (name: string): number | undefined => toInteger(attributeOf(element, name));
  return {
    averageKilobytesPerSecond: amount("average"),
    peakKilobytesPerSecond: amount("peak"),
    burstKilobytes: amount("burst"),
    floorKilobytesPerSecond: amount("floor"),
  };
}

/** Nova names the device on the host after the port: `tap` and the start of its id. */
function portIdsByTarget(ports: readonly NovaPort[]): ReadonlyMap<string, string> {
  return new Map(ports.map(({ id }) => [`tap${id}`.slice(0, TAP_NAME_LENGTH), id]));
}

function elementsNamed(
  elements: readonly XmlElement[],
  localName: string,
  namespace: string | undefined = NO_NAMESPACE,
): readonly XmlElement[] {
  return elements.filter((element) =>
    element.localName === localName && element.namespace === namespace
  );
}

function onlyElement(
  elements: readonly XmlElement[],
  localName: string,
  namespace: string | undefined = NO_NAMESPACE,
): XmlElement | undefined {
  let found: XmlElement | undefined;
  for (const element of elements) {
    if (element.localName !== localName || element.namespace !== namespace) continue;
    if (found !== undefined) throw duplicate(element);
    found = element;
  }
  return found;
}

function duplicate(element: XmlElement): DomainXmlError {
  const parent = quote(element.parent?.localName ?? "");
  return new DomainXmlError(
    `Domain XML has element ${quote(element.localName)} twice inside ${parent}, remove one of them`,
  );
}

function childrenOf(element: XmlElement | undefined): readonly XmlElement[] {
  return element === undefined ? [] : childElements(element);
}

function textIn(element: XmlElement | undefined): string {
  return element === undefined ? "" : textOf(element);
}

function attributeOf(element: XmlElement | undefined, name: string): string {
  return element?.attributes.get(name) ?? "";
}

function firstAttribute(element: XmlElement | undefined, names: readonly string[]): string {
  return names.map((name) => attributeOf(element, name)).find((value) => value !== "") ?? "";
}

function toInteger(text: string): number | undefined {
  const digits = text.trim();
  if (!/^[0-9]+$/.test(digits)) return undefined;
  const value = Number(digits);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** What libvirt calls a scaled integer. Its unit for memory is KiB unless the element says otherwise. */
function toBytes(element: XmlElement | undefined): number | undefined {
  const amount = toInteger(textIn(element));
  const scale = bytesPerUnit(attributeOf(element, "unit") || "KiB");
  if (amount === undefined || scale === undefined) return undefined;
  const bytes = amount * scale;
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

function bytesPerUnit(unit: string): number | undefined {
  const match = MEMORY_UNIT.exec(unit);
  if (match === null) return undefined;
  const [, prefix, suffix] = match;
  if (prefix === undefined) return 1;
  const thousand = suffix?.toLowerCase() === "b" ? 1000 : 1024;
  return thousand ** (MEMORY_PREFIXES.indexOf(prefix.toLowerCase()) + 1);
}

function toUnixSeconds(creationTime: string): number | undefined {
  const [, date, time] = CREATION_TIME.exec(creationTime) ?? [];
  if (date === undefined || time === undefined) return undefined;
  const milliseconds = Date.parse(`${date}T${time}Z`);
  if (Number.isNaN(milliseconds)) return undefined;
  // A runtime may take February 30 for March 1.
  const isReal = new Date(milliseconds).toISOString().startsWith(`${date}T${time}.`);
  return isReal ? milliseconds / 1000 : undefined;
}

function only(elements: Readonly<Record<string, WantedElements>>): WantedElements {
  return new Map(Object.entries(elements));
}

function whole(...names: readonly string[]): Readonly<Record<string, WantedElements>> {
  return Object.fromEntries(names.map((name) => [name, "everything"]));
}

/** Elements of which the attributes and the text count, and nothing further inside. */
function bare(...names: readonly string[]): Readonly<Record<string, WantedElements>> {
  return Object.fromEntries(names.map((name) => [name, NOTHING_INSIDE]));
}
