import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { gunzipSync } from "node:zlib";
import type { Page } from "../../src/web/answer.ts";
import { createPageCompressor } from "../../src/pages/compression.ts";
import { outputOf } from "../../testing/command.ts";
import { turnsDuring } from "../../testing/turns.ts";

const BUN = decodeURIComponent(new URL("../../node_modules/.bin/bun", import.meta.url).pathname);
const COMPRESSION = new URL("../../src/pages/compression.ts", import.meta.url).href;

function pageOf(chunks: readonly Uint8Array[], headers?: Page["headers"]): Page {
  return {
    status: 200,
    contentType: "text/plain",
    chunks,
    ...(headers === undefined ? {} : { headers }),
  };
}

function decompress(page: Page): Uint8Array {
  return gunzipSync(Buffer.concat(page.chunks));
}

/** Bytes that gzip can hardly make shorter; the same ones at each call. */
function noise(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let index = 0, state = 1; index < length; index++) {
    state = Math.imul(state, 1_103_515_245) + 12_345 | 0;
    bytes[index] = state >>> 16;
  }
  return bytes;
}

Deno.test("a compressed page is what it was before, however it is cut into chunks", async (t) => {
  const line = Buffer.from('libvirt_nova_instance_vcpu_count{novaname="ü"} 2\n');
  const cases: readonly (readonly [string, readonly Uint8Array[]])[] = [
    ["no chunk", []],
    ["an empty chunk", [new Uint8Array(0)]],
    ["one chunk", [line]],
    ["empty chunks between others", [new Uint8Array(0), line, new Uint8Array(0), line]],
    ["many small chunks", Array.from({ length: 5_000 }, () => line)],
    ["chunks beyond all buffers", [noise(1_000_000), noise(2_000_000)]],
    ["a part of a buffer", [noise(1_000).subarray(10, 20)]],
  ];
  for (const [name, chunks] of cases) {
    await t.step(name, async () => {
      const page = await createPageCompressor()(pageOf(chunks));
      assert.ok(Buffer.concat(chunks).equals(decompress(page)));
      assert.equal(page.headers?.["Content-Encoding"], "gzip");
    });
  }
});

Deno.test("a compressed page keeps status, type and headers, and the page before stays as it was", async () => {
  const plain = pageOf([Buffer.from("up 1\n".repeat(1_000))], { Vary: "Accept, Accept-Encoding" });
  const compressed = await createPageCompressor()(plain);
  assert.deepEqual(
    { ...compressed, chunks: [] },
    {
      status: 200,
      contentType: "text/plain",
      chunks: [],
      headers: { Vary: "Accept, Accept-Encoding", "Content-Encoding": "gzip" },
    },
  );
  assert.deepEqual(plain.headers, { Vary: "Accept, Accept-Encoding" });
  assert.equal(Buffer.concat(plain.chunks).toString(), "up 1\n".repeat(1_000));
  assert.ok(Buffer.concat(compressed.chunks).length < 100);
});

Deno.test("pages with the same chunks are compressed once, even at the same time", async () => {
  const compress = createPageCompressor();
  const chunks = [noise(100_000)];
  const [one, other] = await Promise.all([
    compress(pageOf(chunks)),
    compress(pageOf(chunks, { Vary: "Accept" })),
  ]);
  assert.equal(one.chunks, other.chunks);
  assert.notEqual((await compress(pageOf([...chunks]))).chunks, one.chunks);
});

Deno.test("other work gets its turn after each chunk while a page is compressed", async () => {
  const chunks = Array.from({ length: 100 }, () => noise(1_000));
  const turns = await turnsDuring(() => createPageCompressor()(pageOf(chunks)));
  assert.ok(turns >= chunks.length, `${turns} turns`);
});

Deno.test("Bun, which the executable runs in, compresses the same page", async () => {
  const program = `
    const { createPageCompressor } = await import(${JSON.stringify(COMPRESSION)});
    const line = new TextEncoder().encode("libvirt_nova_up 1\\n");
    const page = { status: 200, contentType: "text/plain", chunks: Array(9_000).fill(line) };
    const { chunks } = await createPageCompressor()(page);
    process.stdout.write(Buffer.concat(chunks).toString("base64"));`;
  const compressed = Buffer.from(await outputOf(BUN, ["-e", program]), "base64");
  assert.equal(gunzipSync(compressed).toString(), "libvirt_nova_up 1\n".repeat(9_000));
});
