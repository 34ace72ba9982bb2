import type { DomainRecord, MeasuredDevice, Snapshot } from "./snapshot.ts";
import type { Disk, DomainDescription } from "./domain_description.ts";

/** Something that both the statistics of a domain and its definition tell. */
export interface Comparison {
  /** What was compared, such as `vcpu.current`; the same in each collection. */
  readonly aspect: string;
  /** What either says; `undefined` when they agree. */
  readonly difference: string | undefined;
}

/** Types of disks whose statistics have the very path that the definition has. */
const TYPES_WITH_PATH: ReadonlySet<string> = new Set(["file", "block", "dir"]);
/** A type of disks whose statistics have no path. */
const TYPE_WITHOUT_PATH = "network";
/** A type of devices that may be missing in statistics. */
const VHOST_USER = "vhostuser";

/** What the statistics and the definition of a domain have to say to each other. */
export interface ComparedDomain {
  readonly record: DomainRecord;
  readonly comparisons: readonly Comparison[];
}

/**
 * Compares the statistics of each domain with its definition, as far as there are both: where they differ, the definition
 * has changed since it was read, for libvirt does not tell every change by an event.
 *
 * @param isWanted whether a domain in which all agrees is wanted as well; there are many of them, at each scrape
 */
export function compareWithDefinitions(
  snapshot: Snapshot,
  isWanted: (record: DomainRecord) => boolean = () => true,
): readonly ComparedDomain[] {
  const { dictionary } = snapshot;
  const [vcpu, net, block] = (["vcpu.current", "net.count", "block.count"] as const)
    .map((field) => dictionary.number(field));
  const paths = dictionary.deviceFields("block.N", "path");
  const nextDisks = devicesInTurn(snapshot.namedDevices("block.N"));
  const nextInterfaces = devicesInTurn(snapshot.namedDevices("net.N"));
  const valueOf = (domain: number, field: number | undefined): number | undefined =>
    field === undefined ? undefined : snapshot.value(domain, field);
  const pathOf = ({ domain, slot }: MeasuredDevice): string | undefined => {
    const field = paths[slot];
    return field === undefined ? undefined : snapshot.text(domain, field);
  };
  const compared: ComparedDomain[] = [];
  snapshot.domains.forEach((record, domain) => {
    const disks = nextDisks(domain);
    const interfaces = nextInterfaces(domain);
    const { description } = record;
    if (description === undefined) return;
    const statistics = {
      currentVirtualCpus: valueOf(domain, vcpu),
      interfaceCount: valueOf(domain, net),
      diskCount: valueOf(domain, block),
      disks,
      interfaces,
      pathOf,
    };
    if (!isWanted(record) && agreesAtOnce(statistics, description)) return;
    compared.push({ record, comparisons: compare(statistics, description) });
  });
  return compared;
}

/** What of a domain's statistics its definition tells as well. */
interface ComparedStatistics {
  readonly currentVirtualCpus: number | undefined;
  readonly interfaceCount: number | undefined;
  readonly diskCount: number | undefined;
  readonly disks: readonly MeasuredDevice[];
  readonly interfaces: readonly MeasuredDevice[];
  readonly pathOf: (disk: MeasuredDevice) => string | undefined;
}

/** The devices of one domain after the other; the domains have to be asked for in ascending order. */
function devicesInTurn(
  devices: readonly MeasuredDevice[],
): (domain: number) => readonly MeasuredDevice[] {
  let next = 0;
  return (domain) => {
    const first = next;
    while (devices[next]?.domain === domain) next++;
    return first === next ? NO_DEVICES : devices.slice(first, next);
  };
}

const NO_DEVICES: readonly MeasuredDevice[] = [];

/**
 * Whether devices asked for by name, each of which the definition has, are all that there is to compare, as for most
 * domains. False says nothing.
 */
