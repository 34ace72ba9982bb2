import { messageOf } from "../text.ts";
import { childElements, parseXml, type XmlElement } from "./xml_namespace.ts";
import { excerpt, type WantedElements } from "./xml_syntax.ts";
import type { DomainDescription } from "./domain_description.ts";
import {
  attributeOf,
  childrenOf,
  DomainXmlError,
  elementsNamed,
  NO_NAMESPACE,
  onlyElement,
  textIn,
  toInteger,
} from "./xml_reading.ts";
import { readNova } from "./nova_metadata.ts";
import { portIdsByStart, readDisk, readInterface } from "./domain_devices.ts";

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

/** A unit of an amount of memory: `b`, `byte` or `bytes`, or a prefix alone, with `iB` or with `B`. */
const MEMORY_UNIT = /^(?:b|bytes?|([kmgtpe])(i?b)?)$/i;

const MEMORY_PREFIXES = "kmgtpe";

/**
 * Reads the XML of one domain, as libvirt or Nova writes it.
 *
 * - Namespaces count by URI, never by prefix. libvirt's own elements are in no namespace.
 * - Of Nova's metadata the newest `…/nova/<major>.<minor>` counts. One newer than those known is read like
 *   them if it has their elements, with a `novaRemark`; if not, the next older one that stands beside it counts.
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
      `Domain XML begins with element ${excerpt(domain.localName)} of namespace ` +
        `${excerpt(domain.namespace ?? "")}, pass one that begins with "domain" of no namespace`,
    );
  }
  const children = childElements(domain);
  const devices = childrenOf(onlyElement(children, "devices"));
  const disks = elementsNamed(devices, "disk").map(readDisk);
  const { nova, novaProblem, novaRemark } = readNova(children, disks);
  const operatingSystem = onlyElement(childrenOf(onlyElement(children, "os")), "type");
  const memoryBytes = toBytes(onlyElement(children, "memory"));
  const currentMemory = onlyElement(children, "currentMemory");
  const virtualCpus = onlyElement(children, "vcpu");
  const maximumVirtualCpus = toInteger(textIn(virtualCpus));
  const portIds = portIdsByStart(nova?.ports ?? []);
  return {
    name: textIn(onlyElement(children, "name")),
    uuid: textIn(onlyElement(children, "uuid")),
    hypervisorType: attributeOf(domain, "type"),
    operatingSystemType: textIn(operatingSystem),
    architecture: attributeOf(operatingSystem, "arch"),
    machineType: attributeOf(operatingSystem, "machine"),
    nova,
    novaProblem,
    novaRemark,
    maximumVirtualCpus,
    currentVirtualCpus: toInteger(attributeOf(virtualCpus, "current")) ?? maximumVirtualCpus,
    memoryBytes,
    currentMemoryBytes: currentMemory === undefined ? memoryBytes : toBytes(currentMemory),
    disks,
    interfaces: elementsNamed(devices, "interface").map((element) =>
      readInterface(element, portIds)
    ),
  };
}

function readRoot(xml: string): XmlElement {
  try {
    return parseXml(xml, WANTED);
  } catch (error) {
    const reason = messageOf(error);
    throw new DomainXmlError(`Domain XML cannot be read: ${reason}`, { cause: error });
  }
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
