/**
 * One `virsh` for many commands.
 *
 * @module
 */

import { startCommand } from "../../testing/command.ts";

/** A running `virsh` that keeps its connection: a command costs no process and no handshake. */
export interface VirshShell extends AsyncDisposable {
  /** Runs one command line, one at a time, and returns what it printed; throws what virsh says when it fails. */
  run(command: string): Promise<string>;
}

/** In one stream the messages of a command cannot come after its end. */
const SCRIPT = 'exec virsh --quiet --connect "$1" 2>&1';

/**
 * Starts `virsh` on a connection; dispose of it to end it.
 *
 * @param enter the words before a command that run it in another system than this machine's
 */
export function startVirshShell(uri: string, enter: readonly string[] = []): VirshShell {
  const [program = "", ...rest] = [...enter, "sh", "-c", SCRIPT, "shell", uri];
  const child = startCommand(program, rest, {
    stdin: "piped",
    stdout: "piped",
    env: { LC_ALL: "C.UTF-8" },
  });
  const input = child.stdin.getWriter();
  const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const encoder = new TextEncoder();
  let commands = 0;

  async function run(command: string): Promise<string> {
    const marker = `\nend-of-command-${commands++}`;
    await input.write(encoder.encode(`${command}\necho ${marker.trim()}\n`));
    let printed = "";
    while (!printed.includes(marker)) {
      const { done, value } = await output.read();
      if (done) throw new Error(`The shell of virsh ended during "${command}": ${printed}`);
      printed += value;
    }
    const [, ...lines] = printed.slice(0, printed.indexOf(marker)).split("\n").slice(0, -1);
    const errors = lines.filter((line) => line.startsWith("error: "));
    if (errors.length > 0) throw new Error(`Command "${command}" failed: ${errors.join("; ")}`);
    return lines.join("\n");
  }

  return {
    run,
    [Symbol.asyncDispose]: async (): Promise<void> => {
      await input.close();
      await output.cancel();
      await child.status;
    },
  };
}