function agreesAtOnce(
  { currentVirtualCpus, interfaceCount, diskCount, disks, interfaces, pathOf }: ComparedStatistics,
  description: DomainDescription,
): boolean {
  if (diskCount !== undefined) return false;
  if (currentVirtualCpus !== undefined && currentVirtualCpus !== description.currentVirtualCpus) {
    return false;
  }
  const { length } = description.interfaces;
  if (interfaceCount !== undefined && (interfaceCount !== length || interfaces.length !== length)) {
    return false;
  }
  for (const disk of disks) {
    if (!hasTarget(description.disks, disk.name) || pathOf(disk) !== undefined) return false;
  }
  for (const { name } of interfaces) {
    if (!hasTarget(description.interfaces, name)) return false;
  }
  return true;
}

function hasTarget(
  defined: readonly { readonly target: string | undefined }[],
  name: string,
): boolean {
  for (const { target } of defined) {
    if (target === name) return true;
  }
  return false;
}

function compare(
  { currentVirtualCpus, interfaceCount, diskCount, disks, interfaces, pathOf }: ComparedStatistics,
  description: DomainDescription,
): readonly Comparison[] {
  const hasAllDisks = diskCount !== undefined;
  return [
    ...compareNumber("vcpu.current", currentVirtualCpus, description.currentVirtualCpus),
    ...compareNumber("net.count", interfaceCount, description.interfaces.length),
    ...compareNames("block.N.name", disks, disksOf(description), hasAllDisks),
    ...comparePaths(disks, description.disks, pathOf, hasAllDisks),
    ...compareNames(
      "net.N.name",
      interfaces,
      interfacesOf(description),
      interfaceCount !== undefined,
    ),
  ];
}

/** The names of devices that a definition has. */
interface DefinedDevices {
  readonly all: readonly string[];
  /** Those that statistics have when they have all that there are. */
  readonly measured: readonly string[];
}

function disksOf({ disks }: DomainDescription): DefinedDevices {
  const named = disks.filter(({ target }) => target !== "");
  const measured = named.filter(({ type }) => type !== VHOST_USER);
  return { all: named.map(({ target }) => target), measured: measured.map(({ target }) => target) };
}

function interfacesOf({ interfaces }: DomainDescription): DefinedDevices {
  const measured = interfaces.filter(({ type }) => type !== VHOST_USER);
  return {
    all: interfaces.flatMap(({ target }) => target ?? []),
    measured: measured.flatMap(({ target }) => target ?? []),
  };
}

function compareNumber(
  aspect: string,
  measured: number | undefined,
  defined: number | undefined,
): Comparison[] {
  if (measured === undefined || defined === undefined) return [];
  return [{ aspect, difference: measured === defined ? undefined : `${measured}, ${defined}` }];
}

/** @param hasAll whether the statistics have all devices, and not only those that were asked for by name */
function compareNames(
  aspect: string,
  measured: readonly MeasuredDevice[],
  defined: DefinedDevices,
  hasAll: boolean,
): Comparison[] {
  const unknown = measured.filter(({ name }) => !defined.all.includes(name)).map(({ name }) =>
    name
  );
  const missing = hasAll
    ? defined.measured.filter((target) => !measured.some(({ name }) => name === target))
    : [];
  if (unknown.length > 0 || missing.length > 0) {
    return [{ aspect, difference: JSON.stringify([unknown, missing]) }];
  }
  return hasAll ? [{ aspect, difference: undefined }] : [];
}

function comparePaths(
  measured: readonly MeasuredDevice[],
  disks: readonly Disk[],
  pathOf: (device: MeasuredDevice) => string | undefined,
  hasAll: boolean,
): Comparison[] {
  return measured.flatMap((device): Comparison[] => {
    const disk = disks.find(({ target }) => target === device.name);
    const path = pathOf(device);
    // A call about one disk gives no path.
    if (disk === undefined || (path === undefined && !hasAll)) return [];
    const defined = definedPath(disk);
    if (defined === undefined) return [];
    const difference = (path ?? "") === defined ? undefined : JSON.stringify([path ?? "", defined]);
    return [{ aspect: `block.N.path ${device.name}`, difference }];
  });
}

/** The path that statistics have of a disk, `""` when they have none; `undefined` where that is not sure. */
function definedPath({ type, source }: Disk): string | undefined {
  if (TYPES_WITH_PATH.has(type)) return source;
  return type === TYPE_WITHOUT_PATH ? "" : undefined;
}
