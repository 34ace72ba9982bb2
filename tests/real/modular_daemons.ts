/**
 * A modular libvirt: virtproxyd, virtqemud, virtstoraged and virtnetworkd. Debian 12 has none of them, but its libvirtd is the
 * same program, and loads its drivers from a folder that can be chosen: with no drivers it is virtproxyd, with one of them
 * virtstoraged or virtnetworkd.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { lastLinesOf, processOfFile } from "../../testing/libvirt/libvirtd.ts";
import { pause, waitUntil } from "../../testing/wait_until.ts";
import {
  daemonProcessFile,
  startDaemonArguments,
} from "../../testing/libvirt/supervisor_scripts.ts";
import {
  type Hypervisor,
  type InitialGuest,
  startHypervisor,
} from "../../testing/libvirt/hypervisor.ts";
import { isAlive, runningThreads } from "../../testing/processes.ts";
import { outputOf } from "../../testing/command.ts";

/** A daemon beside virtqemud, which is the hypervisor's own libvirtd. */
export type DaemonName = "virtproxyd" | "virtstoraged" | "virtnetworkd";

/** A running modular libvirt, and its guests. */
export interface ModularDaemons extends AsyncDisposable {
  /** With virtqemud as its libvirtd. */
  readonly hypervisor: Hypervisor;
  /** A connection URI through virtproxyd's read-only socket. */
  readonly proxyUri: string;
  /** Ends a daemon and starts it again. */
  restart(name: DaemonName): Promise<void>;
  /** The daemons that have crashed, or of which a thread runs for ever. */
  broken(): Promise<readonly string[]>;
  /** Runs `virsh` on a daemon's own connection. */
  virsh(name: "virtstoraged" | "virtnetworkd", ...parameters: readonly string[]): Promise<string>;
}

const DRIVERS = "/usr/lib/x86_64-linux-gnu/libvirt/connection-driver";
const PRELOADED = fileURLToPath(new URL("secondary_connections.c", import.meta.url));
const END_BOUND_MILLISECONDS = 45_000;

/** How often a thread is looked at, and how long after another. One that waits for nothing each time runs for ever. */
const LOOKS = 40;
const LOOK_INTERVAL_MILLISECONDS = 25;

/** What each daemon loads, by the word in the URIs of what it serves. */
const SERVED = { virtqemud: "qemu", virtstoraged: "storage", virtnetworkd: "network" } as const;

/** Where a daemon's sockets are, as it sees it itself. */
const socketsOf = (name: string): string => `/run/${name}`;

/** Lets libvirt's clients find a daemon where they look for the real one, and through a program that talks to it. */
function publish(directory: string, name: keyof typeof SERVED, sockets: string): void {
  Deno.symlinkSync(`${sockets}/libvirt-sock`, `${directory}/run/libvirt/${name}-sock`);
  const program = `#!/bin/sh\nexec virt-ssh-helper ${SERVED[name]}:///system\n`;
  Deno.writeTextFileSync(`${directory}/run/programs/to-${name}`, program, { mode: 0o755 });
}

/** Writes from where a daemon loads which drivers. */
function chooseDrivers(
  directory: string,
  name: string,
  drivers: readonly string[],
  more: string = "",
): void {
  Deno.mkdirSync(`${directory}/run/drivers/${name}`, { recursive: true });
  for (const driver of drivers) {
    const file = `libvirt_driver_${driver}.so`;
    Deno.symlinkSync(`${DRIVERS}/${file}`, `${directory}/run/drivers/${name}/${file}`);
  }
  const environment = `export LIBVIRT_DRIVER_DIR=/run/drivers/${name}\n${more}`;
  Deno.writeTextFileSync(`${directory}/etc/${name}.environment`, environment);
}

/** Whether a thread of a process ran, or could have, each time that it was looked at. */
async function hasSpinningThread(process: number): Promise<boolean> {
  let spinning: ReadonlySet<string> | undefined;
  for (let look = 0; look < LOOKS; look++) {
    const running = runningThreads(process);
    spinning = spinning?.intersection(running) ?? running;
    await pause(LOOK_INTERVAL_MILLISECONDS);
  }
  return (spinning?.size ?? 0) > 0;
}

