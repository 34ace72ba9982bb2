/**
 * The label sets of the families of instances: what identifies a sample beside the labels that every instance has. Families that
 * are alike share one, whose labels are made once.
 */
import type { Label, LabelSet } from "./family.ts";
import {
  type DomainDescription,
  fixedAddressesOf,
  isRescueDisk,
} from "../libvirt/domain_description.ts";
import { reasonName, stateName } from "./domain_state.ts";

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

function virtualCpu(group: string): LabelSet {
  return {
    scope: "device",
    group,
    device: "vCPU",
    named: false,
    names: ["vcpu"],
    labels: (_domain, { path: [vcpu = ""] }) => [["vcpu", vcpu]],
  };
}

/** One sample for each vCPU. */
export const VIRTUAL_CPU: LabelSet = virtualCpu("vcpu.N");

/** One sample for each vCPU of which it was calculated how fast it changes memory. */
export const DIRTY_RATE_VIRTUAL_CPU: LabelSet = virtualCpu("dirtyrate.vcpu.N");

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

/** One sample for each instance, with what describes it. The UUID is known even when the definition is not understood. */
export const INSTANCE_INFORMATION: LabelSet = {
  scope: "instance",
  names: [
    "uuid",
    "flavor",
    "flavor_id",
    "project_id",
    "user",
    "user_id",
    "image_id",
    "root_type",
    "nova_version",
    "hypervisor",
    "os_type",
    "architecture",
    "machine",
  ],
  labels({ uuid, description }): readonly Label[] {
    const nova = description?.nova;
    return [
      ["uuid", uuid],
      ["flavor", nova?.flavor.name ?? ""],
      ["flavor_id", nova?.flavor.id ?? ""],
      ["project_id", nova?.projectId ?? ""],
      ["user", nova?.userName ?? ""],
      ["user_id", nova?.userId ?? ""],
      ["image_id", nova?.rootImageId ?? ""],
      ["root_type", nova?.rootType ?? ""],
      ["nova_version", nova?.packageVersion ?? ""],
      ["hypervisor", description?.hypervisorType ?? ""],
      ["os_type", description?.operatingSystemType ?? ""],
      ["architecture", description?.architecture ?? ""],
      ["machine", description?.machineType ?? ""],
    ];
  },
};

/** One sample for the state that an instance is in. */
export const INSTANCE_STATE: LabelSet = {
  scope: "value",
  names: ["state", "reason"],
  key(read): string | undefined {
    const state = read("state.state");
    return state === undefined ? undefined : `${state} ${read("state.reason") ?? ""}`;
  },
  labels(key): readonly Label[] | undefined {
    const [state = "", reason = ""] = key.split(" ");
    return [
      ["state", stateName(Number(state))],
      ["reason", reason === "" ? "" : reasonName(Number(state), Number(reason))],
    ];
  },
};

/** One sample for each disk of the definition, with what describes it. */
export const DISK_INFORMATION: LabelSet = {
  scope: "part",
  device: "disk",
  names: [
    "target_device",
    "device",
    "bus",
    "volume_id",
    "source_type",
    "source",
    "protocol",
    "driver",
    "cache",
    "discard",
    "io",
    "read_only",
    "shareable",
    "tune_group",
    "rescue",
  ],
  count: ({ disks }) => disks.length,
  labels({ disks }, position): readonly Label[] | undefined {
    const disk = disks[position];
    if (disk === undefined) return undefined;
    return [
      ["target_device", disk.target],
      ["device", disk.device],
      ["bus", disk.bus],
      ["volume_id", disk.serial],
      ["source_type", disk.type],
      ["source", disk.source],
      ["protocol", disk.sourceProtocol],
      ["driver", disk.driverType],
      ["cache", disk.cache],
      ["discard", disk.discard],
      ["io", disk.io],
      ["read_only", String(disk.isReadOnly)],
      ["shareable", String(disk.isShareable)],
      ["tune_group", disk.ioTune?.groupName ?? ""],
      ["rescue", String(isRescueDisk(disk))],
    ];
  },
};

function textOf(number: number | undefined): string {
  return number === undefined ? "" : String(number);
}

/**
 * One sample for each network interface of the definition, with what describes it; those without a device on the host (SR-IOV)
 * included.
 */
export const INTERFACE_INFORMATION: LabelSet = {
  scope: "part",
  device: "network interface",
  names: [
    "target_device",
    "mac_address",
    "model",
    "type",
    "bridge",
    "network",
    "mtu",
    "vlan",
    "virtual_port",
    "driver",
    "queues",
    "port_id",
    "fixed_ips",
  ],
  count: ({ interfaces }) => interfaces.length,
  labels({ interfaces, nova }, position): readonly Label[] | undefined {
    const found = interfaces[position];
    if (found === undefined) return undefined;
    return [
      ["target_device", found.target ?? ""],
      ["mac_address", found.macAddress],
      ["model", found.model],
      ["type", found.type],
      ["bridge", found.bridge],
      ["network", found.network],
      ["mtu", textOf(found.mtuBytes)],
      ["vlan", found.vlanTags.join(",")],
      ["virtual_port", found.virtualPortType],
      ["driver", found.driverName],
      ["queues", textOf(found.queues)],
      ["port_id", found.neutronPortId],
      ["fixed_ips", fixedAddressesOf(nova, found.neutronPortId).join(",")],
    ];
  },
};

