import type { Dictionary } from "./dictionary.ts";
import { type HostEntity, type Measurement, Verdict } from "./hypervisor.ts";
import type { DomainDescription } from "./domain_description.ts";

/** A domain as labels need it. A new object is made when anything in it changes, so it can key caches. */
export interface DomainRecord {
  readonly handle: number;
  readonly uuid: string;
  /** libvirt's id of this run; -1 for a domain that is shut off. */
  readonly id: number;
  /** libvirt's name. */
  readonly name: string;
  /** Unix time at which this run began, where that is known. */
  readonly startSeconds: number | undefined;
  /** What its definition says; undefined while that has not been read, or when it cannot be. */
  readonly description: DomainDescription | undefined;
  /** Whether libvirt has given the definition, refused it, or not been asked for it yet. */
  readonly definition: "given" | "refused" | "unread";
}

/** A device that libvirt gave statistics for. */
export interface MeasuredDevice {
  /** Position of the domain in the snapshot. */
  readonly domain: number;
  /** The device's slot in the dictionary's group. */
  readonly slot: number;
  /** What libvirt calls it, for example `vda`; for a device without a name, the end of its field's path. */
  readonly name: string;
}

/** What one collection found. It never changes. */
export interface Snapshot {
  readonly domains: readonly DomainRecord[];
  /** Whether domains that are shut off were asked for as well. */
  readonly hasInactive: boolean;
  /** What libvirt said of the host. */
  readonly entities: readonly HostEntity[];
  /** True when all that was asked about this domain was answered; what is given up for a time is not asked. */
  isComplete(domain: number): boolean;
  /** How complete what was asked about this domain is: a value of {@link Verdict}. */
  verdict(domain: number): number;
  /** The value of a field (a dictionary number), or undefined when libvirt did not give it. */
  value(domain: number, field: number): number | undefined;
  /** The text of a field, or undefined when libvirt did not give it. */
  text(domain: number, field: number): string | undefined;
  /** The devices of a group such as `block.N` that have a name, each name of a domain once. */
  namedDevices(group: string): readonly MeasuredDevice[];
  /** The devices of a group such as `vcpu.N`, whether they have a name or not. */
  numberedDevices(group: string): readonly MeasuredDevice[];
  readonly dictionary: Dictionary;
}

/** A domain that is running, paused and so on, and not shut off. */
export function isActive({ id }: Pick<DomainRecord, "id">): boolean {
  return id >= 0;
}

const ACTIVE_ONLY: Pick<Snapshot, "hasInactive"> = { hasInactive: false };

/**
 * A snapshot of a measurement, whose domains are those of `records`, in the same order. Domains that went away
 * meanwhile are left out, and those whose definition has not been read: their labels are not known yet.
 *
 * @param scope whether domains that are shut off were asked for as well; not unless given
 */
export function takeSnapshot(
  records: readonly DomainRecord[],
  measurement: Measurement,
  dictionary: Dictionary,
  scope: Pick<Snapshot, "hasInactive"> = ACTIVE_ONLY,
): Snapshot {
  const positions = presentPositions(records, measurement.verdicts);
  const domains = positions.map((position) => recordAt(records, position));
  const columns = new Columns(positions, measurement, dictionary);
  const verdictOf = (domain: number): number =>
    measurement.verdicts[positions[domain] ?? -1] ?? Verdict.gone;
  return {
    domains,
    hasInactive: scope.hasInactive,
    dictionary,
    entities: measurement.entities,
    isComplete: (domain) => isWhole(verdictOf(domain)) && domains[domain]?.definition === "given",
    verdict: verdictOf,
    value: (domain, field) => columns.value(domain, field),
    text: (domain, field) => columns.text(domain, field),
    namedDevices: (group) => columns.named.get(group) ?? [],
    numberedDevices: (group) => columns.numbered.get(group) ?? [],
  };
}

function isWhole(verdict: number): boolean {
  return verdict === Verdict.complete || verdict === Verdict.suspended;
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

type Devices = ReadonlyMap<string, readonly MeasuredDevice[]>;

/** A measurement's columns, read by the positions of the snapshot. */
class Columns {
  readonly #positions: readonly number[];
  readonly #measurement: Measurement;
  readonly #dictionary: Dictionary;
  /** By group: the devices that have a name. */
  readonly named: Devices;
  #numbered: Devices | undefined;

  constructor(positions: readonly number[], measurement: Measurement, dictionary: Dictionary) {
    this.#positions = positions;
    this.#measurement = measurement;
    this.#dictionary = dictionary;
    this.named = this.#findNamed();
  }

  /** By group: all devices. Found when it is first wanted, since it needs a look at every field. */
  get numbered(): Devices {
    return this.#numbered ??= this.#findNumbered();
  }

  value(domain: number, field: number): number | undefined {
    const { fields, offsets, values } = this.#measurement;
    const [from, to] = this.#range(offsets, domain);
    const index = indexOf(fields, field, from, to);
    return index < 0 ? undefined : values[index];
  }

  text(domain: number, field: number): string | undefined {
    const { textFields, textOffsets, texts } = this.#measurement;
    const [from, to] = this.#range(textOffsets, domain);
    const index = indexOf(textFields, field, from, to);
    return index < 0 ? undefined : this.#dictionary.string(texts[index] ?? -1);
  }

  #range(offsets: Uint32Array, domain: number): readonly [number, number] {
    const position = this.#positions[domain] ?? 0;
    return [offsets[position] ?? 0, offsets[position + 1] ?? 0];
  }

  #findNamed(): Devices {
    const { textFields, textOffsets, texts } = this.#measurement;
    const groups = new Map<string, MeasuredDevice[]>();
    this.#positions.forEach((_, domain) => {
      const firsts = new Map<string, number>();
      const [from, to] = this.#range(textOffsets, domain);
      for (let index = from; index < to; index++) {
        const name = this.#dictionary.string(texts[index] ?? -1);
        if (name === undefined || name === "") continue;
        for (const { group, slot, key } of this.#dictionary.memberships(textFields[index] ?? -1)) {
          if (key !== "name") continue;
          const devices = groups.get(group) ?? [];
          groups.set(group, devices);
          const first = firsts.get(group) ?? devices.length;
          firsts.set(group, first);
          // Two devices of one name would be one series twice, for which readers may refuse a whole page.
          if (!hasName(devices, first, name)) devices.push({ domain, slot, name });
        }
      }
    });
    return groups;
  }

  #findNumbered(): Devices {
    const { fields, offsets } = this.#measurement;
    const groups = new Map<string, MeasuredDevice[]>();
    this.#positions.forEach((_, domain) => {
      const seen = new Map<string, Set<number>>();
      const [from, to] = this.#range(offsets, domain);
      for (let index = from; index < to; index++) {
        for (const { group, slot } of this.#dictionary.memberships(fields[index] ?? -1)) {
          const slots = seen.get(group) ?? new Set();
          seen.set(group, slots);
          if (slots.has(slot)) continue;
          slots.add(slot);
          const devices = groups.get(group) ?? [];
          groups.set(group, devices);
          devices.push({ domain, slot, name: this.#dictionary.path(group, slot).at(-1) ?? "" });
        }
      }
    });
    return groups;
  }
}

function hasName(devices: readonly MeasuredDevice[], from: number, name: string): boolean {
  for (let position = from; position < devices.length; position++) {
    if (devices[position]?.name === name) return true;
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
