import assert from "node:assert/strict";
import { DomainCall, StatisticsGroup } from "../../src/libvirt/hypervisor.ts";
import { openMetricsFamily } from "../../src/metrics/exposition.ts";
import { type Collector, type Family, IDENTITY_NAMES } from "../../src/metrics/family.ts";
import {
  chooseCollectors,
  COLLECTORS,
  neededCalls,
  SWITCHED_COLLECTORS,
} from "../../src/metrics/mod.ts";

const FAMILIES = COLLECTORS.flatMap(({ families }) => families);
const HOST_FAMILIES = COLLECTORS.flatMap(({ hostFamilies }) => hostFamilies ?? []);
const ALL = [...FAMILIES, ...HOST_FAMILIES];

Deno.test("every family's name is valid and stands once, in OpenMetrics as well", () => {
  const names = ALL.map(({ name }) => name);
  assert.deepEqual(names, [...new Set(names)]);
  for (const { name } of FAMILIES) assert.match(name, /^libvirt_nova_instance_[a-z0-9_]+$/);
  for (const { name } of HOST_FAMILIES) {
    assert.match(name, /^libvirt_nova_(node|project|storage_pool|storage_volume|network)_[a-z_]+$/);
  }
  const openMetricsNames = ALL.map((family) => openMetricsFamily(family).name);
  assert.deepEqual(openMetricsNames, [...new Set(openMetricsNames)]);
});

Deno.test("every family's whole name stands in the file of its collector, where a search finds it", async () => {
  for (const { name, families, hostFamilies = [] } of COLLECTORS) {
    const path = `src/metrics/collectors/${name}.ts`;
    const text = await Deno.readTextFile(new URL(`../../${path}`, import.meta.url));
    for (const family of [...families, ...hostFamilies]) {
      assert.ok(
        text.includes(`"${family.name}"`),
        `${family.name} is put together: write its whole name in ${path}`,
      );
    }
  }
});

Deno.test("every family has a help text of one line, a unit, and labels that do not repeat the identity", () => {
  for (const family of ALL) {
    const { name, help, unit } = family;
    const names = "labelSet" in family ? family.labelSet.names : family.names;
    assert.match(help, /^[^\n]+[^.\n]$/, name);
    assert.notEqual(unit, "");
    assert.deepEqual([...names], [...new Set(names)], name);
    for (const label of names) assert.match(label, /^[a-z]+(_[a-z]+)*$/, name);
    if ("labelSet" in family) {
      for (const label of IDENTITY_NAMES) assert.ok(!names.includes(label), name);
    }
  }
});

Deno.test("names end as their type and unit demand, but for those that the older exporters chose", () => {
  const seed = COLLECTORS.find(({ name }) => name === "seed")?.families ?? [];
  for (const { name, type, unit } of ALL.filter((family) => !seed.includes(family as Family))) {
    assert.equal(name.endsWith("_total"), type === "counter", name);
    assert.equal(name.endsWith("_info"), type === "info", name);
    const base = name.replace(/_total$/, "");
    for (const word of ["seconds", "bytes", "ratio", "hertz"]) {
      if (unit === word) assert.ok(base.endsWith(`_${word}`), `${name} is in ${unit}`);
    }
    assert.doesNotMatch(name, /nanoseconds|milliseconds|_kb$|kilobytes|megabytes|percent/);
  }
});

Deno.test("a collector's name is one word, its flag's, and its families' field groups are asked for", () => {
  const names = COLLECTORS.map(({ name }) => name);
  assert.deepEqual(names, [...new Set(names)]);
  for (const collector of COLLECTORS) {
    const { name, description, groups, domainCalls = 0, families } = collector;
    assert.match(name, /^[a-z]+(_[a-z]+)*$/);
    assert.match(description, /[^.]$/, name);
    const needed = families.map(askedBy);
    // Some fields come with a group or with a cheaper call.
    for (const [group, call] of needed) {
      assert.ok(
        group === 0 || (groups & group) !== 0 || (domainCalls & call) !== 0,
        `${name} does not ask for what its families need`,
      );
    }
    const useful = needed.reduce((sum, [group]) => sum | group, 0);
    const asked = groups & ~StatisticsGroup.state;
    assert.equal(asked & ~useful, 0, `${name} asks for a group that no family needs`);
  }
});

/** The group that a family's field is in, and the call that has it as well. */
function askedBy({ source, labelSet }: Family): readonly [group: number, call: number] {
  if (!("field" in source)) return [0, 0];
  const path = labelSet.scope === "device" ? labelSet.group : source.field;
  const [word = ""] = path.split(".");
  const groups: Readonly<Record<string, number>> = {
    ...StatisticsGroup,
    net: StatisticsGroup.interface,
  };
  const calls: Readonly<Record<string, number>> = {
    cpu: DomainCall.cpuTime,
    block: /\.times$|^fl\./.test(source.field) ? DomainCall.blockTimes : DomainCall.blockCounters,
    vcpu: DomainCall.vcpuPlacement,
    job: DomainCall.job,
    snapshot: DomainCall.snapshots,
    checkpoint: DomainCall.checkpoints,
  };
  return [groups[word] ?? 0, calls[word] ?? 0];
}

Deno.test("chooseCollectors() keeps the order of the page, and what cannot be switched off", () => {
  const none = chooseCollectors(() => false);
  assert.deepEqual(none.map(({ name }) => name), ["scrape"]);
  const all = chooseCollectors(() => true);
  assert.deepEqual(all, COLLECTORS);
  assert.deepEqual(SWITCHED_COLLECTORS, COLLECTORS.filter(({ name }) => name !== "scrape"));
});

Deno.test("neededCalls() asks for nothing that no collector needs", () => {
  const by = (...names: string[]): readonly Collector[] =>
    COLLECTORS.filter(({ name }) => names.includes(name));
  assert.deepEqual(neededCalls([]), { groups: 0, domainCalls: 0, hostCalls: 0 });
  assert.deepEqual(neededCalls(by("cpu", "scrape", "info")), {
    groups: 0,
    domainCalls: DomainCall.cpuTime,
    hostCalls: 0,
  });
  assert.deepEqual(neededCalls(by("memory", "paging", "snapshot")), {
    groups: StatisticsGroup.balloon,
    domainCalls: DomainCall.snapshots | DomainCall.checkpoints,
    hostCalls: 0,
  });
});

Deno.test("what is collected by default needs two questions to a guest's monitor at most, its memory and its disks", () => {
  const { groups, domainCalls } = neededCalls(
    COLLECTORS.filter(({ byDefault }) => byDefault !== false),
  );
  const free = StatisticsGroup.state | StatisticsGroup.interface;
  assert.equal(groups & ~free, StatisticsGroup.balloon);
  const { cpuTime, blockCounters, blockTimes } = DomainCall;
  assert.equal(domainCalls, cpuTime | blockCounters | blockTimes);
});
