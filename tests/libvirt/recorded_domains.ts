import type {
  Disk,
  DomainDescription,
  IoTune,
  NetworkInterface,
  NovaFlavor,
  NovaInstance,
} from "../../src/libvirt/domain_description.ts";

/** What is read of a disk that says nothing. */
export const EMPTY_DISK: Disk = {
  target: "",
  type: "",
  device: "disk",
  bus: "",
  serial: "",
  source: "",
  sourceProtocol: "",
  driverType: "",
  cache: "",
  discard: "",
  io: "",
  isReadOnly: false,
  isShareable: false,
  ioTune: undefined,
};

/** What is read of a network card that says nothing. */
export const EMPTY_INTERFACE: NetworkInterface = {
  target: undefined,
  macAddress: "",
  model: "",
  type: "",
  source: "",
  bridge: "",
  network: "",
  neutronPortId: "",
  virtualPortType: "",
  vlanTags: [],
  mtuBytes: undefined,
  driverName: "",
  queues: undefined,
  linkState: "",
  bandwidth: undefined,
};

const FLAVOR: NovaFlavor = {
  name: "m1.small",
  id: "",
  memoryMebibytes: 2048,
  diskGibibytes: 20,
  swapMebibytes: 0,
  ephemeralGibibytes: 0,
  virtualCpus: 2,
};

const FLAVOR_34: NovaFlavor = { ...FLAVOR, id: "6a523f6f-5ede-4a3a-938b-1c3a5d665771" };

const INSTANCE: NovaInstance = {
  metadataVersion: "1.1",
  name: "demo-vm",
  projectName: "demo",
  projectId: "38bd8e984a3e435a87e950a441ee55aa",
  userName: "admin",
  userId: "18509018d00743c89518135e476003e0",
  packageVersion: "34.0.0",
  creationTime: "2024-06-01 10:00:00",
  creationTimeSeconds: 1_717_236_000,
  flavor: FLAVOR_34,
  rootImageId: "155d900f-4e14-4e4c-a73d-069cbf4541e6",
  rootType: "image",
  ports: [],
};

/** The Neutron port of the first network card. */
export const FIRST_PORT = {
  id: "567a4527-b0e4-4d0a-bcc2-71fda37897f7",
  addresses: [
    { type: "fixed", address: "192.168.1.5", ipVersion: "4" },
    { type: "fixed", address: "2001:db8::5", ipVersion: "6" },
  ],
};

/** The Neutron port of the second network card. */
export const SECOND_PORT = {
  id: "c6c9b7a2-9d5e-4e2c-8a55-0f3f0a8f1d11",
  addresses: [{ type: "fixed", address: "10.1.0.7", ipVersion: "4" }],
};

/** The UUID of most recorded domains. */
export const UUID = "a173eb64-f8e6-419b-a2b7-2d3283ecb26c";

function fileDisk(target: string, file: string, parts: Partial<Disk> = {}): Disk {
  const source = `/var/lib/nova/instances/${UUID}/${file}`;
  const driver = { driverType: "qcow2", cache: "none" };
  return { ...EMPTY_DISK, target, type: "file", bus: "virtio", source, ...driver, ...parts };
}

function volumeDisk(target: string, serial: string): Disk {
  return {
    ...fileDisk(target, ""),
    type: "network",
    serial,
    source: `volumes/volume-${serial}`,
    sourceProtocol: "rbd",
    driverType: "raw",
    discard: "unmap",
  };
}

const CONFIG_DRIVE = fileDisk("hda", "disk.config", {
  device: "cdrom",
  bus: "ide",
  driverType: "raw",
});

const QBR_INTERFACE: NetworkInterface = {
  ...EMPTY_INTERFACE,
  target: "tap567a4527-b0",
  macAddress: "fa:16:3e:11:22:33",
  model: "virtio",
  type: "bridge",
  source: "qbr567a4527-b0",
  bridge: "qbr567a4527-b0",
};

