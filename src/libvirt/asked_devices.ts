import type { DomainDescription } from "./domain_description.ts";

/** The type of disks and interfaces that another program than QEMU serves, which libvirt has to ask for their counters. */
const VHOST_USER = "vhostuser";

/** Devices of a domain by target name, as the shim wants them for calls about one device. */
export interface AskedDevices {
  /** Disks that have statistics: libvirt has none of vhost-user disks. */
  readonly disks: readonly string[];
  readonly interfaces: readonly string[];
  /**
   * Interfaces whose counters a virtual switch keeps: for each of them libvirt runs `ovs-vsctl`. One without a target, `""`,
   * has none, but in bulk statistics libvirt runs the program for that one as well.
   */
  readonly vhostUserInterfaces: readonly string[];
}

/** The devices of a domain that can be asked for. */
export function askedDevices(
  { disks, interfaces }: Pick<DomainDescription, "disks" | "interfaces">,
): AskedDevices {
  const isVhostUser = ({ type }: { readonly type: string }): boolean => type === VHOST_USER;
  return {
    disks: disks.filter((disk) => disk.target !== "" && !isVhostUser(disk))
      .map(({ target }) => target),
    interfaces: interfaces.filter((one) => !isVhostUser(one)).flatMap(({ target }) => target ?? []),
    vhostUserInterfaces: interfaces.filter(isVhostUser).map(({ target }) => target ?? ""),
  };
}
