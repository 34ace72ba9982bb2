import assert from "node:assert/strict";
import { DESCRIBED_LABELS, describeLabel } from "../../scripts/label_descriptions.ts";
import { IDENTITY_NAMES } from "../../src/metrics/family.ts";
import { COLLECTORS } from "../../src/metrics/mod.ts";

/** What flags add to the identity. */
const OPTIONAL_IDENTITY = ["project_id", "uuid", "user"];

Deno.test("describeLabel() has one line for each label of each family", () => {
  const names = COLLECTORS.flatMap(({ families, hostFamilies = [] }) => [
    ...families.flatMap(({ labelSet }) => labelSet.names),
    ...hostFamilies.flatMap((family) => family.names),
  ]);
  for (const name of names) assert.match(describeLabel(name), /^[^\n]{10,}[^.\n]$/, name);
});

Deno.test("no label is described that no family has", () => {
  const names = new Set([
    ...IDENTITY_NAMES,
    ...OPTIONAL_IDENTITY,
    ...COLLECTORS.flatMap(({ families, hostFamilies = [] }) => [
      ...families.flatMap(({ labelSet }) => labelSet.names),
      ...hostFamilies.flatMap((family) => family.names),
    ]),
  ]);
  assert.deepEqual(DESCRIBED_LABELS.filter((name) => !names.has(name)), []);
});

Deno.test("describeLabel() throws for a label that nobody has described", () => {
  assert.throws(() => describeLabel("shoe_size"), /Label "shoe_size" is not described/);
});
