// The same source gives the same bytes.
import assert from "node:assert/strict";
import { ARCHITECTURES, buildSbom } from "../../scripts/package.ts";
import { buildExecutable } from "../../testing/set_up.ts";
import { createTestFolder, EXECUTABLE } from "../../testing/executable.ts";
import { packageStandIn } from "./package_stand_in.ts";

async function digest(path: string): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", await Deno.readFile(path))).toHex();
}

Deno.test("the executable is the same when it is built again", async () => {
  const before = await digest(EXECUTABLE);
  await Deno.remove(EXECUTABLE);
  await buildExecutable();
  assert.equal(await digest(EXECUTABLE), before);
});

for (const format of ["deb", "rpm"] as const) {
  Deno.test(`the ${format} package is the same when it is made again of files with other times`, async () => {
    await using folder = await createTestFolder();
    const first = await packageStandIn(folder, format, "1.2.3", "same");
    await Deno.utime(`${folder.path}/stand_in`, 1_000_000_000, 1_000_000_000);
    const second = await packageStandIn(folder, format, "1.2.3", "same");
    assert.notEqual(first, second);
    assert.equal(await digest(second), await digest(first));
    const other = await packageStandIn(folder, format, "1.2.3", "other");
    assert.notEqual(await digest(other), await digest(first));
  });
}

Deno.test("the list of what is in the executable is the same when it is made again", async () => {
  for (const architecture of ARCHITECTURES.values()) {
    assert.equal(await buildSbom(architecture), await buildSbom(architecture));
  }
});
