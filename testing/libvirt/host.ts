/**
 * Whether a private hypervisor can run on this machine.
 *
 * @module
 */

import { runCommand } from "../command.ts";
import { ensureGuestImage } from "./guest_image.ts";
import {
  type Availability,
  ensureDebianPackages,
  HYPERVISOR_PACKAGES,
  unavailable,
} from "../packages.ts";
import { messageOf } from "../../src/text.ts";

/** What the supervisor does first of all, which containers without privileges refuse. */
const NAMESPACE_TRIAL = [
  "--mount",
  "--net",
  "--pid",
  "--cgroup",
  "--fork",
  "sh",
  "-c",
  "mount -t proc proc /proc && mount -t sysfs sysfs /sys && mount -t tmpfs tmpfs /run",
];

async function namespaceProblem(): Promise<string | undefined> {
  const trial = await runCommand("unshare", NAMESPACE_TRIAL);
  if (trial.code === 0) return undefined;
  return `Namespaces cannot be made here: ${trial.errorOutput.trim().split("\n").at(-1)}`;
}

function tapProblem(): string | undefined {
  try {
    Deno.openSync("/dev/net/tun", { read: true, write: true }).close();
    return undefined;
  } catch {
    return `Device "/dev/net/tun" cannot be opened; load the module "tun" or pass the device to the container`;
  }
}

function controlGroupProblem(): string | undefined {
  const writable = /^\S+ \S+ cgroup2? rw[, ]/m.test(Deno.readTextFileSync("/proc/self/mounts"));
  return writable ? undefined : "No control groups are mounted writable; libvirt needs them";
}

async function imageProblem(): Promise<string | undefined> {
  try {
    await ensureGuestImage();
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/**
 * Makes sure that `startHypervisor()` can work: installs what is missing, tries what needs privileges, and builds the guests'
 * kernel and initramfs. Takes well under 100 ms when all is there.
 *
 * @param further packages that are needed besides
 * @returns `available: false` with a one-line reason where it cannot
 */
export async function ensureHypervisorHost(
  further: readonly string[] = [],
): Promise<Availability> {
  const packages = await ensureDebianPackages([...HYPERVISOR_PACKAGES, ...further]);
  if (!packages.available) return packages;
  if (Deno.uid() !== 0) {
    return unavailable("A private libvirtd needs root; run the tests as root");
  }
  const reason = await namespaceProblem() ?? tapProblem() ?? controlGroupProblem() ??
    await imageProblem();
  return reason === undefined ? { available: true } : unavailable(reason);
}
