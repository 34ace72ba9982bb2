import type { DomainDescription } from "../libvirt/domain_xml.ts";
import type { Label, LabelSet } from "./family.ts";

/** One sample for each device that libvirt has statistics of and the definition has, too. */
function measuredDevice(
  group: string,
  device: string,
  describedBy: (
    description: DomainDescription,
  ) => readonly { readonly target: string | undefined }[],
): LabelSet {
  return {
    scope: "device",
    group,
    device,
    named: true,
    names: ["target_device"],
    labels: ({ description }, { name }) =>
      description !== undefined && describedBy(description).some(({ target }) => target === name)
        ? [["target_device", name]]
        : undefined,
  };
}

/** One sample for each disk that libvirt has statistics of. */
export const DISK: LabelSet = measuredDevice("block.N", "disk", ({ disks }) => disks);

/** One sample for each network interface that libvirt has statistics of. */
export const INTERFACE: LabelSet = measuredDevice(
  "net.N",
  "network interface",
  ({ interfaces }) => interfaces,
);

/** One sample for each vCPU. */
export const VIRTUAL_CPU: LabelSet = {
  scope: "device",
  group: "vcpu.N",
  device: "vCPU",
  named: false,
  names: ["vcpu"],
  labels: (_domain, { path: [vcpu = ""] }) => [["vcpu", vcpu]],
};

/** One sample for each disk of the definition. */
export const DESCRIBED_DISK: LabelSet = {
  scope: "part",
  device: "disk",
  names: ["target_device"],
  count: ({ disks }) => disks.length,
  labels({ disks }, position): readonly Label[] | undefined {
    const disk = disks[position];
    return disk === undefined ? undefined : [["target_device", disk.target]];
  },
};

/** One sample for each network interface of the definition that has a device on the host. */
export const DESCRIBED_INTERFACE: LabelSet = {
  scope: "part",
  device: "network interface",
  names: ["target_device"],
  count: ({ interfaces }) => interfaces.length,
  labels({ interfaces }, position): readonly Label[] | undefined {
    const target = interfaces[position]?.target;
    return target === undefined ? undefined : [["target_device", target]];
  },
};
