import assert from "node:assert/strict";
import { openMemoryFile } from "../../src/runtime/memory_file.ts";
import { goneQuirk, moduleOf, runUnder } from "../../testing/run_under.ts";

Deno.test("openMemoryFile() makes a file under Bun that has the content and no path", async () => {
  const printed = await runUnder(
    "Bun",
    `
    import { readFileSync, readlinkSync } from "node:fs";
    const { openMemoryFile } = await import(${moduleOf("src/runtime/memory_file.ts")});
    const path = "/proc/self/fd/" + openMemoryFile(new TextEncoder().encode("content"));
    console.log(readFileSync(path, "utf8"), readlinkSync(path).startsWith("/memfd:"));
  `,
  );
  assert.equal(printed, "content true");
});

Deno.test("openMemoryFile() throws under another runtime", () => {
  assert.throws(() => openMemoryFile(new Uint8Array(1)), /bun:ffi/);
});

Deno.test("no module of Node's makes a file in memory", async () => {
  const { default: fileSystem } = await import("node:fs");
  assert.ok(
    !Object.keys(fileSystem).some((name) => /memfd/i.test(name)),
    goneQuirk("Bun", "needs C for it", "memory_file.ts"),
  );
});
