/**
 * A stand-in for Open vSwitch with DPDK beside a private hypervisor: an `ovs-vsctl` that libvirt runs for each vhost-user
 * network card, which takes as long as a test says.
 *
 * @module
 */

import type { Hypervisor } from "../../testing/libvirt/hypervisor.ts";
import { startVhostUserPeer } from "./vhost_user_peer.ts";

/**
 * The counters that Open vSwitch has for a port, by its names for them, such as `rx_bytes`. It speaks from where it stands:
 * what it receives is what the guest sends.
 */
export type PortCounters = Readonly<Record<string, number>>;

/** How often `ovs-vsctl` was run for the statistics of a port. */
export interface StatisticsRuns {
  readonly begun: number;
  readonly ended: number;
}

/** The handle of the stand-in. Dispose of it when the hypervisor has ended. */
export interface OpenVswitch extends Disposable {
  /** Adds a port that answers with these counters, and returns the path of the socket for QEMU. */
  addPort(name: string, counters: PortCounters): string;
  /** Adds the socket of a peer that Open vSwitch knows nothing of. */
  addForeignSocket(name: string): string;
  /** How long each question for statistics takes from now on; `"hang"` for longer than libvirt lets it. */
  answerAfter(seconds: number | "hang"): void;
  /** How often it was asked for statistics since it was started. */
  runs(): StatisticsRuns;
}

const UNTIL_LIBVIRT_GIVES_UP = "5";

/** libvirt names the port last when it wants statistics, and before the column when it wants a port's name. */
const OVS_VSCTL = `#!/bin/sh
cd /run/open_vswitch
for last; do :; done
case "$*" in
  *" get Interface "*)
    [ -e "ports/$4" ] || exit 1
    echo "$4"
    ;;
  *--columns=statistics*)
    echo begun >> runs
    read -r seconds < seconds
    sleep "$seconds"
    echo ended >> runs
    if [ "$seconds" = ${UNTIL_LIBVIRT_GIVES_UP} ]; then
      echo "ovs-vsctl: terminating with signal 14 (Alarm clock)" >&2
      exit 142
    fi
    cat "ports/$last"
    ;;
esac
`;

/** Puts the stand-in where the hypervisor's libvirtd looks for it, before it needs it. */
export function startOpenVswitch(hypervisor: Hypervisor): OpenVswitch {
  const folder = `${hypervisor.directory}/run/open_vswitch`;
  const programs = `${hypervisor.directory}/run/programs`;
  Deno.mkdirSync(`${folder}/ports`, { recursive: true });
  Deno.mkdirSync(programs, { recursive: true });
  Deno.writeTextFileSync(`${folder}/runs`, "");
  Deno.writeTextFileSync(`${programs}/ovs-vsctl`, OVS_VSCTL, { mode: 0o755 });
  const stack = new DisposableStack();
  const answerAfter = (seconds: number | "hang"): void => {
    const text = seconds === "hang" ? UNTIL_LIBVIRT_GIVES_UP : String(seconds);
    // A look at the file while it is written must not find it empty.
    Deno.writeTextFileSync(`${folder}/seconds.new`, `${text}\n`);
    Deno.renameSync(`${folder}/seconds.new`, `${folder}/seconds`);
  };
  const addForeignSocket = (name: string): string => {
    const path = `${folder}/${name}`;
    stack.use(startVhostUserPeer(path));
    return path;
  };
  answerAfter(0);
  return {
    addForeignSocket,
    addPort(name, counters): string {
      const answer = JSON.stringify(["map", Object.entries(counters)]);
      Deno.writeTextFileSync(`${folder}/ports/${name}`, `${answer}\n`);
      return addForeignSocket(name);
    },
    answerAfter,
    runs(): StatisticsRuns {
      const lines = Deno.readTextFileSync(`${folder}/runs`).split("\n");
      const count = (word: string): number => lines.filter((line) => line === word).length;
      return { begun: count("begun"), ended: count("ended") };
    },
    [Symbol.dispose]: () => stack.dispose(),
  };
}

/** The XML of a vhost-user network card. */
export function vhostUserInterface(socket: string, macAddress: string): string {
  return `<interface type="vhostuser"><mac address="${macAddress}"/>` +
    `<source type="unix" path="${socket}" mode="client"/><model type="virtio"/></interface>`;
}

/** What a guest with a vhost-user device has to have inside `<domain>`: memory that can be shared. */
export const SHARED_MEMORY =
  `<memoryBacking><source type="memfd"/><access mode="shared"/></memoryBacking>`;
