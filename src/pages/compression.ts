import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { withTurns } from "../runtime/chunk_turns.ts";
import type { Page } from "../web/answer.ts";

/**
 * How hard gzip tries. A page of 200 instances with 60 series each (2.0 MB) becomes 281 kB in 5 ms of processor time at
 * level 3, 405 kB in 3 ms at level 1, 276 kB in 12 ms at level 6 and 281 kB in 16 ms at level 9.
 */
const LEVEL = 3;

/** Size of the pieces that come out, in bytes: the default of 16 kB takes a third more time. */
const OUTPUT_BYTES = 64 * 1024;

/** Makes the same page in gzip; the given one stays as it is. */
export type PageCompressor = (page: Page) => Promise<Page>;

/**
 * A compressor that compresses a body once, however many pages have it: clients that scrape at the same time share a
 * collection, and so its chunks. What it has compressed goes with the chunks.
 */
export function createPageCompressor(): PageCompressor {
  const compressed = new WeakMap<Page["chunks"], Promise<Page["chunks"]>>();
  return async (page) => {
    const chunks = compressed.get(page.chunks) ?? gzip(page.chunks);
    compressed.set(page.chunks, chunks);
    return {
      ...page,
      chunks: await chunks,
      headers: { ...page.headers, "Content-Encoding": "gzip" },
    };
  };
}

/** Compresses chunks to chunks of one gzip member, without a copy of the whole of either. */
async function gzip(chunks: Page["chunks"]): Promise<Page["chunks"]> {
  const compressed: Uint8Array[] = [];
  await pipeline(
    withTurns(chunks),
    createGzip({ level: LEVEL, chunkSize: OUTPUT_BYTES }),
    async (pieces: AsyncIterable<Uint8Array>) => {
      for await (const piece of pieces) compressed.push(piece);
    },
  );
  return compressed;
}