/** One sample for each disk that libvirt has statistics of, with the labels of the older exporters. */
export const LEGACY_DISK: LabelSet = {
  scope: "device",
  group: "block.N",
  device: "disk",
  named: true,
  names: ["targetdev", "cindervolume", "disktype"],
  labels(domain, { name }): readonly Label[] | undefined {
    const found = domain.description?.disks.find(({ target }) => target === name);
    return found === undefined
      ? undefined
      : [["targetdev", name], ["cindervolume", found.serial], ["disktype", found.type]];
  },
};

/** One sample for each network interface that libvirt has statistics of, with the labels of the older exporters. */
export const LEGACY_INTERFACE: LabelSet = {
  scope: "device",
  group: "net.N",
  device: "network interface",
  named: true,
  names: ["iface", "macaddr"],
  labels(domain, { name }): readonly Label[] | undefined {
    const found = domain.description?.interfaces.find(({ target }) => target === name);
    return found === undefined ? undefined : [["iface", name], ["macaddr", found.macAddress]];
  },
};

/** One sample for each disk and each part of its statistics of latency. */
function ofDisk(group: string, device: string, label: string): LabelSet {
  return {
    scope: "device",
    group,
    device,
    named: false,
    ownerName: ([disk = ""]) => `block.${disk}.name`,
    names: ["target_device", label],
    labels(domain, { path: [, number = "", target] }): readonly Label[] | undefined {
      return target !== undefined &&
          domain.description?.disks.some((disk) => disk.target === target)
        ? [["target_device", target], [label, number]]
        : undefined;
    },
  };
}

/** One sample for each interval of a disk's statistics of latency. */
export const LATENCY_INTERVAL: LabelSet = ofDisk(
  "block.N.timed_group.N",
  "interval of a disk's statistics",
  "interval",
);

function latencyBin(kind: string): LabelSet {
  const group = `block.N.latency_histogram.${kind}.bin.N`;
  return ofDisk(group, "bin of a disk's histogram", "bin");
}

/** One sample for each bin of a disk's histogram of latency, by the kind of requests. */
export const LATENCY_BIN = {
  read: latencyBin("read"),
  write: latencyBin("write"),
  flush: latencyBin("flush"),
  "zone_append": latencyBin("zone_append"),
} as const;

/** One sample for each I/O thread. */
export const IO_THREAD: LabelSet = {
  scope: "device",
  group: "iothread.N",
  device: "I/O thread",
  named: false,
  names: ["iothread"],
  labels: (_domain, { path: [iothread = ""] }) => [["iothread", iothread]],
};

/**
 * One sample for each part of a processor that a resctrl monitor of the definition watches.
 *
 * @param kind what the monitor is for, as libvirt's fields name it
 * @param part the part, as libvirt's fields name it
 */
function monitored(kind: string, part: string, device: string, label: string): LabelSet {
  return {
    scope: "device",
    group: `${kind}.monitor.N.${part}.N`,
    device,
    named: false,
    ownerName: ([monitor = ""]) => `${kind}.monitor.${monitor}.name`,
    names: ["monitor", label],
    labels: (_domain, { path: [monitor = "", number = "", name = monitor] }) => [
      ["monitor", name],
      [label, number],
    ],
  };
}

/** One sample for each bank of the processor's cache that a monitor of `<cachetune>` watches. */
export const CACHE_BANK: LabelSet = monitored(
  "cpu.cache",
  "bank",
  "cache bank of a monitor",
  "bank",
);

/** One sample for each NUMA node that a monitor of `<memorytune>` watches. */
export const MONITORED_NODE: LabelSet = monitored(
  "memory.bandwidth",
  "node",
  "NUMA node of a monitor",
  "node",
);

/** One sample for each package of processors that a monitor of `<energytune>` watches. */
export const PROCESSOR_PACKAGE: LabelSet = monitored(
  "cpu.energy",
  "pkg",
  "processor package of a monitor",
  "package",
);

/** One sample for each statistic that the hypervisor has of an instance. */
export const INSTANCE_STATISTIC: LabelSet = {
  scope: "device",
  group: "vm.*",
  device: "statistic that the hypervisor has",
  named: false,
  names: ["statistic"],
  labels: (_domain, { path: [statistic = ""] }) => [["statistic", statistic]],
};

/** One sample for each statistic that the hypervisor has of a vCPU. */
export const VIRTUAL_CPU_STATISTIC: LabelSet = {
  scope: "device",
  group: "vcpu.N.*",
  device: "statistic that the hypervisor has of a vCPU",
  named: false,
  names: ["vcpu", "statistic"],
  labels: (_domain, { path: [vcpu = "", statistic = ""] }) => [
    ["vcpu", vcpu],
    ["statistic", statistic],
  ],
};
