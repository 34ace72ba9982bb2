/**
 * Commands that a guest is to run.
 *
 * @module
 */

import { COMMAND_END } from "../../testing/libvirt/guest_image.ts";
import type { Guests } from "../../testing/libvirt/guests.ts";

/** The shell of a booted guest. */
export interface GuestShell extends Disposable {
  /**
   * Runs one command line of busybox in the guest, one at a time, and returns what it printed.
   *
   * @throws {Error} with what it printed when it ends with another exit code than 0
   */
  run(command: string): Promise<string>;
}

/** Connects to the shell of a guest that was defined with one and is ready. */
export async function connectGuestShell(guests: Guests, name: string): Promise<GuestShell> {
  const path = guests.shellSocketOf(name);
  const connection = await Deno.connect({ transport: "unix", path });
  const encoder = new TextEncoder();
  const decoder = new TextDecoder();
  const end = new RegExp(`^${COMMAND_END} (\\d+)\\n`, "m");

  async function run(command: string): Promise<string> {
    let pending = encoder.encode(`${command}\n`);
    while (pending.length > 0) pending = pending.subarray(await connection.write(pending));
    const buffer = new Uint8Array(4096);
    let printed = "";
    while (true) {
      const count = await connection.read(buffer);
      if (count === null) throw new Error(`Guest "${name}" ended during "${command}": ${printed}`);
      printed += decoder.decode(buffer.subarray(0, count), { stream: true });
      const match = end.exec(printed);
      if (match === null) continue;
      const output = printed.slice(0, match.index);
      if (match[1] === "0") return output;
      throw new Error(`Command "${command}" of guest "${name}" ended with ${match[1]}: ${output}`);
    }
  }

  return { run, [Symbol.dispose]: () => connection.close() };
}
