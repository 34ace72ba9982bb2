import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { Dictionary } from "../../src/libvirt/dictionary.ts";
import {
  type HostEntity,
  type Hypervisor as Shim,
  type Measurement,
  type Question,
  StatisticsGroup,
} from "../../src/libvirt/hypervisor.ts";
import type { InitialGuest } from "../../testing/libvirt/hypervisor.ts";

/** Reads `domstats` lines such as `  balloon.available=60720`. */
export function statistics(output: string): ReadonlyMap<string, string> {
  return new Map(
    output.split("\n").map((line) => line.trim().split("="))
      .flatMap(([name, value]) => name === undefined || value === undefined ? [] : [[name, value]]),
  );
}

/** The bits of all groups of statistics. */
export const EVERY_GROUP = Object.values(StatisticsGroup).reduce((sum, group) => sum | group, 0);

/** Asks for nothing, and gives libvirt more time than anything takes. */
export const QUESTION: Question = {
  timeoutMilliseconds: 20_000,
  callTimeoutMilliseconds: 15_000,
  groups: 0,
  domainCalls: 0,
  hostCalls: 0,
  inactive: false,
};

/** What the guests of the shim's tests are called, and the disks that they have. */
export const SHIM_GUESTS: readonly InitialGuest[] = [
  {
    name: "one-disk",
    start: "paused",
    processors: { current: 1, maximum: 2 },
    disks: [{ target: "vda" }],
    interfaces: [{ target: "tapshim0", macAddress: "fa:16:3e:00:02:01" }],
  },
  { name: "two-disks", start: "paused", disks: [{ target: "vda" }, { target: "vdb" }] },
  { name: "no-balloon", start: "paused", balloonPeriodSeconds: "none", disks: [{ target: "vda" }] },
  { name: "shut-off", start: "defined", disks: [{ target: "vda" }] },
];

/** One domain's measurement: its numbers and texts by field, and what became of it. */
interface Measured {
  readonly verdict: number | undefined;
  readonly numbers: ReadonlyMap<string, number>;
  readonly texts: ReadonlyMap<string, string>;
  readonly measurement: Measurement;
}

/** Asks the shim about domains by libvirt's name. */
export class ShimAsker {
  readonly #shim: Shim;
  readonly #dictionary = new Dictionary();
  readonly #handles = new Map<string, number>();

  constructor(shim: Shim) {
    this.#shim = shim;
  }

  async survey(changes: Partial<Question>): Promise<ReadonlySet<number>> {
    const survey = await this.#shim.survey({ ...QUESTION, ...changes });
    equal(survey.failure, undefined);
    for (const { handle, name } of survey.appeared) {
      this.#handles.set(name, handle);
      const disks = SHIM_GUESTS.find((guest) => guest.name === name)?.disks ?? [];
      this.#shim.setDevices(handle, disks.map(({ target }) => target), [], []);
    }
    return new Set(survey.changed);
  }

  handle(name: string): number {
    return this.#handles.get(name) ?? -1;
  }

  /** Surveys, and measures this domain alone. */
  async ask(name: string, changes: Partial<Question>): Promise<Measured> {
    await this.survey(changes);
    const [measured] = await this.measure([name], changes);
    ok(measured !== undefined);
    return measured;
  }

  async measure(names: readonly string[], changes: Partial<Question>): Promise<Measured[]> {
    const handles = Uint32Array.from(names, (name) => this.handle(name));
    const measurement = await this.#shim.measure({ ...QUESTION, ...changes }, handles);
    this.#dictionary.add(measurement.dictionaryBase, measurement.dictionaryStrings);
    const string = (number: number): string => this.#dictionary.string(number) ?? "";
    const { offsets, fields, values, textOffsets, textFields, texts } = measurement;
    return names.map((_, position) => {
      const [start, end] = [offsets[position], offsets[position + 1]];
      const [textStart, textEnd] = [textOffsets[position], textOffsets[position + 1]];
      const own = values.subarray(start, end);
      const ownTexts = texts.subarray(textStart, textEnd);
      return {
        verdict: measurement.verdicts[position],
        numbers: new Map(
          [...fields.subarray(start, end)].map((field, at) => [string(field), own[at] ?? NaN]),
        ),
        texts: new Map(
          [...textFields.subarray(textStart, textEnd)]
            .map((field, at) => [string(field), string(ownTexts[at] ?? -1)]),
        ),
        measurement,
      };
    });
  }

  async entities(hostCalls: number): Promise<readonly HostEntity[]> {
    const measurement = await this.#shim.measure({ ...QUESTION, hostCalls }, new Uint32Array());
    deepEqual(measurement.failures, []);
    return measurement.entities;
  }
}

/** Reads lines of virsh such as `Capacity:  251 GiB`, `vda rd_req 0` or ` total  :  12 KiB`: the first number of each. */
export function numbersOf(output: string): ReadonlyMap<string, number> {
  return new Map(
    [...output.matchAll(/^\s*(.+?)\s*(?::|\s)\s*(-?\d+)\b.*$/gm)]
      .map(([, name, value]) => [name ?? "", Number(value)]),
  );
}
