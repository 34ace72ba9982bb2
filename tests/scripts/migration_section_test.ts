import assert from "node:assert/strict";
import { migrationSection } from "../../scripts/migration_section.ts";
import { PEERS } from "../../scripts/peer_families.ts";

Deno.test("migrationSection() has a table of labels and one of families for an exporter", () => {
  const text = migrationSection([{
    name: "example/exporter",
    rules: "example.rules.yml",
    labels: [["domain", "libvirtname"], ["a, b", "uuid, flavor of libvirt_nova_instance_info"]],
    families: [{ name: "libvirt_up", ours: "libvirt_nova_up", note: "nothing" }],
  }]);
  assert.ok(text.includes("### From example/exporter\n"));
  assert.ok(text.includes("(../contrib/prometheus/migration_rules/example.rules.yml)"));
  assert.ok(text.includes("| `domain` | `libvirtname` |\n"));
  assert.ok(text.includes("| `a`, `b` | `uuid`, `flavor` of `libvirt_nova_instance_info` |\n"));
  assert.ok(text.includes("| `libvirt_up` | `libvirt_nova_up` | nothing |\n"));
});

Deno.test("migrationSection() names rule files that there are", async () => {
  for (const { rules } of PEERS) {
    if (rules === undefined) continue;
    const file = new URL(`../../contrib/prometheus/migration_rules/${rules}`, import.meta.url);
    assert.ok((await Deno.stat(file)).isFile, rules);
  }
});
