/**
 * The workers of a private libvirtd: everybody on the host shares them.
 *
 * @module
 */

import { type Hypervisor } from "../../testing/libvirt/hypervisor.ts";
import { outputOf } from "../../testing/command.ts";

/** How many workers of libvirtd are not free, by its administration interface; the question itself takes one. */
export async function busyWorkers(hypervisor: Pick<Hypervisor, "directory">): Promise<number> {
  const uri = `libvirtd:///system?socket=${hypervisor.directory}/sockets/libvirt-admin-sock`;
  const report = await outputOf("virt-admin", ["-c", uri, "server-threadpool-info", "libvirtd"]);
  const number = (key: string): number =>
    Number(new RegExp(`^${key}\\s*:\\s*(\\d+)`, "m").exec(report)?.[1] ?? NaN);
  return number("nWorkers") - number("freeWorkers");
}
