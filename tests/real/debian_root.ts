/**
 * A Debian in a folder, as small as it can be, to install packages into.
 *
 * @module
 */

import { ensureDebian, enterRoot, releaseName } from "../../testing/debian.ts";
import { type CommandResult, outputOf, runCommand } from "../../testing/command.ts";

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

const COMMAND_BOUND_MILLISECONDS = 120_000;

/**
 * Copies a Debian of this machine's release out of the cache: unpacking takes a minute or more, copying a second or two.
 *
 * @param packages packages besides the essential ones and apt
 * @throws {Error} with the reason when it cannot be had
 */
export async function copyDebian(packages: readonly string[]): Promise<DebianRoot> {
  const kept = await ensureDebian({ suite: await releaseName(), packages });
  const root = await temporaryRoot();
  await outputOf("cp", ["--archive", "--reflink=auto", "--no-target-directory", kept, root.path], {
    boundMilliseconds: COMMAND_BOUND_MILLISECONDS,
  });
  return root;
}

async function removeTree(path: string): Promise<void> {
  await runCommand("rm", ["-rf", "--one-file-system", path]);
}

/** A root in a folder that is still empty. */
async function temporaryRoot(): Promise<DebianRoot> {
  const path = await Deno.makeTempDir({ prefix: "debian_root_" });
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
    [Symbol.asyncDispose]: () => removeTree(path),
  };
}
