/**
 * Deno 2.9 compresses on the JavaScript thread, and takes one chunk after the other without giving other work a turn. Bun
 * compresses beside it.
 */
import { setImmediate } from "node:timers/promises";

/** Gives the chunks one by one, and other work a turn after each. */
export async function* withTurns(chunks: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) {
    yield chunk;
    await setImmediate();
  }
}
