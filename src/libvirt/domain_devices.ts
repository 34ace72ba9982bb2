import { childElements, type XmlElement } from "./xml_namespace.ts";
import {
  type Bandwidth,
  type BandwidthLimit,
  type Disk,
  IO_TUNE_LIMITS,
  type IoTune,
  type IoTuneLimit,
  type NetworkInterface,
  type NovaPort,
} from "./domain_description.ts";
import {
  attributeOf,
  childrenOf,
  elementsNamed,
  firstAttribute,
  onlyElement,
  textIn,
  toInteger,
} from "./xml_reading.ts";

const DISK_SOURCE_ATTRIBUTES = ["file", "dev", "dir", "name", "volume", "path"];

const INTERFACE_SOURCE_ATTRIBUTES = ["network", "bridge", "dev", "path"];

const NO_TAGS: readonly number[] = [];

/**
 * How much of a port's id may stand at the end of a name: all of it, or what three letters before it leave of the 15
 * characters that Linux allows, or of the 14 to which Nova cuts. So much is hardly the same by chance.
 */
const PORT_ID_LENGTHS = [36, 12, 11];

/** Reads a `<disk>`. */
export function readDisk(disk: XmlElement): Disk {
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

/**
 * Reads an `<interface>`.
 *
 * @param portIds as {@linkcode portIdsByStart} gives them
 */
export function readInterface(
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
    neutronPortId: attributeOf(parameters, "interfaceid") ||
      portNamedBy([target, lastPart(attributeOf(source, "path"))], portIds),
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

/** The ids of ports by what a name after them ends in; `""` where that fits two ports. */
export function portIdsByStart(ports: readonly NovaPort[]): ReadonlyMap<string, string> {
  const portIds = new Map<string, string>();
  for (const { id } of ports) {
    for (const length of PORT_ID_LENGTHS) {
      const start = id.slice(0, length);
      if (start.length < length) continue;
      const known = portIds.get(start);
      portIds.set(start, known === undefined || known === id ? id : "");
    }
  }
  return portIds;
}

/**
 * The port after which something is named: Nova gives the device on the host and the socket of `vhostuser` letters such as
 * `tap`, `vhu` or `nic` and the start of the port's id.
 */
function portNamedBy(names: readonly string[], portIds: ReadonlyMap<string, string>): string {
  for (const name of names) {
    for (const length of PORT_ID_LENGTHS) {
      const id = name.length < length ? undefined : portIds.get(name.slice(-length));
      if (id) return id;
    }
  }
  return "";
}

function lastPart(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
