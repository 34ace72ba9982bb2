// What the executable says where it can unpack its shim nowhere: neither in a temporary directory nor in memory, which a
// tracer refuses it.
import assert from "node:assert/strict";
import { createTestFolder, requireExecutable, runExecutable } from "../../testing/executable.ts";
import { ensureDebianPackages, reportProgress } from "../../testing/packages.ts";
import { after, REFUSES_MEMORY_FILES, UNPACKING_FAULTS } from "./unpacking_faults.ts";

requireExecutable();

const packages = await ensureDebianPackages(["strace"]);
const canRun = packages.available && Deno.uid() === 0;
if (!canRun && Deno.env.get("CI") === "true") {
  throw new Error(packages.available ? "These tests need root" : packages.reason);
}
if (!canRun) reportProgress("Leaving out the tests of unpacking: they need root on Debian");

if (canRun) {
  for (const [name, [script, line]] of Object.entries(UNPACKING_FAULTS)) {
    Deno.test(`a temporary directory that ${name} ends it with 1 and one line with the remedy`, async () => {
      await using folder = await createTestFolder();
      const { code, output, errorOutput } = await runExecutable(
        ["--uri", "test:///default", "--web.listen-address", "127.0.0.1:0", "--log", "-"],
        { folder, through: [...after(script, folder), ...REFUSES_MEMORY_FILES] },
      );
      assert.deepEqual([code, output], [1, ""], errorOutput);
      assert.match(errorOutput, /^libvirt_nova_exporter: [^\n]+\n$/);
      assert.ok(errorOutput.includes(`"${folder.temporary}"`), errorOutput);
      assert.match(errorOutput, line);
    });
  }
}
