import assert from "node:assert/strict";
import { generateDocuments } from "../../scripts/generate_docs.ts";
import { COLLECTORS } from "../../src/metrics/mod.ts";
import { readLibvirtFields, resolveFields } from "../../testing/libvirt_fields.ts";
import { labelFields, sourceFields } from "../../testing/source_fields.ts";

/** Fields that are no source of any family, and why not. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  "cpu.cache.monitor.count": "a count of what has series of its own",
  "cpu.cache.monitor.N.vcpus": "a text: which vCPUs, which nobody can calculate with",
  "cpu.cache.monitor.N.bank.count": "a count of what has series of its own",
  "cpu.cache.monitor.N.bank.N.id": "the host's number of the bank; banks stand in its order",
  "vcpu.current": "libvirt_nova_instance_vcpus has it from the definition, without a monitor",
  "vcpu.maximum": "libvirt_nova_instance_vcpus_maximum has it from the definition, likewise",
  "net.count": "a count of what has series of its own",
  "block.count": "a count of what has series of its own",
  "block.N.backingIndex": "which image of a chain it is; only the top one is asked for",
  "block.N.path": "a text; the label source of libvirt_nova_instance_block_info has it",
  "memory.bandwidth.monitor.count": "a count of what has series of its own",
  "memory.bandwidth.monitor.N.vcpus": "a text: which vCPUs, which nobody can calculate with",
  "memory.bandwidth.monitor.N.node.count": "a count of what has series of its own",
  "memory.bandwidth.monitor.N.node.N.id": "the host's number of the node; nodes stand in its order",
  "cpu.energy.monitor.count": "a count of what has series of its own",
  "cpu.energy.monitor.N.vcpus": "a text: which vCPUs, which nobody can calculate with",
  "cpu.energy.monitor.N.pkg.count": "a count of what has series of its own",
  "cpu.energy.monitor.N.pkg.N.id": "the host's number of the package; packages stand in its order",
  "dirtyrate.calc_mode": "a text: by which means QEMU calculates",
  "block.N.latency_histogram.flush.bin.count": "a count of what has series of its own",
  "block.N.latency_histogram.read.bin.count": "a count of what has series of its own",
  "block.N.latency_histogram.write.bin.count": "a count of what has series of its own",
  "block.N.latency_histogram.zone_append.bin.count": "a count of what has series of its own",
  "block.N.timed_group.count": "a count of what has series of its own",
  "job.success": "of a job that has ended, and only jobs at work are asked for",
  "job.errmsg": "a text, and likewise of a job that has ended",
};

/** Fields of calls besides the bulk statistics, which the fixture does not list. */
const OF_OTHER_CALLS = /^(vcpu\.N\.cpu|job\.type|snapshot\.count|checkpoint\.count)$/;

function usedFields(): ReadonlySet<string> {
  return new Set(COLLECTORS.flatMap(({ families }) => families.flatMap(sourceFields)));
}

Deno.test("every field that libvirt has is a family's source, or left out for a reason", () => {
  const used = usedFields();
  const missing = readLibvirtFields().map(({ field }) => field)
    .filter((field) => !used.has(field) && LEFT_OUT[field] === undefined);
  assert.deepEqual(
    missing,
    [],
    "no family has these: add one in src/metrics/collectors, or a reason to LEFT_OUT in tests/metrics/field_coverage_test.ts",
  );
});

Deno.test("no field is left out that is a source, or that libvirt does not have", () => {
  const used = usedFields();
  const known = new Set(readLibvirtFields().map(({ field }) => field));
  const wrong = Object.keys(LEFT_OUT).filter((field) => used.has(field) || !known.has(field));
  assert.deepEqual(wrong, [], "take these out of LEFT_OUT in tests/metrics/field_coverage_test.ts");
});

Deno.test("every source is a field that libvirt has, by its name", () => {
  const known = new Set(readLibvirtFields().map(({ field }) => field));
  const unknown = [...usedFields()].filter((field) =>
    !known.has(field) && !OF_OTHER_CALLS.test(field)
  );
  assert.deepEqual(
    unknown,
    [],
    "add these to tests/fixtures/libvirt-fields/fields.tsv, or correct the family's source",
  );
});

Deno.test("docs/metrics.md names every field that is a source", async () => {
  const [metrics] = await generateDocuments();
  const ofLabels = new Set(
    COLLECTORS.flatMap(({ families }) => families.flatMap(({ labelSet }) => labelFields(labelSet))),
  );
  for (const field of usedFields()) {
    if (ofLabels.has(field)) continue;
    assert.ok(metrics?.text.includes(`\`${field}\``), field);
  }
});

Deno.test("resolveFields() puts key parts behind the device that they belong to", () => {
  const keys = [
    "cpu.time",
    "cpu.cache.monitor.",
    ".name",
    ".bank.count",
    ".bank.",
    ".bytes",
    "vcpu.",
    ".sum",
    "vm.",
    "block.",
    ".rd.bytes",
    ".latency_histogram.read.",
    "bin.count",
    "bin.",
    ".start",
    ".latency_histogram.write.",
    ".limits.iov_max",
    ".timed_group.count",
    ".timed_group.",
    ".interval",
  ];
  const fields = resolveFields(keys.map((key) => ({ key, since: "1.0" })));
  assert.deepEqual(fields.map(({ field }) => field), [
    "cpu.time",
    "cpu.cache.monitor.N.name",
    "cpu.cache.monitor.N.bank.count",
    "cpu.cache.monitor.N.bank.N.bytes",
    "vcpu.N.*.sum",
    "vm.*.cur",
    "vm.*.sum",
    "vm.*.max",
    "block.N.rd.bytes",
    "block.N.latency_histogram.read.bin.count",
    "block.N.latency_histogram.write.bin.count",
    "block.N.latency_histogram.read.bin.N.start",
    "block.N.latency_histogram.write.bin.N.start",
    "block.N.limits.iov_max",
    "block.N.timed_group.count",
    "block.N.timed_group.N.interval",
  ]);
});
