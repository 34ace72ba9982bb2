/**
 * A private libvirtd with real, emulated QEMU guests for tests.
 *
 * @module
 */

import { dirname } from "node:path";
import { enterRoot } from "../debian.ts";
import { EXECUTABLE } from "../set_up.ts";
import { ensureGuestImage } from "./guest_image.ts";
import { type GuestDefinition, type Guests, guestsOf } from "./guests.ts";
import {
  libvirtConfiguration,
  type Libvirtd,
  libvirtdIn,
  type LibvirtdSettings,
} from "./libvirtd.ts";
import { namespaceProcesses } from "../processes.ts";
import { startSupervisor } from "./supervisor.ts";
import { systemConfiguration } from "./supervisor_scripts.ts";

/** A guest and what becomes of it when the hypervisor starts. */
export interface InitialGuest extends GuestDefinition {
  /**
   * `running` when left out. A guest that is `paused` from the start never boots: it costs no processor time and little memory, and
   * libvirt answers every question about it. A guest that is only `defined` is not started.
   */
  readonly start?: "running" | "paused" | "defined";
}

/** How to start a hypervisor. */
export interface HypervisorOptions {
  /** The guests to define and start; none when left out. */
  readonly guests?: readonly InitialGuest[];
  /** More settings for `libvirtd.conf`, e.g. `{ max_client_requests: 5 }`. */
  readonly libvirtdSettings?: LibvirtdSettings;
  /** A folder with a system that has libvirt and QEMU, and that all of it runs in; this machine's own when left out. */
  readonly system?: string;
}

/** A running private hypervisor: its libvirtd, its guests, and itself. */
export interface Hypervisor extends Libvirtd, Guests, AsyncDisposable {
  /** The directory with its sockets, logs, disks and consoles, which `stop()` removes. */
  readonly directory: string;
  /** The words before a command that run it in the hypervisor's system, with this machine's processes and network. */
  readonly enter: readonly string[];
  /** The process in whose namespaces all others live. */
  readonly firstProcess: number;
  /** The ids of all its processes, as this process sees them. */
  processIds(): readonly number[];
  /** Ends everything, whatever state it is in, and removes the directory. Further calls change nothing. */
  stop(): Promise<void>;
}

/** Where a hypervisor's {@link Hypervisor.enter} shows the executable. */
export const SEEN_EXECUTABLE = "/mnt/libvirt_nova_exporter";

// Each start keeps QEMU, libvirtd and the disk busy; more at once than this gain nothing.
const SIMULTANEOUS_STARTS = 4;

/** Calls `work` for each item in order, a few at once. */
async function forEachLimited<Item>(
  items: readonly Item[],
  limit: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const remaining = items.values();
  async function worker(): Promise<void> {
    for (const item of remaining) await work(item);
  }
  await Promise.all(Array.from({ length: limit }, worker));
}

/** In such a system a command sees the hypervisor's own folder, its sockets, and the executable of `dist/`. */
function enterSystem(system: string, directory: string): readonly string[] {
  return enterRoot(system, {
    "/run": `${directory}/run`,
    [directory]: directory,
    [SEEN_EXECUTABLE]: EXECUTABLE,
  });
}

async function startInitialGuest(guests: Guests, initial: InitialGuest): Promise<void> {
  const { start = "running", ...definition } = initial;
  await guests.defineGuest(definition);
  if (start !== "defined") await guests.startGuest(initial.name, { paused: start === "paused" });
}

/**
 * Starts a private virtlogd and libvirtd, and the guests asked for. Nothing is shared with a libvirtd of the machine: its files,
 * process ids, network devices and control groups are in namespaces of their own. Everything ends with `stop()`, and also
 * when this process dies.
 *
 * Call `ensureHypervisorHost()` before, which tells whether this can work here.
 *
 * @throws {Error} when something does not start; the message has the end of its log
 *
 * @example
 * ```ts
 * await using hypervisor = await startHypervisor({
 *   guests: [{ name: "instance-00000001", disks: [{ target: "vda" }] }],
 * });
 * await hypervisor.waitForGuestReady("instance-00000001");
 * const statistics = await hypervisor.virsh("domstats", "instance-00000001");
 * ```
 */
export async function startHypervisor(options: HypervisorOptions = {}): Promise<Hypervisor> {
  const image = await ensureGuestImage();
  const { system } = options;
  const supervisor = await startSupervisor({
    ...libvirtConfiguration(options.libvirtdSettings ?? {}),
    ...(system === undefined ? {} : systemConfiguration(system, [dirname(image.kernel)])),
  });
  try {
    const enter = system === undefined ? [] : enterSystem(system, supervisor.directory);
    const libvirtd = libvirtdIn(supervisor, enter);
    const guests = guestsOf(supervisor, libvirtd, image);
    await libvirtd.startLibvirtd();
    await forEachLimited(
      options.guests ?? [],
      SIMULTANEOUS_STARTS,
      (initial) => startInitialGuest(guests, initial),
    );
    return {
      ...libvirtd,
      ...guests,
      directory: supervisor.directory,
      enter,
      firstProcess: supervisor.firstProcess,
      processIds: () =>
        namespaceProcesses(supervisor.firstProcess).map((process) => process.outside),
      stop: supervisor.stop,
      [Symbol.asyncDispose]: supervisor.stop,
    };
  } catch (error) {
    await supervisor.stop();
    throw error;
  }
}
