import assert from "node:assert/strict";
import { Dictionary } from "../../src/libvirt/dictionary.ts";
import { type Measurement, Verdict } from "../../src/libvirt/hypervisor.ts";
import { type Snapshot, takeSnapshot } from "../../src/libvirt/snapshot.ts";
import { domainRecord } from "../../testing/domain_record.ts";
import { NO_STATUS } from "../../testing/hypervisor_status.ts";

/** A measurement of domains given as objects. */
function measure(
  domains: readonly {
    verdict?: number;
    numbers?: Record<string, number>;
    texts?: Record<string, string>;
  }[],
): { measurement: Measurement; dictionary: Dictionary } {
  const strings: string[] = [];
  const number = (string: string): number =>
    strings.includes(string) ? strings.indexOf(string) : strings.push(string) - 1;
  const offsets = [0], fields: number[] = [], values: number[] = [];
  const textOffsets = [0], textFields: number[] = [], texts: number[] = [];
  const byField = (left: [number, number], right: [number, number]): number => left[0] - right[0];
  for (const domain of domains) {
    const numbers = Object.entries(domain.numbers ?? {});
    for (
      const [field, value] of numbers.map(([k, v]): [number, number] => [number(k), v]).sort(
        byField,
      )
    ) {
      fields.push(field);
      values.push(value);
    }
    const named = Object.entries(domain.texts ?? {});
    for (
      const [field, text] of named.map(([k, v]): [number, number] => [number(k), number(v)]).sort(
        byField,
      )
    ) {
      textFields.push(field);
      texts.push(text);
    }
    offsets.push(fields.length);
    textOffsets.push(texts.length);
  }
  const dictionary = new Dictionary();
  dictionary.add(0, strings);
  return {
    dictionary,
    measurement: {
      verdicts: Uint8Array.from(domains, ({ verdict }) => verdict ?? Verdict.complete),
      offsets: Uint32Array.from(offsets),
      fields: Uint32Array.from(fields),
      values: Float64Array.from(values),
      textOffsets: Uint32Array.from(textOffsets),
      textFields: Uint32Array.from(textFields),
      texts: Uint32Array.from(texts),
      dictionaryBase: 0,
      dictionaryStrings: strings,
      entities: [],
      failures: [],
      callTimes: [],
      status: NO_STATUS,
    },
  };
}

/** Domain, path and name of each named device. */
function namesOf(snapshot: Snapshot, group: string): string[] {
  return snapshot.namedDevices(group).map(({ domain, slot, name }) =>
    `${domain} ${snapshot.dictionary.path(group, slot).join(".")} ${name}`
  );
}

Deno.test("takeSnapshot() gives each domain its own values and nothing for what libvirt left out", () => {
  const { measurement, dictionary } = measure([
    { numbers: { "cpu.time": 5, "balloon.rss": 0 } },
    {},
    { numbers: { "balloon.rss": 7 } },
  ]);
  const snapshot = takeSnapshot(
    [domainRecord(1), domainRecord(2), domainRecord(3)],
    measurement,
    dictionary,
  );
  const cpu = dictionary.number("cpu.time") ?? -1;
  const rss = dictionary.number("balloon.rss") ?? -1;
  assert.deepEqual([0, 1, 2].map((domain) => snapshot.value(domain, cpu)), [
    5,
    undefined,
    undefined,
  ]);
  assert.deepEqual([0, 1, 2].map((domain) => snapshot.value(domain, rss)), [0, undefined, 7]);
  assert.equal(snapshot.value(0, 999), undefined);
});

