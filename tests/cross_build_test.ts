import assert from "node:assert/strict";
import { CROSS_TARGETS, crossBuild } from "../scripts/cross_build.ts";
import { StepError } from "../scripts/progress.ts";
import { ROOT } from "../scripts/set_up.ts";

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
