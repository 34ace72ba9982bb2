/**
 * The strings that measurements refer to by number (see `Measurement` in hypervisor.ts), with a way to find the fields
 * of devices: libvirt numbers them, as in `block.0.rd.bytes`.
 */
export class Dictionary {
  #strings: string[] = [];
  #numbers = new Map<string, number>();
  /** For `block.rd.bytes`: the numbers of `block.0.rd.bytes`, `block.1.rd.bytes`, … (with holes). */
  #deviceFields = new Map<string, number[]>();
  /** For the number of `block.3.name`: its device. */
  #nameFields = new Map<number, DeviceName>();

  /** Adds the news of a measurement. A `base` of 0 starts the dictionary anew. */
  add(base: number, strings: readonly string[]): void {
    if (base === 0) {
      this.#strings = [];
      this.#numbers = new Map();
      this.#deviceFields = new Map();
      this.#nameFields = new Map();
    }
    if (base !== this.#strings.length) {
      throw new RangeError(
        `Dictionary news start at ${base}, but ${this.#strings.length} are known`,
      );
    }
    for (const string of strings) this.#append(string);
  }

  /** The number of a field, or undefined when libvirt has never given it. */
  number(field: string): number | undefined {
    return this.#numbers.get(field);
  }

  /** The string with this number. */
  string(number: number): string | undefined {
    return this.#strings[number];
  }

  /**
   * The numbers of one field of all devices of a group, by device index.
   *
   * @example `deviceFields("block", "rd.bytes")[0]` is the number of `block.0.rd.bytes`.
   */
  deviceFields(group: string, key: string): readonly (number | undefined)[] {
    return this.#deviceFields.get(`${group}.${key}`) ?? [];
  }

  /** Which device a field names, when it is one like `block.3.name`. */
  deviceName(field: number): DeviceName | undefined {
    return this.#nameFields.get(field);
  }

  #append(string: string): void {
    const number = this.#strings.push(string) - 1;
    this.#numbers.set(string, number);
    const match = /^(\w+)\.(\d{1,6})\.(.+)$/.exec(string);
    if (match === null) return;
    const [, group = "", index = "", key = ""] = match;
    const name = `${group}.${key}`;
    const fields = this.#deviceFields.get(name) ?? [];
    fields[Number(index)] = number;
    this.#deviceFields.set(name, fields);
    if (key === "name") this.#nameFields.set(number, { group, index: Number(index) });
  }
}

/** A device as libvirt's bulk statistics number it. */
export interface DeviceName {
  /** `block`, `net`, … */
  readonly group: string;
  readonly index: number;
}
