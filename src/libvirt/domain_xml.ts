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
  readonly flavor: NovaFlavor;
  /** Empty for an instance that boots from a volume. */
  readonly rootImageId: string;
  /** `image` or `volume`. */
  readonly rootType: string;
  /** Written since Nova 23. */
  readonly ports: readonly NovaPort[];
}

/** A disk of a domain. What is missing is `""`. */
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
}

/** A network interface of a domain. What is missing is `""`, but for the target. */
export interface NetworkInterface {
  /** The device on the host, such as `tap567a4527-b0`; `undefined` when libvirt gave none. */
  readonly target: string | undefined;
  readonly macAddress: string;
  readonly model: string;
  /** `bridge`, `network`, `ethernet`, `direct`, `vhostuser`… */
  readonly type: string;
  /** The network, bridge, device or socket that it is connected to. */
  readonly source: string;
  /** From the virtual port, else the port of Nova's list after which the target is named. */
  readonly neutronPortId: string;
}

/** What the exporter needs to know from one domain's XML. */
export interface DomainDescription {
  readonly name: string;
  readonly uuid: string;
  /** `undefined` when Nova wrote nothing that is understood. */
  readonly nova: NovaInstance | undefined;
  /** Why Nova's metadata is there and yet not understood; the rest of the description holds all the same. */
  readonly novaProblem: string | undefined;
  readonly maximumVirtualCpus: number | undefined;
  readonly currentVirtualCpus: number | undefined;
  readonly disks: readonly Disk[];
  readonly interfaces: readonly NetworkInterface[];
}

/** Says in one line why a domain's XML could not be read. */
export class DomainXmlError extends Error {
  override readonly name = "DomainXmlError";
}

const NOVA_NAMESPACE = /^http:\/\/openstack\.org\/xmlns\/libvirt\/nova\/1\.(0|[1-9][0-9]{0,8})$/;
/** What is read; most of a document describes devices and features that no metric needs. */
const WANTED: WantedElements = only({
  ...whole("name", "uuid", "vcpu"),
  metadata: only({
    instance: only({
      ...whole("package", "name", "creationTime", "root", "ports"),
      flavor: only(whole("memory", "disk", "swap", "ephemeral", "vcpus")),
      owner: only(whole("user", "project")),
    }),
  }),
  devices: only({
    disk: only(whole("target", "source", "serial")),
    interface: only(whole("target", "source", "mac", "model", "virtualport")),
  }),
});
const NO_NAMESPACE = "";
const DISK_SOURCE_ATTRIBUTES = ["file", "dev", "dir", "name", "volume", "path"];
const INTERFACE_SOURCE_ATTRIBUTES = ["network", "bridge", "dev", "path"];
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
  const virtualCpus = onlyElement(children, "vcpu");
  const maximumVirtualCpus = toInteger(textIn(virtualCpus));
  const devices = childrenOf(onlyElement(children, "devices"));
  const portIds = portIdsByTarget(nova?.ports ?? []);
  return {
    name: textIn(onlyElement(children, "name")),
    uuid: textIn(onlyElement(children, "uuid")),
    nova,
    novaProblem,
    maximumVirtualCpus,
    currentVirtualCpus: toInteger(attributeOf(virtualCpus, "current")) ?? maximumVirtualCpus,
    disks: elementsNamed(devices, "disk").map(readDisk),
    interfaces: elementsNamed(devices, "interface").map((element) =>
      readInterface(element, portIds)
    ),
  };
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
  return {
    metadataVersion,
    name: textIn(child("name")),
    projectName: textIn(project),
    projectId: attributeOf(project, "uuid"),
    userName: textIn(user),
    userId: attributeOf(user, "uuid"),
    packageVersion: attributeOf(child("package"), "version"),
    creationTime: textIn(child("creationTime")),
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
  return {
    target: attributeOf(target, "dev"),
    type: attributeOf(disk, "type"),
    device: attributeOf(disk, "device") || "disk",
    bus: attributeOf(target, "bus"),
    serial: textIn(onlyElement(children, "serial")),
    source: firstAttribute(onlyElement(children, "source"), DISK_SOURCE_ATTRIBUTES),
  };
}

function readInterface(
  element: XmlElement,
  portIds: ReadonlyMap<string, string>,
): NetworkInterface {
  const children = childElements(element);
  const target = attributeOf(onlyElement(children, "target"), "dev");
  const virtualPort = childrenOf(onlyElement(children, "virtualport"));
  return {
    target: target || undefined,
    macAddress: attributeOf(onlyElement(children, "mac"), "address"),
    model: attributeOf(onlyElement(children, "model"), "type"),
    type: attributeOf(element, "type"),
    source: firstAttribute(onlyElement(children, "source"), INTERFACE_SOURCE_ATTRIBUTES),
    neutronPortId: attributeOf(onlyElement(virtualPort, "parameters"), "interfaceid") ||
      (portIds.get(target) ?? ""),
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
  const [first, second] = elementsNamed(elements, localName, namespace);
  if (second !== undefined) throw duplicate(second);
  return first;
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

function only(elements: Readonly<Record<string, WantedElements>>): WantedElements {
  return new Map(Object.entries(elements));
}

function whole(...names: readonly string[]): Readonly<Record<string, WantedElements>> {
  return Object.fromEntries(names.map((name) => [name, "everything"]));
}
