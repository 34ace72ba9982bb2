/**
 * A private sshd on a port of the loopback address, with keys of its own.
 *
 * @module
 */

import { freePort } from "../../testing/free_port.ts";
import { waitUntil } from "../../testing/wait_until.ts";
import { outputOf, startCommand } from "../../testing/command.ts";

/** Lets root in, whatever the machine says of its password, and leaves nothing on the machine. */
const RUN_APART = `
set -e
mount -t tmpfs tmpfs /run
mkdir /run/sshd
# Where libvirt's programs look for the daemon.
ln -s "$2" /run/libvirt
mount --bind "$1/shadow" /etc/shadow
exec /usr/sbin/sshd -D -e -f "$1/sshd_config"
`;

const START_BOUND_MILLISECONDS = 10_000;

/** A host key and a key that the daemon lets in, and one that it does not. */
export interface SshKeys {
  /** The directory of all that follow. */
  readonly directory: string;
  readonly port: number;
  /** The private keys of a client, which belong to the user that they are made for. */
  readonly accepted: string;
  readonly refused: string;
  /** Files for clients: the host's key, and none. */
  readonly knownHosts: string;
  readonly noKnownHosts: string;
}

/** A running sshd, which ends with all of its sessions when it is disposed of. */
export interface SshDaemon extends AsyncDisposable {
  /** The lines that it has logged. */
  logLines(): readonly string[];
}

/** Makes keys in a new directory below another one, for a client with this user id. */
export async function makeSshKeys(parent: string, userId: number): Promise<SshKeys> {
  const directory = `${parent}/ssh`;
  const port = freePort();
  Deno.mkdirSync(directory);
  Deno.chmodSync(directory, 0o755);
  for (const name of ["host", "accepted", "refused"]) {
    await outputOf("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", `${directory}/${name}`]);
    if (name !== "host") Deno.chownSync(`${directory}/${name}`, userId, userId);
  }
  const settings = [
    `Port ${port}`,
    "ListenAddress 127.0.0.1",
    `HostKey ${directory}/host`,
    `AuthorizedKeysFile ${directory}/accepted.pub`,
    "PidFile none",
    // The temporary directory is everybody's.
    "StrictModes no",
    "UsePAM no",
    "PermitRootLogin yes",
    "LogLevel VERBOSE",
  ];
  Deno.writeTextFileSync(`${directory}/sshd_config`, `${settings.join("\n")}\n`);
  Deno.writeTextFileSync(`${directory}/shadow`, "root:*:19000:0:99999:7:::\n");
  const hostKey = Deno.readTextFileSync(`${directory}/host.pub`);
  const knownHosts = `${directory}/known_hosts`;
  const noKnownHosts = `${directory}/no_known_hosts`;
  Deno.writeTextFileSync(knownHosts, `[127.0.0.1]:${port} ${hostKey}`);
  Deno.writeTextFileSync(noKnownHosts, "");
  return {
    directory,
    port,
    accepted: `${directory}/accepted`,
    refused: `${directory}/refused`,
    knownHosts,
    noKnownHosts,
  };
}

/**
 * Starts sshd and returns when it listens.
 *
 * @param sockets the directory of libvirtd's sockets, which its sessions find in the usual place
 * @throws {Error} when it does not
 */
export async function startSshDaemon(
  { directory }: SshKeys,
  sockets: string,
): Promise<SshDaemon> {
  const child = startCommand("unshare", [
    ...["--mount", "--pid", "--fork", "--kill-child"],
    ...["sh", "-c", RUN_APART, "sshd", directory, sockets],
  ], { stderr: "piped" });
  let log = "";
  const reading = (async (): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stderr) log += decoder.decode(chunk, { stream: true });
  })();
  const stop = async (): Promise<void> => {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended by itself.
    }
    await child.status;
    await reading;
  };
  try {
    await waitUntil(
      `sshd to listen: ${log}`,
      () => log.includes("Server listening") || undefined,
      START_BOUND_MILLISECONDS,
    );
  } catch (error) {
    await stop();
    throw new Error(`sshd does not start: ${log}`, { cause: error });
  }
  return { logLines: () => log.split("\n").slice(0, -1), [Symbol.asyncDispose]: stop };
}
