import assert from "node:assert/strict";
import { familiesIn, PEERS } from "../../scripts/peer_families.ts";
import { samplePage } from "../../testing/sample_host.ts";
import { IDENTITY_NAMES } from "../../src/metrics/family.ts";
import { COLLECTORS } from "../../src/metrics/mod.ts";

const FAMILIES = COLLECTORS.flatMap((collector) => collector.families);
const HOST_FAMILIES = COLLECTORS.flatMap(({ hostFamilies = [] }) => hostFamilies);

for (const { name, labels, families } of PEERS) {
  Deno.test(`every family that stands for one of ${name} exists`, async () => {
    const page = await samplePage(COLLECTORS);
    const known = new Set([
      ...[...FAMILIES, ...HOST_FAMILIES].map((family) => family.name),
      ...page.keys(),
    ]);
    for (const { name: theirs, ours } of families) {
      const named = familiesIn(ours);
      assert.ok(named.length > 0, theirs);
      for (const family of named) assert.ok(known.has(family), `${family} for ${theirs}`);
    }
  });

  Deno.test(`every family of ${name} stands once`, () => {
    const names = families.map((family) => family.name);
    assert.deepEqual(names, [...new Set(names)]);
  });

  Deno.test(`every label that stands for one of ${name} is one of the named family`, () => {
    const all = new Set([
      ...IDENTITY_NAMES,
      ...FAMILIES.flatMap(({ labelSet }) => labelSet.names),
      ...HOST_FAMILIES.flatMap((family) => family.names),
    ]);
    for (const [theirs, ours] of labels) {
      if (ours === "the same") continue;
      const [names = "", family] = ours.split(" of ");
      const ofFamily = FAMILIES.find((one) => one.name === family)?.labelSet.names ??
        HOST_FAMILIES.find((one) => one.name === family)?.names;
      assert.ok(family === undefined || ofFamily !== undefined, family);
      for (const label of names.split(", ")) {
        assert.ok((ofFamily ?? [...all]).includes(label), `${label} for ${theirs}`);
      }
      const isOfEqualLength = family === undefined || names.split(", ").length ===
          theirs.split(", ").length;
      assert.ok(isOfEqualLength, `${theirs} and ${ours}`);
    }
  });

  Deno.test(`a note for a family of ${name} names the collector where that is off by default`, () => {
    for (const { name: theirs, ours, note } of families) {
      for (const family of familiesIn(ours)) {
        const collector = COLLECTORS.find((one) =>
          [...one.families, ...one.hostFamilies ?? []].some((row) => row.name === family)
        );
        if (collector?.byDefault !== false) continue;
        assert.ok(note.includes(`collector \`${collector.name}\``), `${theirs}: ${note}`);
      }
    }
  });
}
