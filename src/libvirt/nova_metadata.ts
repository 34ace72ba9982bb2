import { childElements, type XmlElement } from "./xml_namespace.ts";
import { excerpt } from "./xml_syntax.ts";
import type {
  Disk,
  DomainDescription,
  NovaFlavor,
  NovaInstance,
  NovaPort,
} from "./domain_description.ts";
import {
  attributeOf,
  childrenOf,
  DomainXmlError,
  duplicate,
  elementsNamed,
  onlyElement,
  textIn,
  toInteger,
} from "./xml_reading.ts";

/** What the namespaces of Nova's metadata begin with; the version follows. */
const NOVA_NAMESPACE = "http://openstack.org/xmlns/libvirt/nova/";

const NOVA_VERSION = /^([1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})$/;

/** The newest version of which it is known what its elements mean. */
const NEWEST_KNOWN_VERSION: NovaVersion = { major: 1, minor: 1 };

/** Elements of which a newer version must have one at least, or else it is of another shape. */
const NOVA_SHAPE = ["name", "flavor", "owner"];

/** From this release on Nova says of a root disk that is a volume that it is one. */
const FIRST_RELEASE_WITH_VOLUME_ROOTS = 30;

/** Releases before the twelfth had years for numbers, such as 2015.1. */
const FIRST_YEAR = 2000;

/** The device of a root disk: the first one on its bus. */
const ROOT_DEVICE = /^(?:[hsv]|xv)da$/;

/** As Python writes a time that has no time zone, down to the second. */
const CREATION_TIME = /^([0-9]{4}-[0-9]{2}-[0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2})$/;

/** What there is to say of Nova's metadata. */
type NovaPart = Pick<DomainDescription, "nova" | "novaProblem" | "novaRemark">;

interface NovaVersion {
  readonly major: number;
  readonly minor: number;
}

/** An element with Nova's metadata of one version. */
interface VersionedElement extends NovaVersion {
  readonly element: XmlElement;
}

/** What is wrong with Nova's metadata must not cost the domain its disks and interfaces. */
export function readNova(children: readonly XmlElement[], disks: readonly Disk[]): NovaPart {
  try {
    return readNewest(onlyElement(children, "metadata"), disks);
  } catch (error) {
    return { nova: undefined, novaProblem: problemOf(error), novaRemark: undefined };
  }
}

function readNewest(metadata: XmlElement | undefined, disks: readonly Disk[]): NovaPart {
  let unreadable: { readonly version: string; readonly problem: string } | undefined;
  for (const { element, ...version } of novaElements(metadata)) {
    const metadataVersion = versionText(version);
    try {
      const isNewer = compareVersions(version, NEWEST_KNOWN_VERSION) > 0;
      if (isNewer) checkShape(metadataVersion, element);
      const nova = toNovaInstance(metadataVersion, element, disks);
      const novaRemark = unreadable !== undefined
        ? `Nova's metadata of version ${unreadable.version} cannot be read, and version ${metadataVersion} ` +
          `beside it, which may be out of date, is used: ${unreadable.problem}`
        : isNewer
        ? `Nova's metadata has version ${metadataVersion}, which is newer than those known: ` +
          `it is read like version ${versionText(NEWEST_KNOWN_VERSION)}`
        : undefined;
      return { nova, novaProblem: undefined, novaRemark };
    } catch (error) {
      const problem = problemOf(error);
      // Which of two known versions is right when the newer one is broken nobody can say.
      if (compareVersions(version, NEWEST_KNOWN_VERSION) <= 0) throw error;
      unreadable ??= { version: metadataVersion, problem };
    }
  }
  return { nova: undefined, novaProblem: unreadable?.problem, novaRemark: undefined };
}