/** Starts them all, and the guests. */
export async function startModularDaemons(
  guests: readonly InitialGuest[],
): Promise<ModularDaemons> {
  const hypervisor = await startHypervisor();
  const { directory } = hypervisor;
  try {
    await divide(hypervisor);
    for (const { start: _start, ...guest } of guests) {
      await hypervisor.defineGuest(guest);
      await hypervisor.startGuest(guest.name, { paused: true });
    }
  } catch (error) {
    await hypervisor.stop();
    throw error;
  }
  // Virtproxyd would find virtqemud by itself; a libvirtd in its place has to be told.
  const behind = "qemu+ext://daemon/system?command=/run/programs/to-virtqemud";
  const socket = `${directory}${socketsOf("virtproxyd")}/libvirt-sock-ro`;
  return {
    hypervisor,
    proxyUri: `qemu+unix:///system?socket=${socket}&name=${encodeURIComponent(behind)}`,
    restart: (name) => restartDaemon(hypervisor, name),
    broken: () => brokenDaemons(hypervisor),
    virsh: (name, ...parameters) => {
      const own = `${directory}${socketsOf(name)}/libvirt-sock`;
      const uri = `${SERVED[name]}+unix:///system?socket=${own}`;
      return outputOf("virsh", ["--quiet", "--connect", uri, ...parameters]);
    },
    [Symbol.asyncDispose]: hypervisor.stop,
  };
}

/** Makes the one daemon of a hypervisor virtqemud, and starts the others beside it. */
async function divide(hypervisor: Hypervisor): Promise<void> {
  const { directory } = hypervisor;
  await hypervisor.killLibvirtd("SIGTERM");
  Deno.mkdirSync(`${directory}/run/programs`);
  const preloaded = `${directory}/run/programs/secondary_connections.so`;
  await outputOf("cc", ["-shared", "-fPIC", "-Wall", "-O2", "-o", preloaded, PRELOADED]);
  const preload = "export LD_PRELOAD=/run/programs/secondary_connections.so\n";
  chooseDrivers(directory, "libvirtd", ["qemu"], preload);
  publish(directory, "virtqemud", `${directory}/sockets`);
  for (const name of ["virtstoraged", "virtnetworkd"] as const) {
    publish(directory, name, socketsOf(name));
    await addDaemon(hypervisor, name, [SERVED[name]]);
  }
  await hypervisor.startLibvirtd();
  await addDaemon(hypervisor, "virtproxyd", []);
}

async function addDaemon(
  hypervisor: Hypervisor,
  name: DaemonName,
  drivers: readonly string[],
): Promise<void> {
  const { directory } = hypervisor;
  Deno.mkdirSync(`${directory}${socketsOf(name)}`);
  const configuration = Deno.readTextFileSync(`${directory}/etc/libvirtd.conf`)
    .replaceAll(`${directory}/sockets`, socketsOf(name))
    .replaceAll(`${directory}/libvirtd.log`, `${directory}/${name}.log`);
  Deno.writeTextFileSync(`${directory}/etc/${name}.conf`, configuration);
  chooseDrivers(directory, name, drivers);
  await startDaemon(hypervisor, name);
}

async function startDaemon(hypervisor: Hypervisor, name: DaemonName): Promise<void> {
  await outputOf("nsenter", startDaemonArguments(hypervisor.firstProcess, name)).catch((error) => {
    const log = lastLinesOf(`${hypervisor.directory}/${name}.log`);
    throw new Error(`${error.message}\nIts log ends with:\n${log}`);
  });
}

async function restartDaemon(hypervisor: Hypervisor, name: DaemonName): Promise<void> {
  const process = processOfFile(hypervisor, daemonProcessFile(name));
  if (process === undefined) throw new Error(`No ${name} runs`);
  Deno.kill(process, "SIGTERM");
  await waitUntil(
    `${name} to end`,
    () => isAlive(process) ? undefined : true,
    END_BOUND_MILLISECONDS,
  );
  await startDaemon(hypervisor, name);
}

async function brokenDaemons(hypervisor: Hypervisor): Promise<readonly string[]> {
  const files = {
    virtqemud: "libvirtd",
    virtproxyd: "virtproxyd",
    virtstoraged: "virtstoraged",
    virtnetworkd: "virtnetworkd",
  };
  const processes = Object.entries(files).map(([name, file]) =>
    [name, processOfFile(hypervisor, daemonProcessFile(file))] as const
  );
  const states = await Promise.all(
    processes.map(async ([name, process]) => {
      const isWell = process !== undefined && !await hasSpinningThread(process);
      return isWell ? [] : [name];
    }),
  );
  return states.flat();
}
