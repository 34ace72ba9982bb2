import assert from "node:assert/strict";
import { Dictionary } from "../../src/libvirt/dictionary.ts";

Deno.test("Dictionary numbers strings in the order in which they come", () => {
  const dictionary = new Dictionary();
  dictionary.add(0, ["cpu.time", "vda"]);
  dictionary.add(2, ["cpu.user"]);
  assert.equal(dictionary.number("cpu.user"), 2);
  assert.equal(dictionary.string(1), "vda");
  assert.equal(dictionary.number("balloon.rss"), undefined);
  assert.equal(dictionary.string(3), undefined);
});

/** The numbers of a field by the device's path. */
function fieldsByPath(dictionary: Dictionary, group: string, key: string): Record<string, number> {
  return Object.fromEntries(
    dictionary.deviceFields(group, key).flatMap((number, slot) =>
      number === undefined ? [] : [[dictionary.path(group, slot).join("."), number]]
    ),
  );
}

Deno.test("Dictionary finds the fields of devices, whatever their numbers", () => {
  const dictionary = new Dictionary();
  dictionary.add(0, ["net.2.rx.bytes", "net.0.rx.bytes", "net.0.name", "vcpu.1.time", "net.count"]);
  assert.deepEqual(fieldsByPath(dictionary, "net.N", "rx.bytes"), { 2: 0, 0: 1 });
  assert.deepEqual(fieldsByPath(dictionary, "vcpu.N", "time"), { 1: 3 });
  assert.deepEqual(fieldsByPath(dictionary, "block.N", "rd.bytes"), {});
  assert.deepEqual(dictionary.memberships(2), [{ group: "net.N", slot: 1, key: "name" }]);
  assert.deepEqual(dictionary.memberships(4), []);
});

Deno.test("Dictionary finds nested devices, and what the hypervisor has named itself", () => {
  const cases: readonly (readonly [field: string, groups: readonly string[]])[] = [
    ["cpu.time", []],
    ["cpu.cache.monitor.count", []],
    ["cpu.cache.monitor.0.bank.1.bytes", [
      "cpu.cache.monitor.N 0 bank.1.bytes",
      "cpu.cache.monitor.N.bank.N 0.1 bytes",
    ]],
    ["memory.bandwidth.monitor.3.node.0.bytes.local", [
      "memory.bandwidth.monitor.N 3 node.0.bytes.local",
      "memory.bandwidth.monitor.N.node.N 3.0 bytes.local",
    ]],
    ["block.0.latency_histogram.read.bin.2.start", [
      "block.N 0 latency_histogram.read.bin.2.start",
      "block.N.latency_histogram.read.bin.N 0.2 start",
    ]],
    ["vm.halt_exits.sum", ["vm.* halt_exits sum"]],
    ["vcpu.1.guest_mode.cur", ["vcpu.N 1 guest_mode.cur", "vcpu.N.* 1.guest_mode cur"]],
    ["vcpu.12", []],
  ];
  for (const [field, expected] of cases) {
    const dictionary = new Dictionary();
    dictionary.add(0, [field]);
    const found = dictionary.memberships(0).map(({ group, slot, key }) =>
      `${group} ${dictionary.path(group, slot).join(".")} ${key}`
    );
    assert.deepEqual(found, expected, field);
  }
});

Deno.test("Dictionary refuses news that do not follow what it knows", () => {
  const dictionary = new Dictionary();
  dictionary.add(0, ["cpu.time"]);
  assert.throws(() => dictionary.add(5, ["cpu.user"]), RangeError);
  assert.throws(() => dictionary.add(0, ["cpu.user"]), RangeError);
  assert.equal(dictionary.size, 1);
});

Deno.test("Dictionary does not take a device's name for a field", () => {
  const dictionary = new Dictionary();
  // A tap device may be named like anything, even like a field with an absurd index.
  const names = [
    "net.99999999.name",
    "a.b.c",
    "block.x.name",
    "__proto__",
    `block.0.${"x".repeat(300)}`,
  ];
  dictionary.add(0, names);
  names.forEach((_, number) => assert.deepEqual(dictionary.memberships(number), []));
  assert.equal(dictionary.number("__proto__"), 3);
});
