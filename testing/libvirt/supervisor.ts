/**
 * Making the namespaces in which a private hypervisor lives, and ending everything in them.
 *
 * @module
 */

import { DIRECTORIES, supervisorArguments } from "./supervisor_scripts.ts";
import { startCommand } from "../../testing/command.ts";

/** The namespaces of a hypervisor, with virtlogd in them and libvirtd not yet. */
export interface Supervisor {
  /** The hypervisor's directory. */
  readonly directory: string;
  /** The process whose end ends all others in there. */
  readonly firstProcess: number;
  /** Ends everything and removes the directory; returns when that is done, however often it is called. */
  stop(): Promise<void>;
}

const STOP_BOUND_MILLISECONDS = 30_000;

/** Reads the line that says that all is ready, or everything when the output ends without it. */
async function readAnswer(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string> {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let answer = "";
  while (!/^ready \d+\n/.test(answer)) {
    const { done, value } = await reader.read();
    if (done) break;
    answer += value;
  }
  await reader.cancel();
  return answer;
}

/** Makes the hypervisor's directory with its configuration files. */
function makeDirectory(configuration: Readonly<Record<string, string>>): string {
  const directory = Deno.makeTempDirSync({ prefix: "hypervisor-" });
  // Other users may have to reach the read-only socket in it.
  Deno.chmodSync(directory, 0o755);
  for (const part of DIRECTORIES) Deno.mkdirSync(`${directory}/${part}`, { recursive: true });
  for (const [name, content] of Object.entries(configuration)) {
    const text = content.replaceAll("@directory@", directory);
    Deno.writeTextFileSync(`${directory}/etc/${name}`, text);
  }
  return directory;
}

/**
 * Makes the namespaces and starts virtlogd in them.
 *
 * @param configuration the files of the private `/etc/libvirt`; `@directory@` in them becomes the hypervisor's directory
 * @param inside the script of the first process inside, when it is to do something else than that
 * @throws {Error} when the machine does not allow it; the message has what the system said
 */
export async function startSupervisor(
  configuration: Readonly<Record<string, string>>,
  inside?: string,
): Promise<Supervisor> {
  const directory = makeDirectory(configuration);
  const group = directory.replace(/^.*\//, "");
  // In a session of its own, as Ctrl-C in a terminal is to end the tests and not what cleans up behind them.
  const child = startCommand("setsid", ["sh", ...supervisorArguments(directory, group, inside)], {
    stdin: "piped",
    stdout: "piped",
    cwd: "/",
  });
  const lifeline = child.stdin.getWriter();
  const answer = await readAnswer(child.stdout);
  const firstProcess = Number(/^ready (\d+)/.exec(answer)?.[1]);

  async function end(): Promise<void> {
    try {
      await lifeline.close();
    } catch {
      // It had ended by itself, with its end of the pipe.
    }
    const timer = setTimeout(() => {
      if (firstProcess > 0) Deno.kill(firstProcess, "SIGKILL");
    }, STOP_BOUND_MILLISECONDS);
    await child.status;
    clearTimeout(timer);
  }
  let ending: Promise<void> | undefined;
  const stop = (): Promise<void> => ending ??= end();

  if (Number.isNaN(firstProcess)) {
    await stop();
    throw new Error(
      `The namespaces of a private hypervisor cannot be made: ${answer.trim()}; run where "unshare" may`,
    );
  }
  return { directory, firstProcess, stop };
}
