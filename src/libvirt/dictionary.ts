/** Longest string that is looked at as a field: device names and paths stand in the dictionary, too. */
const MAXIMUM_FIELD_LENGTH = 200;

/** Ends of the fields whose name before it is the hypervisor's own, as in `vm.halt_exits.sum`. */
const HYPERVISOR_NAMED = /^(vm|vcpu\.\d{1,6})\.([\w.-]+)\.(cur|sum|max)$/;

const EMPTY: readonly never[] = [];

/**
 * The strings that measurements refer to by number (see `Measurement` in hypervisor.ts), with a way to find the fields
 * of devices. libvirt numbers devices, as in `block.0.rd.bytes`: that is the key `rd.bytes` of a device of the group
 * `block.N`. Groups nest, as in `memory.bandwidth.monitor.N.node.N`. A `*` stands for a name that the hypervisor has
 * chosen, as in `vm.*`.
 *
 * Each device of a group has a *slot*, a small number that stands for its path: the device's numbers and names.
 */
export class Dictionary {
  readonly #strings: string[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #groups = new Map<string, Group>();
  /** By field: the devices that it belongs to, one for each level of nesting. */
  readonly #memberships = new Map<number, readonly Membership[]>();

  /** How many strings are known. */
  get size(): number {
    return this.#strings.length;
  }

  /**
   * Adds the news of a measurement.
   *
   * @throws {RangeError} when they do not follow what is known; a dictionary that starts anew is a new object
   */
  add(base: number, strings: readonly string[]): void {
    if (base !== this.#strings.length) {
      throw new RangeError(
        `Dictionary news start at ${base}, but ${this.#strings.length} are known`,
      );
    }
    for (const string of strings) this.#append(string);
  }

  /** The number of a string, or undefined when libvirt has never given it. */
  number(string: string): number | undefined {
    return this.#numbers.get(string);
  }

  /** The string with this number. */
  string(number: number): string | undefined {
    return this.#strings[number];
  }

  /**
   * The numbers of one field of all devices of a group, by slot.
   *
   * @example `deviceFields("block.N", "rd.bytes")` holds the number of `block.0.rd.bytes`.
   */
  deviceFields(group: string, key: string): readonly (number | undefined)[] {
    return this.#groups.get(group)?.fields.get(key) ?? EMPTY;
  }

  /** The numbers and names that a device's field has in the places of `N` and `*`, such as `["0"]`. */
  path(group: string, slot: number): readonly string[] {
    return this.#groups.get(group)?.paths[slot] ?? EMPTY;
  }

  /** The devices that a field belongs to: none for `cpu.time`, two for `cpu.cache.monitor.0.bank.1.bytes`. */
  memberships(field: number): readonly Membership[] {
    return this.#memberships.get(field) ?? EMPTY;
  }

  #append(string: string): void {
    const number = this.#strings.push(string) - 1;
    this.#numbers.set(string, number);
    const memberships = readField(string).map(({ group, path, key }): Membership => {
      const found = this.#group(group);
      const slot = slotOf(found, path);
      const fields = found.fields.get(key) ?? [];
      fields[slot] = number;
      found.fields.set(key, fields);
      return { group, slot, key };
    });
    if (memberships.length > 0) this.#memberships.set(number, memberships);
  }

  #group(name: string): Group {
    const known = this.#groups.get(name);
    if (known !== undefined) return known;
    const group: Group = { slots: new Map(), paths: [], fields: new Map() };
    this.#groups.set(name, group);
    return group;
  }
}

/** The device that a field belongs to. */
export interface Membership {
  /** Such as `block.N`. */
  readonly group: string;
  readonly slot: number;
  /** The field's name within the device, such as `rd.bytes`. */
  readonly key: string;
}

interface Group {
  readonly slots: Map<string, number>;
  readonly paths: (readonly string[])[];
  readonly fields: Map<string, (number | undefined)[]>;
}

function slotOf(group: Group, path: readonly string[]): number {
  const name = path.join(".");
  const known = group.slots.get(name);
  if (known !== undefined) return known;
  const slot = group.paths.push(path) - 1;
  group.slots.set(name, slot);
  return slot;
}

interface FieldPart {
  readonly group: string;
  readonly path: readonly string[];
  readonly key: string;
}

/** The devices that a field names, from the outermost to the innermost. */
function readField(field: string): FieldPart[] {
  if (field.length > MAXIMUM_FIELD_LENGTH || !/^[a-z]+\./.test(field)) return [];
  const words = field.split(".");
  const group: string[] = [];
  const path: string[] = [];
  const parts: FieldPart[] = [];
  words.forEach((word, position) => {
    const isNumber = /^\d{1,6}$/.test(word);
    group.push(isNumber ? "N" : word);
    if (!isNumber) return;
    path.push(word);
    const key = words.slice(position + 1).join(".");
    if (key !== "") parts.push({ group: group.join("."), path: [...path], key });
  });
  const named = HYPERVISOR_NAMED.exec(field);
  if (named !== null) {
    const [, owner = "", name = "", key = ""] = named;
    const [kind = "", ...numbers] = owner.split(".");
    const prefix = [kind, ...numbers.map(() => "N")].join(".");
    parts.push({ group: `${prefix}.*`, path: [...numbers, name], key });
  }
  return parts;
}
