import assert from "node:assert/strict";
import { StatisticsGroup } from "../src/libvirt/hypervisor.ts";
import { COLLECTORS } from "../src/metrics/mod.ts";

const FAMILIES = COLLECTORS.flatMap(({ families }) => families);

Deno.test("every family's name is valid and stands once", () => {
  const names = FAMILIES.map(({ name }) => name);
  assert.deepEqual(names, [...new Set(names)]);
  for (const name of names) assert.match(name, /^libvirt_nova_instance_[a-z0-9_]+$/);
});

Deno.test("every family has a help text of one line, a unit, and the identity labels first", () => {
  for (const { name, help, unit, labelSet } of FAMILIES) {
    assert.match(help, /^[^\n]+[^.\n]$/, name);
    assert.notEqual(unit, "");
    assert.deepEqual(labelSet.names.slice(0, 3), ["libvirtname", "novaname", "novaproject"]);
    assert.deepEqual([...labelSet.names], [...new Set(labelSet.names)]);
  }
});

Deno.test("label sets give exactly the labels that they name, in this order", () => {
  const description = {
    name: "i",
    uuid: "u",
    nova: undefined,
    novaProblem: undefined,
    maximumVirtualCpus: 1,
    currentVirtualCpus: 1,
    disks: [{ target: "d", type: "file", device: "disk", bus: "", serial: "", source: "" }],
    interfaces: [
      { target: "d", macAddress: "m", model: "", type: "", source: "", neutronPortId: "" },
    ],
  };
  const record = {
    handle: 0,
    uuid: "u",
    id: 1,
    name: "i",
    description,
    definition: "given" as const,
  };
  for (const { labelSet } of FAMILIES) {
    const labels = labelSet.scope === "instance"
      ? labelSet.labels(record)
      : labelSet.labels(record, "d");
    assert.deepEqual(labels?.map(([name]) => name), [...labelSet.names]);
    if (labelSet.scope === "device") assert.equal(labelSet.labels(record, "other"), undefined);
  }
});

Deno.test("a collector asks libvirt for the groups that its families' fields are in, and no others", () => {
  const prefixes: Readonly<Record<string, number>> = StatisticsGroup;
  for (const { name, groups, families } of COLLECTORS) {
    const needed = families.reduce((sum, { source, labelSet }) => {
      if (!("field" in source)) return sum;
      if (labelSet.scope === "device") {
        return sum |
          (labelSet.group === "block" ? StatisticsGroup.block : StatisticsGroup.interface);
      }
      return sum | (prefixes[source.field.split(".", 1)[0] ?? ""] ?? 0);
    }, 0);
    assert.equal(groups, needed, name);
  }
});
