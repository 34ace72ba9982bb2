// What promtool says of the executable's page. It is built by `npm run build`.
import assert from "node:assert/strict";
import { runCommand } from "../../testing/command.ts";
import { createTestFolder, requireExecutable, runExecutable } from "../../testing/executable.ts";
import { DEMO_URI } from "../../testing/hypervisor_files.ts";
import { SEED_FAMILIES } from "../../testing/instance_families.ts";
import {
  ensureDebianPackages,
  PROMETHEUS_PACKAGES,
  reportProgress,
} from "../../testing/packages.ts";

const packages = await ensureDebianPackages(PROMETHEUS_PACKAGES);

if (packages.available) {
  requireExecutable();
  Deno.test("promtool finds nothing on the page but the names that the predecessors chose", async () => {
    await using folder = await createTestFolder();
    const page = await runExecutable(["--once", "--uri", DEMO_URI], { folder });
    const { output, errorOutput } = await runCommand("promtool", ["check", "metrics"], {
      input: page.output,
    });
    const advice = `${output}${errorOutput}`.trim().split("\n");
    const named = (families: readonly string[], text: string): readonly string[] =>
      families.map((family) => `libvirt_nova_instance_${family} ${text}`);
    const counters = [...SEED_FAMILIES.interface, ...SEED_FAMILIES.disk];
    assert.deepEqual(
      advice.sort(),
      [
        ...named(SEED_FAMILIES.balloon, "metric names should not contain abbreviated units"),
        ...named(counters, 'counter metrics should have "_total" suffix'),
        ...named(
          ["vcpu_count"],
          'non-histogram and non-summary metrics should not have "_count" suffix',
        ),
      ].sort(),
    );
  });
} else {
  reportProgress(`Leaving out promtool: ${packages.reason}`);
}
