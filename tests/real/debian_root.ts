/**
 * A Debian in a folder, as small as it can be, to install packages into.
 *
 * @module
 */

import { type CommandResult, runCommand } from "./command.ts";

/** What makes such a folder, and what is installed into it. */
export const ROOT_PACKAGES: readonly string[] = ["mmdebstrap"];

/** A Debian in a folder; deleted when it is disposed of. */
export interface DebianRoot extends AsyncDisposable {
  /** Path of the folder. */
  readonly path: string;
  /**
   * Runs a command inside, as root, with a `/proc` and devices of its own.
   *
   * @throws {Error} with its output when it fails
   */
  run(...command: readonly [string, ...string[]]): Promise<CommandResult>;
  /** The words before a command that run it inside, in the place of the command that they begin with (with exec). */
  through(): readonly string[];
}

const UNPACKING_BOUND_MILLISECONDS = 300_000;
const COMMAND_BOUND_MILLISECONDS = 120_000;

/** The words before a command that run it in a folder with a system, as root, with a `/proc` and devices of its own. */
export function enterRoot(path: string): readonly string[] {
  return ["unshare", "--mount", "--propagation=private", "sh", "-c", ENTER, "sh", path];
}

/** In namespaces of its own the mounts go with the process, whatever becomes of it. */
const ENTER = `set -e
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
root=$1
shift
exec chroot "$root" "$@"`;

/**
 * Unpacks the release of Debian that this machine has, from where this machine gets it.
 *
 * @param include packages besides the essential ones and apt
 * @throws {Error} with the reason when it cannot be had
 */
export async function unpackDebian(include: readonly string[]): Promise<DebianRoot> {
  const release = await Deno.readTextFile("/etc/os-release");
  const suite = /^VERSION_CODENAME=(\w+)$/m.exec(release)?.[1];
  if (suite === undefined) throw new Error("/etc/os-release names no release of Debian");
  const path = await Deno.makeTempDir({ prefix: "debian_root_" });
  const sources = "/etc/apt/sources.list.d/debian.sources";
  const hasSources = await Deno.stat(sources).then(() => true, () => false);
  const remove = async (): Promise<void> => {
    await runCommand("rm", ["-rf", "--one-file-system", path]);
  };
  const result = await runCommand("mmdebstrap", [
    "--variant=apt",
    "--mode=root",
    "--skip=check/empty",
    '--dpkgopt=path-exclude="/usr/share/man/*"',
    `--include=${include.join(",")}`,
    suite,
    path,
    ...(hasSources ? [sources] : []),
  ], { boundMilliseconds: UNPACKING_BOUND_MILLISECONDS });
  if (result.code !== 0) {
    await remove();
    throw new Error(`Cannot unpack Debian: ${result.errorOutput.split("\n").slice(-5).join("\n")}`);
  }
  const through = (): readonly string[] => enterRoot(path);
  return {
    path,
    through,
    async run(...command): Promise<CommandResult> {
      const [program = "", ...rest] = [...through(), ...command];
      const outcome = await runCommand(program, rest, {
        boundMilliseconds: COMMAND_BOUND_MILLISECONDS,
        environment: { DEBIAN_FRONTEND: "noninteractive", PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
      });
      if (outcome.code !== 0) {
        throw new Error(`${command.join(" ")}: ${outcome.output}${outcome.errorOutput}`);
      }
      return outcome;
    },
    [Symbol.asyncDispose]: remove,
  };
}
