/**
 * A root to run the exporter in that has no C library but musl.
 *
 * @module
 */

import { runCommand } from "../../testing/command.ts";
import { ROOT } from "../../testing/set_up.ts";

/** The executable for musl. */
const MUSL_EXECUTABLE = `${ROOT}/dist/linux-x64-musl/libvirt_nova_exporter`;

/** Where the executable is in a root. */
export const EXECUTABLE_INSIDE = "/usr/bin/libvirt_nova_exporter";

/** A root; deleted when it is disposed of. */
export interface MuslRoot extends AsyncDisposable {
  /** Path of its folder. */
  readonly path: string;
  /**
   * The words before a command that run it inside, in the place of the command that they begin with (with exec), as root unless
   * another user is given by numbers.
   */
  through(user?: string): readonly string[];
}

/** Temporary files are at the same place inside, so that paths of sockets and folders mean the same. */
const SHARED = Deno.env.get("TMPDIR") || "/tmp";

/** In namespaces of its own the mounts go with the process, whatever becomes of it. */
const ENTER = `set -e
root=$1 shared=$2 user=$3
shift 3
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --rbind "$shared" "$root$shared"
exec chroot --userspec="$user" "$root" "$@"`;

/**
 * Makes a root of a system, with the executable for musl in it.
 *
 * @param system the folder of `ensureMuslSystem()`
 */
export async function createMuslRoot(system: string): Promise<MuslRoot> {
  const path = await Deno.makeTempDir({ dir: "/var/tmp", prefix: "musl_root_" });
  await Deno.chmod(path, 0o755);
  await runCommand("cp", ["--archive", "--no-target-directory", system, path]);
  for (const folder of ["proc", "dev", "etc", "tmp", SHARED]) {
    await Deno.mkdir(`${path}/${folder}`, { recursive: true });
  }
  await Deno.writeTextFile(`${path}/etc/passwd`, "root:x:0:0:root:/root:/bin/sh\n");
  await Deno.writeTextFile(`${path}/etc/group`, "root:x:0:\n");
  await Deno.copyFile(MUSL_EXECUTABLE, `${path}${EXECUTABLE_INSIDE}`);
  return {
    path,
    through: (user = "0:0") => [
      ...["unshare", "--mount", "--propagation=private", "sh", "-c", ENTER, "sh"],
      ...[path, SHARED, user],
    ],
    async [Symbol.asyncDispose](): Promise<void> {
      await runCommand("rm", ["-rf", "--one-file-system", path]);
    },
  };
}
