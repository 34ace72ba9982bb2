import type { Dictionary } from "./dictionary.ts";
import type { DomainDescription } from "./domain_xml.ts";
import { type Measurement, Verdict } from "./hypervisor.ts";

/** A domain as labels need it. A new object is made when anything in it changes, so it can key caches. */
export interface DomainRecord {
  readonly handle: number;
  readonly uuid: string;
  readonly id: number;
  /** libvirt's name. */
  readonly name: string;
  /** What its definition says; undefined while that has not been read, or when it cannot be. */
  readonly description: DomainDescription | undefined;
  /** Whether libvirt has given the definition, refused it, or not been asked for it yet. */
  readonly definition: "given" | "refused" | "unread";
}

/** A device that libvirt gave statistics for. */
export interface MeasuredDevice {
  /** Position of the domain in the snapshot. */
  readonly domain: number;
  /** libvirt's index in the field names; it has holes. */
  readonly index: number;
  /** The target device, for example `vda`. */
  readonly target: string;
}

/** What one collection found. It never changes. */
export interface Snapshot {
  readonly domains: readonly DomainRecord[];
  /** True when all that was asked about this domain was answered. */
  isComplete(domain: number): boolean;
  /** The value of a field (a dictionary number), or undefined when libvirt did not give it. */
  value(domain: number, field: number): number | undefined;
  /** The devices of a group (`block`, `net`) that libvirt gave, each target of a domain once. */
  devices(group: string): readonly MeasuredDevice[];
  readonly dictionary: Dictionary;
}

/**
 * A snapshot of a measurement, whose domains are those of `records`, in the same order. Domains that went away
 * meanwhile are left out, and those whose definition has not been read: their labels are not known yet.
 */
export function takeSnapshot(
  records: readonly DomainRecord[],
  measurement: Measurement,
  dictionary: Dictionary,
): Snapshot {
  const positions = presentPositions(records, measurement.verdicts);
  const domains = positions.map((position) => recordAt(records, position));
  const devices = groupDevices(positions, measurement, dictionary);
  return {
    domains,
    dictionary,
    isComplete: (domain) =>
      measurement.verdicts[positions[domain] ?? -1] === Verdict.complete &&
      domains[domain]?.definition === "given",
    value: (domain, field) => {
      const position = positions[domain] ?? 0;
      const { fields, offsets } = measurement;
      const index = indexOf(fields, field, offsets[position] ?? 0, offsets[position + 1] ?? 0);
      return index < 0 ? undefined : measurement.values[index];
    },
    devices: (group) => devices.get(group) ?? [],
  };
}

function presentPositions(records: readonly DomainRecord[], verdicts: Uint8Array): number[] {
  const positions: number[] = [];
  verdicts.forEach((verdict, position) => {
    const isReady = recordAt(records, position).definition !== "unread";
    if (isReady && verdict !== Verdict.gone) positions.push(position);
  });
  return positions;
}

function recordAt(records: readonly DomainRecord[], position: number): DomainRecord {
  const record = records[position];
  if (record === undefined) throw new RangeError(`No record for domain ${position}`);
  return record;
}

/** Finds the named devices: texts like `block.3.name`. */
function groupDevices(
  positions: readonly number[],
  measurement: Measurement,
  dictionary: Dictionary,
): ReadonlyMap<string, readonly MeasuredDevice[]> {
  const groups = new Map<string, MeasuredDevice[]>();
  positions.forEach((position, domain) => {
    const end = measurement.textOffsets[position + 1] ?? 0;
    const first = new Map<string, number>();
    for (const [group, devices] of groups) first.set(group, devices.length);
    for (let text = measurement.textOffsets[position] ?? 0; text < end; text++) {
      const name = dictionary.deviceName(measurement.textFields[text] ?? -1);
      const target = dictionary.string(measurement.texts[text] ?? -1);
      if (name === undefined || target === undefined || target === "") continue;
      const devices = groups.get(name.group) ?? [];
      groups.set(name.group, devices);
      // Two devices of one name would be one series twice, which ends a whole scrape.
      if (!hasTarget(devices, first.get(name.group) ?? 0, target)) {
        devices.push({ domain, index: name.index, target });
      }
    }
  });
  return groups;
}

function hasTarget(devices: readonly MeasuredDevice[], from: number, target: string): boolean {
  for (let position = from; position < devices.length; position++) {
    if (devices[position]?.target === target) return true;
  }
  return false;
}

/** Binary search in `column[from, to)`, which ascends. */
function indexOf(column: Uint32Array, wanted: number, from: number, to: number): number {
  let low = from;
  let high = to - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const found = column[middle] ?? 0;
    if (found === wanted) return middle;
    if (found < wanted) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}
