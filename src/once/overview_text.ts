import type { HostFacts } from "./overview.ts";
import { bytesText, countOf } from "./units.ts";

/** What stands for a value that is not known. */
export const ABSENT = "-";

/** What stands for the instances where there are none. */
export const NO_INSTANCES =
  "No instances: none is active here, or the flags --domain.* leave them out";

/** The host in one line: its instances, and how much of it they can have. */
export function hostText(host: HostFacts): string {
  const amount = (value: number | undefined): string =>
    value === undefined ? ABSENT : bytesText(value, "full");
  const shutOff = host.inactive === 0 ? "" : ` and ${host.inactive} shut off`;
  const cpus = host.cpus === undefined ? "" : ` on ${host.cpus} CPUs`;
  const memory = host.memoryBytes === undefined ? "" : ` of ${amount(host.memoryBytes)}`;
  // Without instances nothing is allocated; with some it may be unknown what.
  const nothing = host.instances === 0 ? 0 : undefined;
  return [
    `${countOf(host.instances)}${shutOff}`,
    `${host.virtualCpus ?? nothing ?? ABSENT} vCPUs${cpus}`,
    `${amount(host.allocatedBytes ?? nothing)}${memory} memory allocated`,
  ].join(", ");
}
