// Stands in for systemd as the receiver of what a service tells about itself. Python has datagram sockets of the family
// AF_UNIX, which Deno has not.
import assert from "node:assert/strict";
import { waitUntil } from "./wait_until.ts";
import { startCommand } from "./command.ts";

/** A socket that keeps what is sent to it. */
export interface NotifyReceiver extends AsyncDisposable {
  /** All messages so far, each as the list of its lines. */
  readonly messages: readonly (readonly string[])[];
  /** Waits until a message has a line that fits, among those from the given position on. */
  waitFor(line: RegExp, from?: number): Promise<unknown>;
}

/** @param address a path, or a name of the abstract namespace after an `@` */
export async function startNotifyReceiver(address: string): Promise<NotifyReceiver> {
  const script = decodeURIComponent(new URL("notify_receiver.py", import.meta.url).pathname);
  const child = startCommand("python3", [script, address], { stdin: "piped", stdout: "piped" });
  const messages: string[][] = [];
  let isOpen = true;
  const read = async (): Promise<void> => {
    let rest = "";
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = `${rest}${text}`.split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) messages.push(String(JSON.parse(line)).split("\n"));
    }
    isOpen = false;
  };
  const reading = read();
  const waitFor = (line: RegExp, from = 0): Promise<unknown> =>
    waitUntil(`a message with ${line}`, () => {
      assert.ok(isOpen, "the receiver has ended");
      return messages.slice(from).flat().some((text) => line.test(text));
    });
  await waitFor(/^LISTENING$/);
  return {
    messages,
    waitFor,
    async [Symbol.asyncDispose](): Promise<void> {
      await child.stdin.close();
      await reading;
      await child.status;
    },
  };
}