/** The elements with Nova's metadata, the newest version first. */
function novaElements(metadata: XmlElement | undefined): readonly VersionedElement[] {
  const elements = new Map<string, VersionedElement>();
  let unknown: XmlElement | undefined;
  for (const element of childrenOf(metadata)) {
    const { localName, namespace = "" } = element;
    if (localName !== "instance" || !namespace.startsWith(NOVA_NAMESPACE)) continue;
    const [text, major, minor] = NOVA_VERSION.exec(namespace.slice(NOVA_NAMESPACE.length)) ?? [];
    if (text === undefined) {
      unknown ??= element;
      continue;
    }
    if (elements.has(text)) throw duplicate(element);
    elements.set(text, { major: Number(major), minor: Number(minor), element });
  }
  if (elements.size === 0 && unknown !== undefined) {
    throw new DomainXmlError(
      `Domain XML has metadata of Nova in the namespace ${excerpt(unknown.namespace ?? "")}, ` +
        "of which nothing is known, look for a newer release of the exporter",
    );
  }
  return [...elements.values()].sort((left, right) => compareVersions(right, left));
}

function compareVersions(left: NovaVersion, right: NovaVersion): number {
  return left.major - right.major || left.minor - right.minor;
}

function versionText({ major, minor }: NovaVersion): string {
  return `${major}.${minor}`;
}

function checkShape(version: string, instance: XmlElement): void {
  const hasOne = childElements(instance).some(({ localName, namespace }) =>
    namespace === instance.namespace && NOVA_SHAPE.includes(localName)
  );
  if (hasOne) return;
  throw new DomainXmlError(
    `Domain XML has metadata of Nova of version ${version}, which has none of the known elements, ` +
      "look for a newer release of the exporter",
  );
}

function problemOf(error: unknown): string {
  if (!(error instanceof DomainXmlError)) throw error;
  return error.message;
}

function toNovaInstance(
  metadataVersion: string,
  instance: XmlElement,
  disks: readonly Disk[],
): NovaInstance {
  const { namespace } = instance;
  const children = childElements(instance);
  const child = (name: string): XmlElement | undefined => onlyElement(children, name, namespace);
  const owner = childrenOf(child("owner"));
  const user = onlyElement(owner, "user", namespace);
  const project = onlyElement(owner, "project", namespace);
  const root = child("root");
  const creationTime = textIn(child("creationTime"));
  const packageVersion = attributeOf(child("package"), "version");
  return {
    metadataVersion,
    name: textIn(child("name")),
    projectName: textIn(project),
    projectId: attributeOf(project, "uuid"),
    userName: textIn(user),
    userId: attributeOf(user, "uuid"),
    packageVersion,
    creationTime,
    creationTimeSeconds: toUnixSeconds(creationTime),
    flavor: readFlavor(child("flavor"), namespace),
    rootImageId: attributeOf(root, "uuid"),
    rootType: root === undefined
      ? unwrittenRootType(packageVersion, disks)
      : attributeOf(root, "type"),
    ports: elementsNamed(childrenOf(child("ports")), "port", namespace).map(readPort),
  };
}

/** What the root disk is where Nova wrote nothing of it. That the disk itself is a volume makes it sure. */
function unwrittenRootType(packageVersion: string, disks: readonly Disk[]): string {
  const release = toInteger(packageVersion.split(".")[0] ?? "");
  if (release === undefined) return "";
  if (release >= FIRST_RELEASE_WITH_VOLUME_ROOTS && release < FIRST_YEAR) return "";
  const first = disks.filter(({ target, device }) =>
    ROOT_DEVICE.test(target) && (device === "disk" || device === "lun")
  );
  return first.length > 0 && first.every(({ serial }) => serial !== "") ? "volume" : "";
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

function toUnixSeconds(creationTime: string): number | undefined {
  const [, date, time] = CREATION_TIME.exec(creationTime) ?? [];
  if (date === undefined || time === undefined) return undefined;
  const milliseconds = Date.parse(`${date}T${time}Z`);
  if (Number.isNaN(milliseconds)) return undefined;
  // A runtime may take February 30 for March 1.
  const isReal = new Date(milliseconds).toISOString().startsWith(`${date}T${time}.`);
  return isReal ? milliseconds / 1000 : undefined;
}
