/** What the exporter knows of a domain's definition. `domain_xml.ts` reads it, labels and families are made of it. */

/** A flavor as Nova wrote it when it last wrote the metadata. What is missing is `""` or `undefined`. */
export interface NovaFlavor {
  readonly name: string;
  /** Written since Nova 32. */
  readonly id: string;
  readonly memoryMebibytes: number | undefined;
  readonly diskGibibytes: number | undefined;
  readonly swapMebibytes: number | undefined;
  readonly ephemeralGibibytes: number | undefined;
  readonly virtualCpus: number | undefined;
}

/** One address of a port. */
export interface NovaAddress {
  /** `fixed` or `floating`. */
  readonly type: string;
  readonly address: string;
  /** `4` or `6`. */
  readonly ipVersion: string;
}

/** A Neutron port of an instance. */
export interface NovaPort {
  readonly id: string;
  readonly addresses: readonly NovaAddress[];
}

/** What Nova says about an instance. Texts that are missing are `""`. */
export interface NovaInstance {
  /** The version in the namespace the data was read from: `1.0`, `1.1`, or a later one. */
  readonly metadataVersion: string;
  /** The display name: any text, exactly as Nova wrote it. */
  readonly name: string;
  readonly projectName: string;
  readonly projectId: string;
  readonly userName: string;
  readonly userId: string;
  /** The release of Nova that wrote the data, such as `34.0.0`. */
  readonly packageVersion: string;
  /** In UTC, such as `2024-06-01 10:00:00`. */
  readonly creationTime: string;
  /** The same in Unix time; `undefined` when it is of another form or no date of the calendar. */
  readonly creationTimeSeconds: number | undefined;
  readonly flavor: NovaFlavor;
  /** Empty for an instance that boots from a volume. */
  readonly rootImageId: string;
  /**
   * `image` or `volume`. Before release 30 Nova wrote it for images only; then it is `volume` where the root disk is one,
   * and `""` where that is not sure.
   */
  readonly rootType: string;
  /** Written since Nova 23. */
  readonly ports: readonly NovaPort[];
}

/** libvirt's names of all limits that a disk can have. */
export const IO_TUNE_LIMITS = [
  "total_bytes_sec",
  "read_bytes_sec",
  "write_bytes_sec",
  "total_iops_sec",
  "read_iops_sec",
  "write_iops_sec",
  "total_bytes_sec_max",
  "read_bytes_sec_max",
  "write_bytes_sec_max",
  "total_iops_sec_max",
  "read_iops_sec_max",
  "write_iops_sec_max",
  "total_bytes_sec_max_length",
  "read_bytes_sec_max_length",
  "write_bytes_sec_max_length",
  "total_iops_sec_max_length",
  "read_iops_sec_max_length",
  "write_iops_sec_max_length",
  "size_iops_sec",
] as const;

/** libvirt's name of a limit that a disk can have. */
export type IoTuneLimit = typeof IO_TUNE_LIMITS[number];

/** Limits by libvirt's name. Plain objects, as a host may have thousands of them, and maps are larger. */
export type IoTuneLimits = Readonly<Partial<Record<IoTuneLimit, number>>>;

/** How a disk is throttled. libvirt keeps this true when the limits of a running domain change. */
export interface IoTune {
  /**
   * The limits that libvirt wrote; it writes none that is not set. `…_bytes_sec` are bytes in a second, `…_iops_sec`
   * requests in a second, the same with `_max` what a burst may reach and with `_max_length` for how many
   * seconds, and `size_iops_sec` the bytes up to which a request counts as one.
   */
  readonly limits: IoTuneLimits;
  /** Disks of one domain that have the same name here share their limits. `""` when missing. */
  readonly groupName: string;
}

/** A disk of a domain. Texts that are missing are `""`. */
export interface Disk {
  /** The device name by which libvirt's statistics know it, such as `vda`. */
  readonly target: string;
  /** `file`, `block`, `network`, `volume`… */
  readonly type: string;
  /** `disk`, `cdrom`, `floppy` or `lun`. */
  readonly device: string;
  /** `virtio`, `scsi`, `ide`… */
  readonly bus: string;
  /** For a Cinder volume its id. */
  readonly serial: string;
  /** The file, device, directory, image or volume name, or socket that is behind it. */
  readonly source: string;
  /** How a disk of type `network` is reached: `rbd`, `iscsi`, `nbd`… */
  readonly sourceProtocol: string;
  /** The format of what is behind it: `raw`, `qcow2`… */
  readonly driverType: string;
  /** `none`, `writeback`, `writethrough`, `directsync` or `unsafe`. */
  readonly cache: string;
  /** What becomes of discard requests: `unmap` or `ignore`. */
  readonly discard: string;
  /** How QEMU does its I/O: `native`, `threads` or `io_uring`. */
  readonly io: string;
  readonly isReadOnly: boolean;
  readonly isShareable: boolean;
  /** `undefined` when the disk is not throttled. */
  readonly ioTune: IoTune | undefined;
}

