import assert from "node:assert/strict";
import { Dictionary } from "../src/libvirt/dictionary.ts";

Deno.test("Dictionary numbers strings in the order in which they come", () => {
  const dictionary = new Dictionary();
  dictionary.add(0, ["cpu.time", "vda"]);
  dictionary.add(2, ["cpu.user"]);
  assert.equal(dictionary.number("cpu.user"), 2);
  assert.equal(dictionary.string(1), "vda");
  assert.equal(dictionary.number("balloon.rss"), undefined);
  assert.equal(dictionary.string(3), undefined);
});

Deno.test("Dictionary finds the fields of devices by their index, with holes", () => {
  const dictionary = new Dictionary();
  dictionary.add(0, ["net.2.rx.bytes", "net.0.rx.bytes", "net.0.name", "vcpu.1.time", "net.count"]);
  assert.deepEqual([...dictionary.deviceFields("net", "rx.bytes")], [1, undefined, 0]);
  assert.deepEqual([...dictionary.deviceFields("vcpu", "time")], [undefined, 3]);
  assert.deepEqual(dictionary.deviceFields("block", "rd.bytes"), []);
  assert.deepEqual(dictionary.deviceName(2), { group: "net", index: 0 });
  assert.equal(dictionary.deviceName(0), undefined);
});

Deno.test("Dictionary starts anew when the news begin at 0", () => {
  const dictionary = new Dictionary();
  dictionary.add(0, ["block.0.name", "vda"]);
  dictionary.add(0, ["cpu.time"]);
  assert.equal(dictionary.string(0), "cpu.time");
  assert.equal(dictionary.number("vda"), undefined);
  assert.equal(dictionary.deviceName(0), undefined);
  assert.deepEqual(dictionary.deviceFields("block", "name"), []);
});

Deno.test("Dictionary refuses news that do not follow what it knows", () => {
  const dictionary = new Dictionary();
  dictionary.add(0, ["cpu.time"]);
  assert.throws(() => dictionary.add(5, ["cpu.user"]), RangeError);
});

Deno.test("Dictionary does not take a device's name for a field", () => {
  const dictionary = new Dictionary();
  // A tap device may be named like anything, even like a field with an absurd index.
  dictionary.add(0, ["net.99999999.name", "a.b.c", "block.x.name", "__proto__"]);
  assert.equal(dictionary.deviceName(0), undefined);
  assert.equal(dictionary.number("__proto__"), 3);
});
