import { StepError } from "../testing/progress.ts";

const VOLUME_ID =
  "the disk's serial, which for a Cinder volume is its id; empty for local disks. After a " +
  "volume was swapped for another it is the old one's until the instance is stopped and started";

/** What the value of each label is. */
const LABELS: Readonly<Record<string, string>> = {
  libvirtname: "libvirt's name of the domain, such as `instance-0000002a`",
  novaname: "the instance's display name; empty where the definition has no metadata of Nova. " +
    "A new name is there when Nova has written the definition anew: with a hard reboot, a stop and start, " +
    "a rebuild, or an interface that is attached or detached, but not with a soft reboot. The end of a rescue " +
    "and a resume from suspension may bring an older name back",
  novaproject:
    "the name of the project that owns it; empty where Nova wrote none. It is the name " +
    "that the project had when the instance was made: when Keystone has a new one, older instances " +
    "keep the old one, so that one `project_id` may have two names",
  "project_id": "the project's id in Keystone",
  uuid: "the instance's UUID, which is Nova's id of it; of a network, the network's UUID",
  user: "the name of the user who made the instance",
  "user_id": "that user's id in Keystone",
  iface: "the interface's device on the host, such as `tap567a4527-b0`",
  macaddr: "the interface's MAC address",
  targetdev: "the disk's device in the guest, such as `vda`",
  cindervolume: VOLUME_ID,
  disktype: "the type of the disk's source: `file`, `block`, `network` and so on",
  "target_device":
    "the disk's device in the guest, such as `vda`, or the interface's on the host, such as `tap567a4527-b0`. " +
    "While an instance is rescued, the root disk has another one than usual; see `rescue`",
  device: "what kind of disk it is: `disk`, `cdrom`, `floppy` or `lun`",
  bus: "the bus that the guest sees the disk on, such as `virtio` or `scsi`",
  "volume_id": VOLUME_ID,
  "source_type": "the type of the disk's source: `file`, `block`, `network` and so on",
  source:
    "the file, device or image that is behind the disk. libvirt does not tell when a snapshot of " +
    "a running instance's volume changes it, so it may be a minute old then, like `driver`",
  protocol: "how a source of type `network` is reached, such as `rbd`; else empty",
  driver:
    "the format of the disk's source, such as `raw` or `qcow2`; of an interface, who moves its packets: `vhost` or `qemu`; of the host, libvirt's driver, such as `QEMU`",
  cache: "the disk's cache mode, such as `none` or `writeback`",
  discard: "what becomes of discard requests: `unmap` or `ignore`",
  "read_only": "`true` where the guest cannot write to the disk",
  shareable: "`true` where several instances may use the disk",
  "tune_group": "disks of one instance with the same name here share their limits; else empty",
  rescue:
    "`true` for a disk that Nova made to rescue the instance, else `false`. While there is one, it is " +
    "usually `vda`, the root disk is `vdb`, and volumes may be detached",
  io: "how QEMU does the disk's input and output: `native`, `threads` or `io_uring`",
  interval: "libvirt's number of the interval, from 0",
  bin: "number of the histogram's bin, from 0",
  "mac_address": "the interface's MAC address",
  model:
    "the interface's model, such as `virtio`; of the host, its processors' model, such as `x86_64`",
  type: "the interface's type: `bridge`, `ethernet`, `vhostuser` and so on",
  bridge: "the bridge that the interface or network is on; empty where libvirt knows none",
  network: "libvirt's network, which has nothing to do with Neutron's; empty where there is none",
  mtu: "the interface's MTU in bytes; empty where libvirt leaves it to the host",
  vlan: "the VLAN tags that libvirt sets, separated by commas; Neutron's are not among them",
  "virtual_port": "the type of the virtual port, such as `openvswitch`; empty where there is none",
  queues: "how many queues the interface has; empty where libvirt leaves it to the host",
  "port_id":
    "the id of the Neutron port: of the one that the virtual port names, or else of the one " +
    "in Nova's metadata (since release 23) after which the device on the host or the socket of `vhostuser` is " +
    "named. Empty where neither tells it, as is usual for the types `direct`, `hostdev` and `vdpa`, and where " +
    "the name fits two ports",
  "fixed_ips":
    "the fixed addresses of the port of `port_id`, separated by commas; Nova writes them since " +
    "release 23. One that Neutron has changed is the old one until a hard reboot or until an interface is " +
    "attached or detached",
  vcpu: "number of the vCPU, from 0",
  state:
    "the state: `running`, `paused`, `shutoff` and so on; a state that is unknown here by its number",
  reason:
    "why the instance is in that state, such as `booted` or `io_error`; empty where libvirt gave none",
  flavor: "the flavor's name as Nova wrote it last",
  "flavor_id": "the flavor's id; Nova writes it since release 32",
  "image_id":
    "the id of the image that the root disk was made from; empty for an instance that boots from a volume. " +
    "Of an instance that was unshelved it is the snapshot that shelving made, until a hard reboot",
  "root_type":
    "what the root disk is: `image` or `volume`. Nova before release 30 writes it for images " +
    "only; there it is `volume` where the first disk is a volume, and empty where it is not sure",
  "nova_version": "the release of Nova that wrote the metadata, such as `34.0.0`",
  hypervisor: "what runs the instance: `kvm`, or `qemu` for emulation",
  "os_type": "what the guest sees: `hvm` for a whole machine",
  architecture: "the guest's architecture, such as `x86_64`",
  machine: "the guest's machine type, such as `pc-q35-7.2`",
  iothread: "number of the I/O thread, from 1",
  monitor:
    "libvirt's name of the resctrl monitor, such as `vcpus_0-1`; its number where it has no name",
  bank: "number of the cache bank within the monitor",
  node: "number of the NUMA node within the monitor",
  package: "number of the processor package within the monitor",
  statistic: "the hypervisor's name of the statistic, such as `halt_exits`",
  "hypervisor_version": "version of the hypervisor, such as QEMU's",
  "daemon_version": "version of libvirt's daemon",
  "client_version": "version of the libvirt library that the exporter has loaded",
  mode: "what the processors did: `user`, `kernel`, `idle`, `iowait` or `intr`",
  cell: "number of the host's NUMA node",
  pool: "name of the storage pool",
  volume: "name of the volume within its pool",
};

/** Names of all labels that are described. */
export const DESCRIBED_LABELS: readonly string[] = Object.keys(LABELS);

/**
 * What the value of a label is, as Markdown without a full stop.
 *
 * @throws {StepError} for a label that nobody has described
 */
export function describeLabel(name: string): string {
  const description = LABELS[name];
  if (description === undefined) {
    throw new StepError(
      `Label "${name}" is not described: add it to LABELS in scripts/label_descriptions.ts`,
    );
  }
  return description;
}
