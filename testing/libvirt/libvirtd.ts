/**
 * Starting, ending and asking the libvirtd of a private hypervisor.
 *
 * @module
 */

import { isAlive, namespaceProcesses } from "../processes.ts";
import { type CommandResult, outputOf, runCommand } from "../command.ts";
import type { Supervisor } from "./supervisor.ts";
import { daemonProcessFile, startDaemonArguments } from "./supervisor_scripts.ts";
import { waitUntil } from "../wait_until.ts";

/** A signal for libvirtd. */
export type LibvirtdSignal = "SIGTERM" | "SIGKILL" | "SIGSTOP" | "SIGCONT" | "SIGHUP";

/** The handle of a libvirtd. Process ids are those that this process sees. */
export interface Libvirtd {
  /** A libvirt connection URI through the read-only socket, which every user may use. */
  readonly readOnlyUri: string;
  /** A libvirt connection URI through the read-write socket, which is root's. */
  readonly readWriteUri: string;
  /** Runs `virsh` on the read-write connection and returns its output; throws when it fails or takes more than 60 s. */
  virsh(...parameters: readonly string[]): Promise<string>;
  /** The process id of libvirtd; throws when it does not run. */
  libvirtdPid(): number;
  /** Starts libvirtd and returns when it answers; throws with the end of its log when it does not. */
  startLibvirtd(): Promise<void>;
  /** Ends libvirtd and starts it again. The guests go on meanwhile. */
  restartLibvirtd(): Promise<void>;
  /** Sends a signal to libvirtd, and returns when it is gone if the signal ends it. The guests go on. */
  killLibvirtd(signal: LibvirtdSignal): Promise<void>;
}

/** Settings of `libvirtd.conf` by name. */
export type LibvirtdSettings = Readonly<Record<string, string | number>>;

// libvirtd gives a worker that waits for a hung guest 30 s before it ends all the same.
const END_BOUND_MILLISECONDS = 45_000;
const LOG_LINES = 20;
const NAME = "libvirtd";

const QEMU_CONFIGURATION = `user = "root"
group = "root"
security_driver = "none"
namespaces = []
# The guests' kernel lies in the project's directory, whose owner libvirt is not to change.
dynamic_ownership = 0
remember_owner = 0
`;

const SETTINGS: LibvirtdSettings = {
  "unix_sock_dir": "@directory@/sockets",
  "unix_sock_ro_perms": "0777",
  "unix_sock_rw_perms": "0700",
  "auth_unix_ro": "none",
  "auth_unix_rw": "none",
  "log_outputs": "3:file:@directory@/libvirtd.log",
};

/**
 * Writes the files of a private `/etc/libvirt`, with `@directory@` for the hypervisor's directory.
 *
 * @param settings what to set in `libvirtd.conf` beyond, or instead of, what the tests need
 */
export function libvirtConfiguration(settings: LibvirtdSettings): Readonly<Record<string, string>> {
  const lines = Object.entries({ ...SETTINGS, ...settings })
    .map(([name, value]) => `${name} = ${JSON.stringify(value)}\n`);
  return { "libvirtd.conf": lines.join(""), "qemu.conf": QEMU_CONFIGURATION };
}

/** Returns the end of a log file; a file that was never written counts as empty. */
export function lastLinesOf(path: string): string {
  try {
    return Deno.readTextFileSync(path).trimEnd().split("\n").slice(-LOG_LINES).join("\n");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

/**
 * Finds the process that a process id file inside the namespaces names.
 *
 * @returns its process id outside; `undefined` when there is no such file or no such process any more
 */
export function processOfFile(
  supervisor: Pick<Supervisor, "directory" | "firstProcess">,
  file: string,
): number | undefined {
  const inside = Number(lastLinesOf(`${supervisor.directory}/${file}`) || NaN);
  return namespaceProcesses(supervisor.firstProcess)
    .find((process) => process.inside === inside && isAlive(process.outside))?.outside;
}

function startError(answer: CommandResult, logFile: string): Error {
  return new Error(
    `The private libvirtd does not start: ${answer.errorOutput.trim()}\nIts log ends with:\n${
      lastLinesOf(logFile)
    }`,
  );
}

/** Sends a signal, and returns when the process is gone if the signal ends it. */
async function signalLibvirtd(process: number, signal: LibvirtdSignal): Promise<void> {
  Deno.kill(process, signal);
  if (signal !== "SIGTERM" && signal !== "SIGKILL") return;
  await waitUntil(
    "libvirtd to end",
    () => isAlive(process) ? undefined : true,
    END_BOUND_MILLISECONDS,
  );
}

/**
 * Returns the handle of the libvirtd in the supervisor's namespaces, which does not run yet.
 *
 * @param enter the words before a command that run it in libvirtd's system
 */
export function libvirtdIn(supervisor: Supervisor, enter: readonly string[]): Libvirtd {
  const { directory, firstProcess } = supervisor;
  const readWriteUri = `qemu+unix:///system?socket=${directory}/sockets/libvirt-sock`;
  const virshCommand = [...enter, "virsh", "--quiet", "--connect", readWriteUri];

  function virsh(...parameters: readonly string[]): Promise<string> {
    const [program = "", ...rest] = [...virshCommand, ...parameters];
    return outputOf(program, rest);
  }

  function libvirtdPid(): number {
    const process = processOfFile(supervisor, daemonProcessFile(NAME));
    if (process === undefined) throw new Error(`No libvirtd runs; call "startLibvirtd" first`);
    return process;
  }

  async function firstAnswer(): Promise<CommandResult> {
    const started = await runCommand("nsenter", startDaemonArguments(firstProcess, NAME));
    if (started.code !== 0) return started;
    const [program = "", ...rest] = [...virshCommand, "version"];
    return await runCommand(program, rest);
  }

  async function startLibvirtd(): Promise<void> {
    if (processOfFile(supervisor, daemonProcessFile(NAME)) !== undefined) {
      throw new Error(`A libvirtd runs already; call "killLibvirtd" first`);
    }
    const answer = await firstAnswer();
    if (answer.code !== 0) throw startError(answer, `${directory}/libvirtd.log`);
  }

  async function killLibvirtd(signal: LibvirtdSignal): Promise<void> {
    await signalLibvirtd(libvirtdPid(), signal);
  }

  async function restartLibvirtd(): Promise<void> {
    await killLibvirtd("SIGTERM");
    await startLibvirtd();
  }

  return {
    readOnlyUri: `${readWriteUri}-ro`,
    readWriteUri,
    virsh,
    libvirtdPid,
    startLibvirtd,
    restartLibvirtd,
    killLibvirtd,
  };
}