/**
 * How an interface is shaped in one direction, in libvirt's own units. It calls them kilobytes; `tc`, to which it
 * passes the numbers on as `kbps` and `kb`, makes 1000 bytes of one of a rate and 1024 of one of a burst.
 */
export interface BandwidthLimit {
  readonly averageKilobytesPerSecond: number | undefined;
  readonly peakKilobytesPerSecond: number | undefined;
  readonly burstKilobytes: number | undefined;
  /** What the interface gets at least; inbound only. */
  readonly floorKilobytesPerSecond: number | undefined;
}

/** How an interface is shaped. Inbound is what the guest receives. */
export interface Bandwidth {
  readonly inbound: BandwidthLimit | undefined;
  readonly outbound: BandwidthLimit | undefined;
}

/** A network interface of a domain. Texts that are missing are `""`, but for the target. */
export interface NetworkInterface {
  /** The device on the host, such as `tap567a4527-b0`; `undefined` when libvirt gave none. */
  readonly target: string | undefined;
  readonly macAddress: string;
  readonly model: string;
  /** `bridge`, `network`, `ethernet`, `direct`, `vhostuser`… */
  readonly type: string;
  /** The network, bridge, device or socket that it is connected to. */
  readonly source: string;
  /** The bridge that it is on: the one that it names, or with type `network` the one of that network. */
  readonly bridge: string;
  /** libvirt's network that it is on, which has nothing to do with Neutron's. */
  readonly network: string;
  /**
   * From the virtual port, else the one port of Nova's list after which the target, or the socket of `vhostuser`, is
   * named. `""` where neither tells it.
   */
  readonly neutronPortId: string;
  /** `openvswitch`, `midonet`, `802.1Qbg` or `802.1Qbh`. */
  readonly virtualPortType: string;
  /** The tags that libvirt sets, in document order; more than one is a trunk. Neutron sets its own beside them. */
  readonly vlanTags: readonly number[];
  /** `undefined` when libvirt leaves it to the host. */
  readonly mtuBytes: number | undefined;
  /** Who moves the packets: `vhost` or `qemu`. */
  readonly driverName: string;
  readonly queues: number | undefined;
  /** `up` or `down` as set by hand, and kept by libvirt; a link that was never set has `""` and is up. */
  readonly linkState: string;
  /** `undefined` when it is not shaped. */
  readonly bandwidth: Bandwidth | undefined;
}

/** What the exporter needs to know from one domain's XML. */
export interface DomainDescription {
  readonly name: string;
  readonly uuid: string;
  /** `kvm`, `qemu` for emulation, `test`… */
  readonly hypervisorType: string;
  /** What the guest sees: `hvm` for a whole machine. */
  readonly operatingSystemType: string;
  /** Of the guest, such as `x86_64`. */
  readonly architecture: string;
  /** Such as `pc-q35-7.2`. */
  readonly machineType: string;
  /** `undefined` when Nova wrote nothing that is understood. */
  readonly nova: NovaInstance | undefined;
  /** Why Nova's metadata is there and yet not understood; the rest of the description holds all the same. */
  readonly novaProblem: string | undefined;
  /**
   * What an operator should hear once of metadata that was read all the same: that its version is newer than those known.
   * One text for all instances to which the same applies.
   */
  readonly novaRemark: string | undefined;
  readonly maximumVirtualCpus: number | undefined;
  readonly currentVirtualCpus: number | undefined;
  /** The most that the guest can have. */
  readonly memoryBytes: number | undefined;
  /** What the balloon is set to; where libvirt gives none, all that the guest can have. */
  readonly currentMemoryBytes: number | undefined;
  readonly disks: readonly Disk[];
  readonly interfaces: readonly NetworkInterface[];
}

/** A file, or an image or volume whose name begins with the instance's UUID. */
const RESCUE_SOURCE = /(?:^|[/_])disk(?:\.config)?\.rescue$/;

/**
 * The fixed addresses of a Neutron port in the order in which Nova wrote them.
 *
 * @param neutronPortId of a {@link NetworkInterface}
 * @returns nothing for a port that Nova's metadata does not list, as before Nova 23
 */
export function fixedAddressesOf(
  nova: NovaInstance | undefined,
  neutronPortId: string,
): readonly string[] {
  if (nova === undefined || neutronPortId === "") return [];
  return nova.ports.filter(({ id }) => id === neutronPortId)
    .flatMap(({ addresses }) => addresses.filter(({ type }) => type === "fixed"))
    .map(({ address }) => address);
}

/**
 * Whether Nova made the disk to rescue the instance. While it is there, the first device of the instance is this disk, and
 * the root disk is another one, such as `vdb`; or, where the image asks for that, this disk is the last one.
 */
export function isRescueDisk({ source, serial }: Disk): boolean {
  return serial === "" && RESCUE_SOURCE.test(source);
}