const OVS_INTERFACE: NetworkInterface = {
  ...QBR_INTERFACE,
  source: "br-int",
  bridge: "br-int",
  neutronPortId: FIRST_PORT.id,
  virtualPortType: "openvswitch",
  mtuBytes: 1450,
};

const DOMAIN: DomainDescription = {
  novaProblem: undefined,
  novaRemark: undefined,
  name: "instance-00000004",
  uuid: UUID,
  hypervisorType: "kvm",
  operatingSystemType: "hvm",
  architecture: "x86_64",
  machineType: "pc",
  nova: INSTANCE,
  maximumVirtualCpus: 2,
  currentVirtualCpus: 2,
  memoryBytes: 2_147_483_648,
  currentMemoryBytes: 2_147_483_648,
  disks: [fileDisk("vda", "disk")],
  interfaces: [QBR_INTERFACE],
};

/** As Nova writes a flavor's `quota:disk_read_bytes_sec`. */
const READ_LIMIT: IoTune = { limits: { read_bytes_sec: 10_485_760 }, groupName: "" };

/** As older releases of Nova wrote it. */
const OLDER_DOMAIN: DomainDescription = {
  ...DOMAIN,
  architecture: "",
  machineType: "",
  disks: [fileDisk("vda", "disk", { cache: "" })],
};

