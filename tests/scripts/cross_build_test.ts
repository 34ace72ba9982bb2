import assert from "node:assert/strict";
import { OLDEST_GLIBC } from "../../testing/glibc.ts";
import { CROSS_TARGETS, crossBuild } from "../../scripts/cross_build.ts";
import { StepError } from "../../testing/progress.ts";
import { ROOT } from "../../testing/set_up.ts";

Deno.test("crossBuild() refuses a target that it does not know, and names those that it does", async () => {
  await assert.rejects(crossBuild("windows"), (error) => {
    assert.ok(error instanceof StepError);
    assert.ok(error.message.includes(`"windows"`));
    for (const name of Object.keys(CROSS_TARGETS)) assert.ok(error.message.includes(name));
    return true;
  });
});

Deno.test("each target of crossBuild() is one that the executable is compiled for", async () => {
  const script = await Deno.readTextFile(`${ROOT}/scripts/compile_executable.mjs`);
  for (const name of Object.keys(CROSS_TARGETS)) assert.ok(script.includes(`"${name}": [`), name);
});

Deno.test("each target of crossBuild() is linked for its own C library, and glibc's as old as promised", () => {
  for (const [name, { rustTarget, libraryVersion }] of Object.entries(CROSS_TARGETS)) {
    const isMusl = name.endsWith("-musl");
    assert.equal(rustTarget.endsWith(isMusl ? "-musl" : "-gnu"), true, name);
    assert.equal(libraryVersion, isMusl ? undefined : OLDEST_GLIBC, name);
  }
});
