import assert from "node:assert/strict";
import { detached } from "../../src/libvirt/detached.ts";
import { outputOf } from "../../testing/command.ts";

const ROOT = decodeURIComponent(new URL("../..", import.meta.url).pathname);

Deno.test("detached() gives back what it was given, but for properties that are undefined", () => {
  const value = {
    name: 'a "b" \u2028 \ud83d\ude00',
    count: 0,
    disks: [{ target: "vda" }],
    nova: undefined,
  };
  const copy = detached(value);
  assert.deepEqual(copy, { name: value.name, count: 0, disks: [{ target: "vda" }] });
  assert.equal(copy.nova, undefined);
  assert.notEqual(copy.disks, value.disks);
});

/** Keeps a short piece of each of 200 long texts; prints the bytes that are alive then. */
const KEEPING = `
  import { heapStats } from "bun:jsc";
  import { detached } from "./src/libvirt/detached.ts";
  const keep = process.argv[1] === "detached" ? detached : (value) => value;
  const kept = [];
  for (let number = 0; number < 200; number++) {
    const document = Buffer.alloc(100_000, "document " + number + " ").toString();
    kept.push(keep({ name: document.slice(500, 600) }));
  }
  Bun.gc(true);
  const { heapSize, extraMemorySize } = heapStats();
  console.log(kept.length * 0 + heapSize + extraMemorySize);
`;

async function bytesKept(how: "detached" | "as it is"): Promise<number> {
  const bun = `${ROOT}node_modules/.bin/bun`;
  return Number(await outputOf(bun, ["-e", KEEPING, how], { workingDirectory: ROOT }));
}

Deno.test("detached() lets go of the document that its strings were cut from", async () => {
  const [attached, copied] = [await bytesKept("as it is"), await bytesKept("detached")];
  assert.ok(attached > 200 * 100_000, `${attached} bytes: substrings keep documents no more`);
  assert.ok(copied < 200 * 100_000 / 4, `${copied} bytes`);
});
