/**
 * A Debian in a folder that runs as a machine of its own: with systemd as the first process of its own namespaces.
 *
 * @module
 */

import { type CommandResult, runCommand, startCommand } from "../../testing/command.ts";
import type { DebianRoot } from "./debian_root.ts";
import { waitUntil } from "../../testing/wait_until.ts";

/** What such a root has to include. */
export const MACHINE_PACKAGES: readonly string[] = ["curl", "systemd", "systemd-sysv"];

/** A running machine; with its disposal all its processes end. */
export interface SystemdMachine extends AsyncDisposable {
  /**
   * Runs a command inside, as root.
   *
   * @returns its standard output, without white space at its ends
   * @throws {Error} with its output when it fails
   */
  run(...command: readonly [string, ...string[]]): Promise<string>;
  /** The same, whatever its exit code. */
  outcomeOf(...command: readonly [string, ...string[]]): Promise<CommandResult>;
  /** Writes a file inside. */
  write(path: string, content: string): Promise<void>;
}

const COMMAND_BOUND_MILLISECONDS = 60_000;

/** Units that are of no use here: terminals, and what would look for the hardware of this machine. */
const MASKED_UNITS: readonly string[] = [
  "console-getty.service",
  "getty.target",
  "sys-kernel-debug.mount",
  "sys-kernel-tracing.mount",
  "systemd-journald-audit.socket",
];

/**
 * Begins a machine in the folder `$1`, in namespaces of its own. Nothing of this machine's kernel can be set from there, and
 * no device of it is seen.
 */
const BOOT = `set -e
# systemd makes namespaces for its services out of a root that is a mount of its own.
mount --bind "$1" "$1"
mount --make-rshared "$1"
cd "$1"
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/pts dev/shm dev/mqueue
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for device in null:3 zero:5 full:7 random:8 urandom:9; do
  mknod -m 666 "dev/\${device%:*}" c 1 "\${device#*:}"
done
mknod -m 666 dev/tty c 5 0
ip link set lo up
exec chroot . /usr/bin/env -i container=folder /sbin/init`;

/**
 * The first argument is a control group of its own, so that systemd's are below it. The machine ends with whoever began it,
 * however that ends.
 */
const START = `echo $$ > "$1/cgroup.procs"
exec setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child --uts --ipc --net --cgroup --propagation=private sh -c "$2" sh "$3"`;

/**
 * Boots a root, which has {@linkcode MACHINE_PACKAGES}.
 *
 * @throws {Error} with what it printed when it does not come up
 */
export async function bootMachine(root: DebianRoot): Promise<SystemdMachine> {
  for (const unit of MASKED_UNITS) {
    await runCommand("ln", ["-sf", "/dev/null", `${root.path}/etc/systemd/system/${unit}`]);
  }
  const namespaces = await startNamespaces(root);
  try {
    const firstProcess = await firstProcessBelow(namespaces.processId);
    const outcomeOf: Outcome = (...command) => runInside(firstProcess, command);
    await waitUntil("the machine is up", async () => {
      const { output: state } = await outcomeOf("systemctl", "is-system-running", "--wait");
      return /^(running|degraded)$/m.test(state);
    });
    return machineOf(root, namespaces, outcomeOf);
  } catch (error) {
    throw new Error(`The machine does not come up: ${error}\n${await namespaces.end()}`);
  }
}

type Outcome = SystemdMachine["outcomeOf"];

/** The namespaces that a machine boots in. */
interface Namespaces {
  /** The process that has made them, which is outside. */
  readonly processId: number;
  /** Ends all that runs inside, and returns what it printed. */
  end(): Promise<string>;
}

async function startNamespaces(root: DebianRoot): Promise<Namespaces> {
  const controlGroup = `${await controlGroups()}/machine_${crypto.randomUUID()}`;
  await Deno.mkdir(controlGroup);
  const child = startCommand("sh", ["-c", START, "sh", controlGroup, BOOT, root.path], {
    stdout: "piped",
    stderr: "piped",
  });
  const output = child.output();
  return {
    processId: child.pid,
    async end(): Promise<string> {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended by itself.
      }
      const { stdout, stderr } = await output;
      await removeControlGroup(controlGroup);
      const decoder = new TextDecoder();
      return `${decoder.decode(stdout)}${decoder.decode(stderr)}`;
    },
  };
}

async function firstProcessBelow(parent: number): Promise<string> {
  return await waitUntil("the machine has a first process", async () => {
    const children = await Deno.readTextFile(`/proc/${parent}/task/${parent}/children`);
    return children.trim() || undefined;
  });
}

async function runInside(
  firstProcess: string,
  command: readonly [string, ...string[]],
): Promise<CommandResult> {
  const enter = ["--target", firstProcess, "--all", "--root", "--wd=/", "--", "env", "-i"];
  const path = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
  return await runCommand("nsenter", [...enter, path, "LC_ALL=C.UTF-8", ...command], {
    boundMilliseconds: COMMAND_BOUND_MILLISECONDS,
  });
}

function machineOf(
  root: DebianRoot,
  namespaces: Namespaces,
  outcomeOf: Outcome,
): SystemdMachine {
  return {
    outcomeOf,
    async run(...command): Promise<string> {
      const result = await outcomeOf(...command);
      if (result.code !== 0) {
        throw new Error(`${command.join(" ")}: ${result.output}${result.errorOutput}`);
      }
      return result.output.trim();
    },
    async write(path, content): Promise<void> {
      const file = `${root.path}${path}`;
      await Deno.mkdir(file.slice(0, file.lastIndexOf("/")), { recursive: true });
      await Deno.writeTextFile(file, content);
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await namespaces.end();
    },
  };
}

/** Where control groups of the second version are: the only ones that can be handed on to a namespace. */
async function controlGroups(): Promise<string> {
  const mounts = await Deno.readTextFile("/proc/self/mounts");
  const place = /^\S+ (\S+) cgroup2 /m.exec(mounts)?.[1];
  if (place === undefined) throw new Error("No control groups of version 2 are mounted");
  return place;
}

async function removeControlGroup(path: string): Promise<void> {
  // Processes leave their group a moment after they have ended.
  await waitUntil("the machine's control groups are empty", async () => {
    await runCommand("find", [path, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";"]);
    return await Deno.stat(path).then(() => false, () => true);
  });
}