/** What has to be read of each recorded definition, by its path below `tests/fixtures`. */
export const FIXTURES: Readonly<Record<string, DomainDescription>> = {
  "nova/nova-18.0.0-image.xml": {
    ...OLDER_DOMAIN,
    nova: { ...INSTANCE, metadataVersion: "1.0", packageVersion: "18.0.0", flavor: FLAVOR },
  },
  "nova/nova-18.0.0-escaped-unicode.xml": {
    ...OLDER_DOMAIN,
    name: "instance-00000006",
    uuid: "a173eb64-f8e6-419b-a2b7-2d3283ecb26e",
    nova: {
      ...INSTANCE,
      metadataVersion: "1.0",
      packageVersion: "18.0.0",
      name: `wëb <1> & "дом" 😀 a'b`,
      projectName: "R&D <проект>",
      userName: "Ünal & Söhne",
      flavor: FLAVOR,
    },
    disks: [{
      ...fileDisk("vda", "disk", { cache: "" }),
      source: "/var/lib/nova/instances/a173eb64-f8e6-419b-a2b7-2d3283ecb26e/disk",
    }],
  },
  "nova/nova-23.0.0-image-ports.xml": {
    ...OLDER_DOMAIN,
    nova: { ...INSTANCE, packageVersion: "23.0.0", flavor: FLAVOR, ports: [FIRST_PORT] },
    interfaces: [{ ...QBR_INTERFACE, neutronPortId: FIRST_PORT.id }],
  },
  "nova/nova-34.0.0-image-ports.xml": {
    ...DOMAIN,
    nova: { ...INSTANCE, ports: [FIRST_PORT, SECOND_PORT] },
    disks: [
      fileDisk("vda", "disk"),
      fileDisk("vdb", "disk.local"),
      CONFIG_DRIVE,
      volumeDisk("vdz", "7f2f9d0e-1c1b-4e57-8a5c-1f4f5c2b7e11"),
    ],
    interfaces: [
      OVS_INTERFACE,
      { ...OVS_INTERFACE, target: "tapc6c9b7a2-9d", neutronPortId: SECOND_PORT.id },
    ],
  },
  "nova/nova-34.0.0-extraspecs-escaped-unicode.xml": {
    ...DOMAIN,
    nova: {
      ...INSTANCE,
      name: `wëb <1> & "дом" 😀 a'b`,
      projectName: 'R&D <проект> "q"',
      userName: "Ünal & Söhne",
      flavor: { ...FLAVOR_34, name: 'gp<1>&"x" ü' },
      ports: [{
        id: FIRST_PORT.id,
        addresses: [{ type: "fixed", address: "192.168.1.6", ipVersion: "4" }],
      }],
    },
    disks: [
      fileDisk("vda", "disk", { ioTune: READ_LIMIT }),
      fileDisk("vdb", "disk.local", { ioTune: READ_LIMIT }),
      { ...CONFIG_DRIVE, ioTune: READ_LIMIT },
      volumeDisk("vdz", "7f2f9d0e-1c1b-4e57-8a5c-1f4f5c2b7e11"),
    ],
    interfaces: [OVS_INTERFACE],
  },
  "nova/nova-34.0.0-null-owner-no-ports.xml": {
    ...DOMAIN,
    nova: {
      ...INSTANCE,
      name: UUID,
      projectName: "",
      projectId: "",
      userName: "",
      userId: "",
      flavor: { ...FLAVOR_34, diskGibibytes: 0 },
    },
    disks: [fileDisk("vda", "disk"), fileDisk("vdb", "disk.local")],
    interfaces: [],
  },
  "nova/nova-34.0.0-volume-root.xml": {
    ...DOMAIN,
    nova: {
      ...INSTANCE,
      name: "bfv-vm",
      flavor: { ...FLAVOR_34, swapMebibytes: 512, ephemeralGibibytes: 10 },
      rootImageId: "",
      rootType: "volume",
      ports: [{
        id: FIRST_PORT.id,
        addresses: [{ type: "fixed", address: "192.168.1.7", ipVersion: "4" }],
      }],
    },
    disks: [
      fileDisk("vdb", "disk.local"),
      fileDisk("vdc", "disk.swap"),
      CONFIG_DRIVE,
      volumeDisk("vda", "0d3c4a58-7b6e-4a2f-9f1e-3b9a5ee1c0aa"),
    ],
    interfaces: [OVS_INTERFACE],
  },
  "nova/coexist-1.0-and-1.1-after-attach.xml": {
    ...DOMAIN,
    uuid: "a173eb64-f8e6-419b-a2b7-2d3283ecb26c",
    hypervisorType: "test",
    architecture: "i686",
    machineType: "",
    nova: { ...INSTANCE, ports: [FIRST_PORT, SECOND_PORT] },
    disks: [],
    interfaces: [],
  },
  "libvirt-12.8/domain-1.xml": {
    novaProblem: undefined,
    novaRemark: undefined,
    name: "instance-00000001",
    uuid: "00000000-0000-4000-8000-000000000001",
    hypervisorType: "qemu",
    operatingSystemType: "hvm",
    architecture: "x86_64",
    machineType: "pc-i440fx-11.1",
    nova: {
      metadataVersion: "1.1",
      name: 'testing & <"vm"> \\ é 1',
      projectName: "project-1",
      projectId: "p1",
      userName: "user-1",
      userId: "u1",
      packageVersion: "26.2.2",
      creationTime: "2026-11-23 10:00:00",
      creationTimeSeconds: 1_795_428_000,
      flavor: {
        name: "m1.tiny",
        id: "",
        memoryMebibytes: 64,
        diskGibibytes: 1,
        swapMebibytes: 0,
        ephemeralGibibytes: 0,
        virtualCpus: 1,
      },
      rootImageId: "img-1",
      rootType: "image",
      ports: [],
    },
    maximumVirtualCpus: 2,
    currentVirtualCpus: 1,
    memoryBytes: 100_663_296,
    currentMemoryBytes: 100_663_296,
    disks: [{
      ...EMPTY_DISK,
      target: "vda",
      type: "file",
      device: "disk",
      bus: "virtio",
      serial: "c1ndervo-1",
      source: "/guests/d1.img",
      driverType: "raw",
    }],
    interfaces: [{
      ...EMPTY_INTERFACE,
      target: "labtap1",
      macAddress: "52:54:00:00:00:01",
      model: "virtio",
      type: "ethernet",
    }],
  },
};