Deno.test("takeSnapshot() leaves domains out that went away, and keeps the others' values theirs", () => {
  const { measurement, dictionary } = measure([
    { numbers: { "cpu.time": 1 } },
    { verdict: Verdict.gone, numbers: { "cpu.time": 2 }, texts: { "net.0.name": "tap2" } },
    { verdict: Verdict.late, numbers: { "cpu.time": 3 }, texts: { "net.0.name": "tap3" } },
  ]);
  const snapshot = takeSnapshot(
    [domainRecord(1), domainRecord(2), domainRecord(3)],
    measurement,
    dictionary,
  );
  const cpu = dictionary.number("cpu.time") ?? -1;
  assert.deepEqual(snapshot.domains.map(({ name }) => name), ["instance-1", "instance-3"]);
  assert.deepEqual([snapshot.value(0, cpu), snapshot.value(1, cpu)], [1, 3]);
  assert.deepEqual([snapshot.isComplete(0), snapshot.isComplete(1)], [true, false]);
  assert.deepEqual([snapshot.verdict(0), snapshot.verdict(1)], [Verdict.complete, Verdict.late]);
  assert.deepEqual(namesOf(snapshot, "net.N"), ["1 0 tap3"]);
});

Deno.test("takeSnapshot() finds devices by their names, whatever their index, each target once", () => {
  const { measurement, dictionary } = measure([
    {
      texts: {
        "block.0.name": "vda",
        "block.4.name": "vdb",
        "net.1.name": "tap1",
        "block.0.path": "/x",
      },
    },
    { texts: { "block.0.name": "vda", "block.1.name": "vda", "net.0.name": "" } },
  ]);
  const snapshot = takeSnapshot([domainRecord(1), domainRecord(2)], measurement, dictionary);
  assert.deepEqual(namesOf(snapshot, "block.N"), ["0 0 vda", "0 4 vdb", "1 0 vda"]);
  assert.deepEqual(namesOf(snapshot, "net.N"), ["0 1 tap1"]);
  assert.deepEqual(snapshot.namedDevices("vcpu.N"), []);
});

Deno.test("takeSnapshot() refuses a measurement of more domains than it has records for", () => {
  const { measurement, dictionary } = measure([{}, {}]);
  assert.throws(() => takeSnapshot([domainRecord(1)], measurement, dictionary), RangeError);
});

Deno.test("takeSnapshot() leaves domains out whose definition has not been read, and counts no refused one as complete", () => {
  const { measurement, dictionary } = measure([{}, {}, {}]);
  const snapshot = takeSnapshot(
    [
      { ...domainRecord(1), definition: "unread" },
      { ...domainRecord(2), definition: "refused" },
      domainRecord(3),
    ],
    measurement,
    dictionary,
  );
  assert.deepEqual(snapshot.domains.map(({ name }) => name), ["instance-2", "instance-3"]);
  assert.deepEqual([snapshot.isComplete(0), snapshot.isComplete(1)], [false, true]);
});

Deno.test("takeSnapshot() finds numbered devices by any of their fields, also nested ones", () => {
  const { measurement, dictionary } = measure([
    { numbers: { "vcpu.current": 2, "vcpu.3.time": 1, "vcpu.3.state": 1, "vcpu.0.time": 2 } },
    { numbers: { "cpu.cache.monitor.0.bank.1.bytes": 7, "cpu.cache.monitor.0.bank.count": 1 } },
  ]);
  const snapshot = takeSnapshot([domainRecord(1), domainRecord(2)], measurement, dictionary);
  const paths = (group: string): string[] =>
    snapshot.numberedDevices(group).map(({ domain, slot }) =>
      `${domain} ${dictionary.path(group, slot).join(".")}`
    );
  assert.deepEqual(paths("vcpu.N"), ["0 3", "0 0"]);
  assert.deepEqual(paths("cpu.cache.monitor.N.bank.N"), ["1 0.1"]);
  assert.deepEqual(paths("iothread.N"), []);
});

Deno.test("takeSnapshot() gives texts, and nothing for those that libvirt left out", () => {
  const { measurement, dictionary } = measure([{ texts: { "block.0.path": "/x" } }, {}]);
  const snapshot = takeSnapshot([domainRecord(1), domainRecord(2)], measurement, dictionary);
  const field = dictionary.number("block.0.path") ?? -1;
  assert.deepEqual([snapshot.text(0, field), snapshot.text(1, field)], ["/x", undefined]);
});
