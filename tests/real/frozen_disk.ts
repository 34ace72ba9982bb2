/**
 * A file system that can be frozen, so that writes to it block.
 *
 * @module
 */

import { type Availability, ensureDebianPackages, unavailable } from "../../testing/packages.ts";
import { startCommand } from "../../testing/command.ts";
import { messageOf } from "../../src/text.ts";

const FREEZE_BOUND_MILLISECONDS = 60_000;

/** A mounted file system, seen only by the processes that are started through it. */
export interface FreezableDisk extends AsyncDisposable {
  /** Where it is mounted for them. */
  readonly path: string;
  /** The command that starts the command behind it where the file system is mounted. */
  readonly through: readonly string[];
  /** Where the test sees a file of it. */
  seen(name: string): string;
  /** Makes each write wait, for a minute at most: a process that a failed test left there could not be ended before. */
  freeze(): Promise<void>;
  /** Lets them go on. */
  thaw(): Promise<void>;
}

// In a mount namespace of its own, so that the mount and the loop device go with the last process. The end of the
// input thaws, even when the test was killed: no signal ends a process that waits for a frozen disk.
const HOLD_DISK = `
set -e
truncate -s 16M "$0/image"
mkfs.ext4 -q "$0/image"
mkdir "$0/disk"
mount -o loop "$0/image" "$0/disk"
trap '' HUP INT TERM
echo ready
while read -r action; do fsfreeze "--$action" "$0/disk"; echo "done"; done
fsfreeze --unfreeze "$0/disk" 2> /dev/null || true
`;

/**
 * Makes a file system on a loop device.
 *
 * @throws {Error} where the machine does not allow it; the message has what the system said
 */
export async function mountFreezableDisk(): Promise<FreezableDisk> {
  const folder = Deno.makeTempDirSync({ prefix: "disk_" });
  const child = startCommand("setsid", ["unshare", "--mount", "sh", "-c", HOLD_DISK, folder], {
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  });
  const writer = child.stdin.getWriter();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const errors = new Response(child.stderr).text();

  let bound: ReturnType<typeof setTimeout> | undefined;

  async function dispose(): Promise<void> {
    clearTimeout(bound);
    // It may have ended by itself, with its end of the pipe.
    await writer.close().catch(() => {});
    await reader.cancel();
    await child.status;
    await errors;
    Deno.removeSync(folder, { recursive: true });
  }

  async function expectAnswer(): Promise<void> {
    const { done } = await reader.read();
    if (done) throw new Error(`A disk that can be frozen cannot be made: ${(await errors).trim()}`);
  }

  async function act(action: "freeze" | "unfreeze"): Promise<void> {
    await writer.write(new TextEncoder().encode(`${action}\n`));
    await expectAnswer();
  }

  async function thaw(): Promise<void> {
    clearTimeout(bound);
    await act("unfreeze");
  }

  async function freeze(): Promise<void> {
    await act("freeze");
    bound = setTimeout(thaw, FREEZE_BOUND_MILLISECONDS);
  }

  try {
    await expectAnswer();
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    path: `${folder}/disk`,
    through: ["nsenter", `--target=${child.pid}`, "--mount"],
    seen: (name) => `/proc/${child.pid}/root${folder}/disk/${name}`,
    freeze,
    thaw,
    [Symbol.asyncDispose]: dispose,
  };
}

/** Makes sure that {@linkcode mountFreezableDisk} can work. */
export async function ensureFreezableDisk(): Promise<Availability> {
  const packages = await ensureDebianPackages(["e2fsprogs", "mount", "util-linux"]);
  if (!packages.available) return packages;
  try {
    await using disk = await mountFreezableDisk();
    await disk.freeze();
    await disk.thaw();
    return { available: true };
  } catch (error) {
    return unavailable(messageOf(error));
  }
}
