import assert from "node:assert/strict";
import process from "node:process";
import { glibcVersion } from "../../src/runtime/glibc_version.ts";
import { outputOf } from "../../testing/command.ts";
import { goneQuirk, moduleOf, runUnder } from "../../testing/run_under.ts";

Deno.test("glibcVersion() is that of the system under Bun, and unknown under Deno", async () => {
  const printed = await runUnder(
    "Bun",
    `
    const { glibcVersion } = await import(${moduleOf("src/runtime/glibc_version.ts")});
    console.log(glibcVersion());
  `,
  );
  const told = await outputOf("getconf", ["GNU_LIBC_VERSION"]);
  assert.equal(`glibc ${printed}`, told.trim());
  assert.equal(glibcVersion(), undefined);
});

Deno.test("Deno reports the same glibc on every system", () => {
  const { header } = process.report.getReport() as {
    readonly header: { readonly glibcVersionRuntime?: string };
  };
  assert.equal(
    header.glibcVersionRuntime,
    "2.38",
    goneQuirk("Deno", "reports a glibc of its own", "glibc_version.ts"),
  );
});
