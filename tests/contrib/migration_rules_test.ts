import assert from "node:assert/strict";
import { familiesIn, PEERS } from "../../scripts/peer_families.ts";
import { IDENTITY_NAMES } from "../../src/metrics/family.ts";
import { COLLECTORS } from "../../src/metrics/mod.ts";

const FOLDER = new URL("../../contrib/prometheus/migration_rules/", import.meta.url);

/** Families of the exporter itself that rules may read. */
const OWN = ["libvirt_nova_up"];

/** Labels of libvirt_nova_instance_info that a record has by the same name. */
const KEPT: Readonly<Record<string, readonly string[]>> = {
  "libvirt_domain_openstack_info": ["user_id", "project_id"],
  "libvirt_domain_info_meta": ["uuid", "flavor", "root_type"],
};

/** The names of the groups; they only look like families. */
const GROUP = /^ {2}- name: libvirt_nova_as_\w+$/gm;

async function readRules(file: string): Promise<string> {
  return (await Deno.readTextFile(new URL(file, FOLDER))).replaceAll(/^#.*$/gm, "")
    .replaceAll(GROUP, "");
}

function recorded(rules: string): readonly string[] {
  return Array.from(rules.matchAll(/^ +- record: (\w+)$/gm), ([, name = ""]) => name);
}

for (const { name, rules, families } of PEERS) {
  if (rules === undefined) continue;

  Deno.test(`${rules} reads families that there are`, async () => {
    const known = new Set([
      ...OWN,
      ...COLLECTORS.flatMap((collector) =>
        [...collector.families, ...collector.hostFamilies ?? []].map((family) => family.name)
      ),
    ]);
    const read = familiesIn(await readRules(rules));
    assert.ok(read.length > 20, `${read.length} families`);
    assert.deepEqual(read.filter((family) => !known.has(family)), []);
  });

  Deno.test(`${rules} records families that ${name} has, each from what docs/metrics.md names for it`, async () => {
    const text = await readRules(rules);
    for (const rule of text.split(/^ +- record: /m).slice(1)) {
      const [record = ""] = rule.split("\n", 1);
      const family = families.find((one) => one.name === record);
      assert.ok(family !== undefined, record);
      for (const ours of familiesIn(family.ours)) {
        assert.ok(rule.includes(ours), `${ours}: ${rule}`);
      }
    }
  });

  Deno.test(`${rules} has each family tested`, async () => {
    const tests = await Deno.readTextFile(
      new URL(rules.replace(".rules.yml", "_test.yml"), FOLDER),
    );
    for (const record of recorded(await readRules(rules))) {
      assert.ok(new RegExp(`^ +- expr: ${record}$`, "m").test(tests), record);
    }
  });

  Deno.test(`${rules} copies labels without a regular expression, which would end at a line feed`, async () => {
    const text = await readRules(rules);
    assert.ok(text.includes("label_join("));
    assert.doesNotMatch(text, /label_replace/);
  });

  Deno.test(`${rules} covers processors, memory, disks and network interfaces`, async () => {
    const records = recorded(await readRules(rules));
    for (
      const record of [
        "libvirt_up",
        "libvirt_domain_info_cpu_time_seconds_total",
        "libvirt_domain_info_memory_usage_bytes",
        "libvirt_domain_block_stats_read_bytes_total",
        "libvirt_domain_interface_stats_transmit_bytes_total",
      ]
    ) {
      assert.ok(records.includes(record), record);
    }
  });
}

Deno.test("rules take away each label of libvirt_nova_instance_info that the old family does not have", async () => {
  const information = COLLECTORS.flatMap((collector) => collector.families)
    .find(({ name }) => name === "libvirt_nova_instance_info");
  const labels = [...IDENTITY_NAMES, ...information?.labelSet.names ?? []];
  const rules = (await Promise.all(PEERS.flatMap((peer) => peer.rules ?? []).map(readRules)))
    .join("\n").split(/^ +- record: /m);
  for (const [record, kept] of Object.entries(KEPT)) {
    const rule = rules.find((one) => one.startsWith(`${record}\n`)) ?? "";
    const [, list = ""] = /max without \(([^)]*)\)/.exec(rule) ?? [];
    const taken = list.split(",").map((label) => label.trim());
    assert.deepEqual(
      labels.filter((label) => !taken.includes(label)).sort(),
      [...kept].sort(),
      `${record} in contrib/prometheus/migration_rules/`,
    );
  }
});
