import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import {
  type Disk,
  type DomainDescription,
  DomainXmlError,
  fixedAddressesOf,
  type IoTune,
  type IoTuneLimit,
  type NetworkInterface,
  type NovaAddress,
  type NovaFlavor,
  type NovaInstance,
  parseDomainXml,
} from "../src/libvirt/domain_xml.ts";
import { novaDomainXml } from "./support/nova_domain.ts";

const NOVA_1_0 = "http://openstack.org/xmlns/libvirt/nova/1.0";
const NOVA_1_1 = "http://openstack.org/xmlns/libvirt/nova/1.1";

function readFixture(path: string): string {
  return readFileSync(new URL(`./fixtures/${path}`, import.meta.url), "utf8");
}

/** A domain with this text inside its Nova element. */
function novaXml(inside: string): string {
  return `<domain><name>instance-1</name><metadata>` +
    `<nova:instance xmlns:nova="${NOVA_1_1}">${inside}</nova:instance></metadata></domain>`;
}

/** Fails unless the document is refused with one line; returns that line. */
function refusalOf(xml: string): string {
  try {
    parseDomainXml(xml);
  } catch (error) {
    assert.ok(error instanceof DomainXmlError, `${error}`);
    assert.match(error.message, /^Domain XML [^\p{C}\p{Zl}\p{Zp}]{1,400}[^.]$/u);
    return error.message;
  }
  assert.fail("The document was read");
}

const EMPTY_FLAVOR: NovaFlavor = {
  name: "",
  id: "",
  memoryMebibytes: undefined,
  diskGibibytes: undefined,
  swapMebibytes: undefined,
  ephemeralGibibytes: undefined,
  virtualCpus: undefined,
};

const EMPTY_INSTANCE: NovaInstance = {
  metadataVersion: "1.1",
  name: "",
  projectName: "",
  projectId: "",
  userName: "",
  userId: "",
  packageVersion: "",
  creationTime: "",
  creationTimeSeconds: undefined,
  flavor: EMPTY_FLAVOR,
  rootImageId: "",
  rootType: "",
  ports: [],
};

const EMPTY_DOMAIN: DomainDescription = {
  name: "",
  uuid: "",
  hypervisorType: "",
  operatingSystemType: "",
  architecture: "",
  machineType: "",
  nova: undefined,
  novaProblem: undefined,
  maximumVirtualCpus: undefined,
  currentVirtualCpus: undefined,
  memoryBytes: undefined,
  currentMemoryBytes: undefined,
  disks: [],
  interfaces: [],
};

const EMPTY_DISK: Disk = {
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

const EMPTY_INTERFACE: NetworkInterface = {
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

const FIRST_PORT = {
  id: "567a4527-b0e4-4d0a-bcc2-71fda37897f7",
  addresses: [
    { type: "fixed", address: "192.168.1.5", ipVersion: "4" },
    { type: "fixed", address: "2001:db8::5", ipVersion: "6" },
  ],
};

const SECOND_PORT = {
  id: "c6c9b7a2-9d5e-4e2c-8a55-0f3f0a8f1d11",
  addresses: [{ type: "fixed", address: "10.1.0.7", ipVersion: "4" }],
};

const UUID = "a173eb64-f8e6-419b-a2b7-2d3283ecb26c";

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

const FIXTURES: Readonly<Record<string, DomainDescription>> = {
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

Deno.test("parseDomainXml() reads what Nova and libvirt write", async (t) => {
  for (const [path, expected] of Object.entries(FIXTURES)) {
    await t.step(
      path,
      () => assert.deepEqual(parseDomainXml(readFixture(path)), expected),
    );
  }
});

Deno.test("parseDomainXml() leaves empty or undefined what a domain does not say", async (t) => {
  const nova = EMPTY_INSTANCE;
  const cases: ReadonlyArray<readonly [string, string, DomainDescription]> = [
    ["an empty domain", "<domain/>", EMPTY_DOMAIN],
    ["empty parts", "<domain><name/><uuid/><vcpu/><metadata/><devices/></domain>", EMPTY_DOMAIN],
    [
      "foreign metadata",
      "<domain><metadata><a:instance xmlns:a='urn:a'>1</a:instance></metadata></domain>",
      EMPTY_DOMAIN,
    ],
    ["an empty instance", novaXml(""), { ...EMPTY_DOMAIN, name: "instance-1", nova }],
    [
      "an instance of empty parts",
      novaXml(
        "<nova:name/><nova:package/><nova:creationTime/><nova:flavor><nova:memory/></nova:flavor>" +
          "<nova:owner><nova:user/><nova:project/></nova:owner><nova:root/><nova:ports/>",
      ),
      { ...EMPTY_DOMAIN, name: "instance-1", nova },
    ],
    [
      "an owner without a user",
      novaXml("<nova:owner><nova:project uuid='p'>P</nova:project></nova:owner>"),
      {
        ...EMPTY_DOMAIN,
        name: "instance-1",
        nova: { ...nova, projectId: "p", projectName: "P" },
      },
    ],
    [
      "a port without addresses and one without an id",
      novaXml("<nova:ports><nova:port uuid='p'/><nova:port><nova:ip/></nova:port></nova:ports>"),
      {
        ...EMPTY_DOMAIN,
        name: "instance-1",
        nova: {
          ...nova,
          ports: [
            { id: "p", addresses: [] },
            { id: "", addresses: [{ type: "", address: "", ipVersion: "" }] },
          ],
        },
      },
    ],
  ];
  for (const [title, xml, expected] of cases) {
    await t.step(title, () => assert.deepEqual(parseDomainXml(xml), expected));
  }
});

Deno.test("parseDomainXml() finds Nova's metadata by namespace, whatever the prefixes", async (t) => {
  const inMetadata = (inside: string, declarations = ""): string =>
    `<domain><metadata${declarations}>${inside}</metadata></domain>`;
  const cases: ReadonlyArray<readonly [string, string, string | undefined, string]> = [
    [
      "declared on the element",
      inMetadata(
        `<nova:instance xmlns:nova="${NOVA_1_1}"><nova:name>a</nova:name></nova:instance>`,
      ),
      "1.1",
      "a",
    ],
    [
      "declared on metadata",
      inMetadata("<n:instance><n:name>a</n:name></n:instance>", ` xmlns:n='${NOVA_1_0}'`),
      "1.0",
      "a",
    ],
    [
      "declared on the domain",
      `<domain xmlns:n='${NOVA_1_1}'><metadata><n:instance><n:name>a</n:name></n:instance>` +
      "</metadata></domain>",
      "1.1",
      "a",
    ],
    [
      "the default namespace",
      inMetadata(`<instance xmlns="${NOVA_1_1}"><name>a</name></instance>`),
      "1.1",
      "a",
    ],
    [
      "a namespace written with references",
      inMetadata(
        `<instance xmlns="${NOVA_1_1.replaceAll("/", "&#47;")}"><name>a</name></instance>`,
      ),
      "1.1",
      "a",
    ],
    [
      "several prefixes for one namespace",
      inMetadata(
        `<a:instance xmlns:a="${NOVA_1_1}" xmlns:instance="${NOVA_1_1}"><b:name ` +
          `xmlns:b="${NOVA_1_1}">a</b:name></a:instance>`,
      ),
      "1.1",
      "a",
    ],
    [
      "a prefix that means another namespace further in",
      inMetadata(
        `<n:instance xmlns:n="${NOVA_1_1}"><n:name xmlns:n="urn:a">b</n:name>` +
          "<n:name>a</n:name></n:instance>",
      ),
      "1.1",
      "a",
    ],
    [
      "a prefix that means another namespace further out",
      `<domain xmlns:n='urn:a'><metadata xmlns:n='urn:b'><n:instance xmlns:n="${NOVA_1_1}">` +
      "<n:name>a</n:name></n:instance></metadata></domain>",
      "1.1",
      "a",
    ],
    [
      "children without a namespace and of another version, which do not count",
      inMetadata(
        `<n:instance xmlns:n="${NOVA_1_1}" xmlns:o="${NOVA_1_0}"><name>b</name><o:name>c</o:name>` +
          "<n:name>a</n:name></n:instance>",
      ),
      "1.1",
      "a",
    ],
    [
      "a name further in, which does not count",
      inMetadata(`<instance xmlns="${NOVA_1_1}"><image><name>b</name></image></instance>`),
      "1.1",
      "",
    ],
    [
      "1.1 before 1.0",
      inMetadata(
        `<instance xmlns="${NOVA_1_1}"><name>a</name></instance>` +
          `<instance xmlns="${NOVA_1_0}"><name>b</name></instance>`,
      ),
      "1.1",
      "a",
    ],
    [
      "1.10 among older minors",
      inMetadata(
        ["1.2", "1.10", "1.9"].map((version) =>
          `<instance xmlns="${NOVA_1_0.replace("1.0", version)}"><name>${version}</name></instance>`
        ).join(""),
      ),
      "1.10",
      "1.10",
    ],
    ...[
      "http://openstack.org/xmlns/libvirt/nova/2.0",
      "http://openstack.org/xmlns/libvirt/nova/1.01",
      "http://openstack.org/xmlns/libvirt/nova/1.1/",
      "http://openstack.org/xmlns/libvirt/nova/1",
      " http://openstack.org/xmlns/libvirt/nova/1.1",
      "https://openstack.org/xmlns/libvirt/nova/1.1",
      "HTTP://openstack.org/xmlns/libvirt/nova/1.1",
      "",
    ].map((uri) =>
      [
        `not the namespace "${uri}"`,
        inMetadata(`<instance xmlns="${uri}"><name>b</name></instance>`),
        undefined,
        "",
      ] as const
    ),
    [
      "not a prefix that nothing declares",
      inMetadata("<nova:instance><nova:name>b</nova:name></nova:instance>"),
      undefined,
      "",
    ],
    [
      "not another element of the namespace",
      inMetadata(`<guest xmlns="${NOVA_1_1}"><name>b</name></guest>`),
      undefined,
      "",
    ],
    [
      "not outside of metadata",
      `<domain><instance xmlns="${NOVA_1_1}"><name>b</name></instance></domain>`,
      undefined,
      "",
    ],
    [
      "not further inside of metadata",
      inMetadata(`<a><instance xmlns="${NOVA_1_1}"><name>b</name></instance></a>`),
      undefined,
      "",
    ],
  ];
  for (const [title, xml, version, name] of cases) {
    await t.step(title, () => {
      const { nova } = parseDomainXml(xml);
      assert.deepEqual([nova?.metadataVersion, nova?.name ?? ""], [version, name]);
    });
  }
});

Deno.test("parseDomainXml() ignores libvirt's element names in other namespaces", () => {
  const description = parseDomainXml(
    `<domain xmlns:a="urn:a"><a:name>b</a:name><name xmlns="urn:a">c</name><name>d</name>
      <a:vcpu>3</a:vcpu><devices><a:disk/><disk xmlns="urn:a"/></devices></domain>`,
  );
  assert.deepEqual(description, { ...EMPTY_DOMAIN, name: "d" });
});

Deno.test("parseDomainXml() keeps names exactly", async (t) => {
  const cases: ReadonlyArray<readonly [string, string]> = [
    ["123", "123"],
    ["007", "007"],
    ["1e5", "1e5"],
    ["0x10", "0x10"],
    ["-0", "-0"],
    ["true", "true"],
    ["null", "null"],
    ["N/A", "N/A"],
    ["__proto__", "__proto__"],
    ["constructor", "constructor"],
    ["hasOwnProperty", "hasOwnProperty"],
    ["#text", "#text"],
    ["  leading, in  ner and trailing\t", "  leading, in  ner and trailing\t"],
    ["   ", "   "],
    ["\n a\n", "\n a\n"],
    ["\u00A0\u2003a\uFEFF", "\u00A0\u2003a\uFEFF"],
    ["&quot;&apos;&lt;&gt;&amp;", "\"'<>&"],
    ["&amp;amp;&amp;#65;", "&amp;&#65;"],
    ["&#10;a&#13;&#9;", "\na\r\t"],
    ["&#x1F600; &#128512; 😀", "😀 😀 😀"],
    ["👩‍👩‍👧 e\u0301 \u202Eabc", "👩‍👩‍👧 e\u0301 \u202Eabc"],
    ["a&#xD800;b&#xDFFF;", "a\uFFFDb\uFFFD"],
    ["\uDC00", "\uFFFD"],
    ["\\ \\n ${a} %s", "\\ \\n ${a} %s"],
    ["<![CDATA[ <a>&amp;]]>&amp;<![CDATA[]]>", " <a>&amp;&"],
    ["a<!-- b -->c<?d?>e", "ace"],
  ];
  for (const [written, expected] of cases) {
    await t.step(JSON.stringify(written), () => {
      const named = `<nova:name>${written}</nova:name><nova:owner><nova:user>${written}` +
        `</nova:user><nova:project>${written}</nova:project></nova:owner>`;
      const { nova } = parseDomainXml(novaXml(named));
      assert.deepEqual(
        [nova?.name, nova?.userName, nova?.projectName],
        [expected, expected, expected],
      );
      assert.equal(parseDomainXml(`<domain><name>${written}</name></domain>`).name, expected);
    });
  }
});

Deno.test("parseDomainXml() changes no prototype", () => {
  const names = ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty"];
  const elements = names.map((name) => `<${name} ${name}="1" polluted="1">2</${name}>`).join("");
  const { nova } = parseDomainXml(novaXml(`<nova:name>a${elements}</nova:name>${elements}`));
  assert.deepEqual(nova, { ...EMPTY_INSTANCE, name: "a" });
  assert.equal(Reflect.get({}, "polluted"), undefined);
  assert.equal(typeof Object.prototype.toString, "function");
});

Deno.test("parseDomainXml() counts virtual CPUs", async (t) => {
  const cases: ReadonlyArray<readonly [string, number | undefined, number | undefined]> = [
    ["<vcpu>4</vcpu>", 4, 4],
    ["<vcpu current='1'>4</vcpu>", 4, 1],
    [`<vcpu placement="static" cpuset='0-3' current = "2" >\n 4 \n</vcpu>`, 4, 2],
    ["<vcpu current=''>4</vcpu>", 4, 4],
    ["<vcpu current='many'>4</vcpu>", 4, 4],
    ["<vcpu current='2'/>", undefined, 2],
    ["<vcpu>four</vcpu>", undefined, undefined],
    ["<vcpu>-4</vcpu>", undefined, undefined],
    ["<vcpu>4.0</vcpu>", undefined, undefined],
    ["<vcpu>0x4</vcpu>", undefined, undefined],
    ["<vcpu>4e0</vcpu>", undefined, undefined],
    ["<vcpu>99999999999999999999</vcpu>", undefined, undefined],
    ["", undefined, undefined],
  ];
  for (const [vcpu, maximum, current] of cases) {
    await t.step(vcpu || "no element", () => {
      const description = parseDomainXml(`<domain>${vcpu}</domain>`);
      assert.deepEqual(
        [description.maximumVirtualCpus, description.currentVirtualCpus],
        [maximum, current],
      );
    });
  }
});

Deno.test("parseDomainXml() describes disks of all types", async (t) => {
  const disk = EMPTY_DISK;
  const cases: ReadonlyArray<readonly [string, Disk]> = [
    ["<disk/>", disk],
    [
      "<disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>",
      { ...disk, target: "sda", type: "file", device: "cdrom", bus: "sata", isReadOnly: true },
    ],
    [
      "<disk type='block' device='lun'><source dev='/dev/sdb'/><target dev='sda'/></disk>",
      { ...disk, target: "sda", type: "block", device: "lun", source: "/dev/sdb" },
    ],
    [
      "<disk type='dir' device='floppy'><source dir='/srv'/><target dev='fda' bus='fdc'/></disk>",
      { ...disk, target: "fda", type: "dir", device: "floppy", bus: "fdc", source: "/srv" },
    ],
    [
      "<disk type='volume'><source pool='p' volume='v'/><serial> s </serial></disk>",
      { ...disk, type: "volume", source: "v", serial: " s " },
    ],
    [
      "<disk type='vhostuser'><source type='unix' path='/run/vhost.sock'/></disk>",
      { ...disk, type: "vhostuser", source: "/run/vhost.sock" },
    ],
    [
      "<disk type='network'><source protocol='rbd' name='pool/image'><host name='10.0.0.1'/>" +
      "</source><target bus='virtio' dev='vda'/></disk>",
      {
        ...disk,
        type: "network",
        source: "pool/image",
        sourceProtocol: "rbd",
        target: "vda",
        bus: "virtio",
      },
    ],
    [
      "<disk type='file'><source file='/b'/><backingStore type='file'><source file='/a'/>" +
      "<backingStore/></backingStore><mirror><source file='/c'/></mirror><target dev='vda'/></disk>",
      { ...disk, type: "file", source: "/b", target: "vda" },
    ],
    [
      "<disk><driver name='qemu' type='qcow2' cache='none' io='native' discard='unmap'>" +
      "<metadata_cache><max_size unit='b'>1</max_size></metadata_cache></driver><shareable/>" +
      "<alias name='virtio-disk0'/></disk>",
      {
        ...disk,
        driverType: "qcow2",
        cache: "none",
        io: "native",
        discard: "unmap",
        isShareable: true,
      },
    ],
  ];
  for (const [xml, expected] of cases) {
    await t.step(xml, () => {
      const { disks } = parseDomainXml(`<domain><devices>${xml}</devices></domain>`);
      assert.deepEqual(disks, [expected]);
    });
  }
});

Deno.test("parseDomainXml() describes network interfaces of all types", async (t) => {
  const none = EMPTY_INTERFACE;
  const cases: ReadonlyArray<readonly [string, NetworkInterface]> = [
    ["<interface/>", none],
    ["<interface type='user'><target dev=''/></interface>", { ...none, type: "user" }],
    [
      "<interface type='hostdev'><mac address='fa:16:3e:00:00:01'/><source><address type='pci'/>" +
      "</source></interface>",
      { ...none, type: "hostdev", macAddress: "fa:16:3e:00:00:01" },
    ],
    [
      "<interface type='network'><source network='default' portid='p' bridge='virbr0'/>" +
      "<target dev='vnet0'/><model type='e1000'/></interface>",
      {
        ...none,
        type: "network",
        source: "default",
        network: "default",
        bridge: "virbr0",
        target: "vnet0",
        model: "e1000",
      },
    ],
    [
      "<interface type='direct'><source dev='eth0' mode='vepa'/><target dev='macvtap0'/></interface>",
      { ...none, type: "direct", source: "eth0", target: "macvtap0" },
    ],
    [
      "<interface type='vhostuser'><source type='unix' path='/run/vhu' mode='server'/></interface>",
      { ...none, type: "vhostuser", source: "/run/vhu" },
    ],
    [
      "<interface type='bridge'><source bridge='br-int'/><virtualport type='openvswitch'>" +
      "<parameters interfaceid='p' profileid='q'/></virtualport></interface>",
      {
        ...none,
        type: "bridge",
        source: "br-int",
        bridge: "br-int",
        neutronPortId: "p",
        virtualPortType: "openvswitch",
      },
    ],
    [
      "<interface><driver name='vhost' queues='4'><host csum='off'/></driver><mtu size='9000'/>" +
      "<link state='down'/></interface>",
      { ...none, driverName: "vhost", queues: 4, mtuBytes: 9000, linkState: "down" },
    ],
    ["<interface><driver queues='-1'/><mtu size='9000.5'/></interface>", none],
    ["<interface><vlan><tag id='42'/></vlan></interface>", { ...none, vlanTags: [42] }],
    [
      "<interface><vlan trunk='yes'><tag id='42'/><tag id='x'/><tag/><tag id='7'/></vlan></interface>",
      { ...none, vlanTags: [42, 7] },
    ],
    [
      "<interface><bandwidth><inbound average='1000' peak='2000' floor='200' burst='300'/>" +
      "<outbound average='500'/></bandwidth></interface>",
      {
        ...none,
        bandwidth: {
          inbound: {
            averageKilobytesPerSecond: 1000,
            peakKilobytesPerSecond: 2000,
            burstKilobytes: 300,
            floorKilobytesPerSecond: 200,
          },
          outbound: {
            averageKilobytesPerSecond: 500,
            peakKilobytesPerSecond: undefined,
            burstKilobytes: undefined,
            floorKilobytesPerSecond: undefined,
          },
        },
      },
    ],
    [
      "<interface><bandwidth/></interface>",
      { ...none, bandwidth: { inbound: undefined, outbound: undefined } },
    ],
  ];
  for (const [xml, expected] of cases) {
    await t.step(xml, () => {
      const { interfaces } = parseDomainXml(`<domain><devices>${xml}</devices></domain>`);
      assert.deepEqual(interfaces, [expected]);
    });
  }
});

Deno.test("parseDomainXml() reads how a disk is throttled", async (t) => {
  const all: ReadonlyArray<IoTuneLimit> = [
    ...(["bytes", "iops"] as const).flatMap((what) =>
      (["total", "read", "write"] as const).flatMap((which) =>
        (["", "_max", "_max_length"] as const).map((kind) => `${which}_${what}_sec${kind}` as const)
      )
    ),
    "size_iops_sec",
  ];
  const cases: ReadonlyArray<readonly [string, Disk["ioTune"]]> = [
    ["", undefined],
    ["<iotune/>", { limits: {}, groupName: "" }],
    [
      "<iotune><total_bytes_sec>1000000</total_bytes_sec><group_name>a b</group_name>" +
      "<size_iops_sec> 4096 </size_iops_sec><x>1</x></iotune>",
      {
        limits: { total_bytes_sec: 1_000_000, size_iops_sec: 4096 },
        groupName: "a b",
      },
    ],
    [
      "<iotune><read_iops_sec>-1</read_iops_sec><write_iops_sec>0</write_iops_sec>" +
      "<read_bytes_sec>many</read_bytes_sec></iotune>",
      { limits: { write_iops_sec: 0 }, groupName: "" },
    ],
    [
      `<iotune>${all.map((name, index) => `<${name}>${index}</${name}>`).join("")}</iotune>`,
      { limits: Object.fromEntries(all.map((name, index) => [name, index])), groupName: "" },
    ],
  ];
  assert.equal(all.length, 19);
  for (const [ioTune, expected] of cases) {
    await t.step(ioTune || "no element", () => {
      const { disks } = parseDomainXml(
        `<domain><devices><disk>${ioTune}</disk></devices></domain>`,
      );
      assert.deepEqual(disks, [{ ...EMPTY_DISK, ioTune: expected }]);
    });
  }
});

Deno.test("parseDomainXml() reads what kind of machine a domain is", () => {
  const description = parseDomainXml(
    "<domain type='qemu'><os><type arch='aarch64' machine='virt-7.2'>hvm</type><boot dev='hd'/>" +
      "</os></domain>",
  );
  assert.deepEqual(description, {
    ...EMPTY_DOMAIN,
    hypervisorType: "qemu",
    operatingSystemType: "hvm",
    architecture: "aarch64",
    machineType: "virt-7.2",
  });
});

Deno.test("parseDomainXml() reads amounts of memory in all units of libvirt", async (t) => {
  const cases: ReadonlyArray<readonly [string, number | undefined]> = [
    ["<memory>1</memory>", 1024],
    ["<memory unit=''>1</memory>", 1024],
    ["<memory unit='KiB' dumpCore='off'>\n 2097152 \n</memory>", 2_147_483_648],
    ["<memory unit='b'>4096</memory>", 4096],
    ["<memory unit='byte'>4096</memory>", 4096],
    ["<memory unit='bytes'>4096</memory>", 4096],
    ["<memory unit='KB'>2</memory>", 2000],
    ["<memory unit='k'>2</memory>", 2048],
    ["<memory unit='MB'>2</memory>", 2_000_000],
    ["<memory unit='M'>2</memory>", 2_097_152],
    ["<memory unit='MiB'>2</memory>", 2_097_152],
    ["<memory unit='GB'>2</memory>", 2_000_000_000],
    ["<memory unit='G'>2</memory>", 2_147_483_648],
    ["<memory unit='GiB'>2</memory>", 2_147_483_648],
    ["<memory unit='TB'>2</memory>", 2_000_000_000_000],
    ["<memory unit='T'>2</memory>", 2_199_023_255_552],
    ["<memory unit='TiB'>2</memory>", 2_199_023_255_552],
    ["<memory unit='PiB'>2</memory>", 2_251_799_813_685_248],
    ["<memory unit='gib'>2</memory>", 2_147_483_648],
    ["<memory unit='EiB'>2</memory>", undefined],
    ["<memory>9007199254740991</memory>", undefined],
    ["<memory unit='pages'>2</memory>", undefined],
    ["<memory unit='KiBs'>2</memory>", undefined],
    ["<memory unit='i'>2</memory>", undefined],
    ["<memory unit=' KiB'>2</memory>", undefined],
    ["<memory>1.5</memory>", undefined],
    ["<memory>-1</memory>", undefined],
    ["<memory/>", undefined],
    ["", undefined],
  ];
  for (const [memory, expected] of cases) {
    await t.step(memory || "no element", () => {
      const { memoryBytes, currentMemoryBytes } = parseDomainXml(`<domain>${memory}</domain>`);
      assert.deepEqual([memoryBytes, currentMemoryBytes], [expected, expected]);
    });
  }
  await t.step("the current amount is read by itself", () => {
    const current = (inside: string): number | undefined =>
      parseDomainXml(`<domain><memory>4</memory>${inside}</domain>`).currentMemoryBytes;
    assert.equal(current("<currentMemory>2</currentMemory>"), 2048);
    assert.equal(current("<currentMemory unit='b'>0</currentMemory>"), 0);
    assert.equal(current("<currentMemory>some</currentMemory>"), undefined);
    assert.equal(current(""), 4096);
  });
});

Deno.test("parseDomainXml() reads a time of creation that is real", async (t) => {
  const cases: ReadonlyArray<readonly [string, number | undefined]> = [
    ["2024-06-01 10:00:00", 1_717_236_000],
    ["1970-01-01 00:00:00", 0],
    ["2024-02-29 23:59:59", 1_709_251_199],
    ["2038-01-19 03:14:08", 2_147_483_648],
    ["2023-02-29 10:00:00", undefined],
    ["2024-02-30 10:00:00", undefined],
    ["2024-06-31 10:00:00", undefined],
    ["2024-13-01 10:00:00", undefined],
    ["2024-00-01 10:00:00", undefined],
    ["2024-06-00 10:00:00", undefined],
    ["2024-06-01 24:00:00", undefined],
    ["2024-06-01 10:60:00", undefined],
    ["2024-06-01 10:00:60", undefined],
    ["2024-06-01T10:00:00", undefined],
    ["2024-06-01 10:00:00Z", undefined],
    ["2024-06-01 10:00:00+02:00", undefined],
    ["2024-06-01 10:00:00.5", undefined],
    ["2024-06-01 10:00", undefined],
    ["2024-6-1 10:00:00", undefined],
    [" 2024-06-01 10:00:00", undefined],
    ["12024-06-01 10:00:00", undefined],
    ["None", undefined],
    ["", undefined],
  ];
  for (const [text, seconds] of cases) {
    await t.step(text || "no text", () => {
      const { nova } = parseDomainXml(novaXml(`<nova:creationTime>${text}</nova:creationTime>`));
      assert.deepEqual([nova?.creationTime, nova?.creationTimeSeconds], [text, seconds]);
    });
  }
});

Deno.test("fixedAddressesOf() finds the fixed addresses of one port in document order", async (t) => {
  const address = (type: string, text: string): NovaAddress => ({
    type,
    address: text,
    ipVersion: "4",
  });
  const nova: NovaInstance = {
    ...EMPTY_INSTANCE,
    ports: [
      { id: "a", addresses: [address("fixed", "10.0.0.9"), address("floating", "192.0.2.1")] },
      { id: "", addresses: [address("fixed", "10.0.0.7")] },
      { id: "b", addresses: [] },
      { id: "a", addresses: [address("fixed", "10.0.0.2"), address("Fixed", "10.0.0.3")] },
    ],
  };
  const cases: ReadonlyArray<readonly [string, NovaInstance | undefined, readonly string[]]> = [
    ["a", nova, ["10.0.0.9", "10.0.0.2"]],
    ["b", nova, []],
    ["c", nova, []],
    ["A", nova, []],
    ["", nova, []],
    ["a", EMPTY_INSTANCE, []],
    ["a", undefined, []],
  ];
  for (const [portId, instance, expected] of cases) {
    await t.step(`port "${portId}" of ${instance?.ports.length ?? "no"} ports`, () => {
      assert.deepEqual(fixedAddressesOf(instance, portId), expected);
    });
  }
  await t.step("an interface of a recorded document", () => {
    const { nova, interfaces } = parseDomainXml(readFixture("nova/nova-34.0.0-image-ports.xml"));
    assert.deepEqual(
      interfaces.map(({ neutronPortId }) => fixedAddressesOf(nova, neutronPortId)),
      [["192.168.1.5", "2001:db8::5"], ["10.1.0.7"]],
    );
  });
});

/** Where a duplicate costs an instance its Nova labels only. */
const NOVA_PARENTS = new Set(["instance", "flavor", "owner", "metadata"]);

Deno.test("parseDomainXml() refuses what is there twice and may be there once", async (t) => {
  const flavor = (inside: string): string => novaXml(`<nova:flavor>${inside}</nova:flavor>`);
  const device = (name: string, inside: string): string =>
    `<domain><devices><${name}>${inside}</${name}></devices></domain>`;
  const cases: ReadonlyArray<readonly [string, string, string]> = [
    ...["name", "uuid", "metadata", "os", "memory", "currentMemory", "vcpu", "devices"].map((
      name,
    ) => [`<domain><${name}/><a/><${name}/></domain>`, name, "domain"] as const),
    ["<domain><os><type/><type/></os></domain>", "type", "os"],
    ...["package", "name", "creationTime", "flavor", "owner", "root", "ports"].map((name) =>
      [novaXml(`<nova:${name}/><nova:${name}>1</nova:${name}>`), name, "instance"] as const
    ),
    ...["memory", "disk", "swap", "ephemeral", "vcpus"].map((name) =>
      [
        flavor(`<nova:${name}>1</nova:${name}><nova:${name}>1</nova:${name}>`),
        name,
        "flavor",
      ] as const
    ),
    ...["user", "project"].map((name) =>
      [
        novaXml(`<nova:owner><nova:${name}/><nova:${name}/></nova:owner>`),
        name,
        "owner",
      ] as const
    ),
    ...["target", "source", "serial", "driver", "readonly", "shareable", "iotune"].map(
      (name) => [device("disk", `<${name}/><${name}/>`), name, "disk"] as const,
    ),
    ...["total_bytes_sec", "write_iops_sec_max_length", "group_name"].map((name) =>
      [device("disk", `<iotune><${name}/><${name}/></iotune>`), name, "iotune"] as const
    ),
    ...[
      "target",
      "source",
      "mac",
      "model",
      "virtualport",
      "driver",
      "mtu",
      "link",
      "vlan",
      "bandwidth",
    ].map((name) => [device("interface", `<${name}/><${name}/>`), name, "interface"] as const),
    ...["inbound", "outbound"].map((name) =>
      [
        device("interface", `<bandwidth><${name}/><${name}/></bandwidth>`),
        name,
        "bandwidth",
      ] as const
    ),
    [
      device("interface", "<virtualport><parameters/><parameters/></virtualport>"),
      "parameters",
      "virtualport",
    ],
    [
      `<domain><metadata><instance xmlns="${NOVA_1_1}"/><n:instance xmlns:n="${NOVA_1_1}"/>` +
      "</metadata></domain>",
      "instance",
      "metadata",
    ],
    [
      `<domain><metadata><instance xmlns="${NOVA_1_0}"/><instance xmlns="${NOVA_1_0}"/>` +
      `<instance xmlns="${NOVA_1_1}"/></metadata></domain>`,
      "instance",
      "metadata",
    ],
  ];
  for (const [xml, name, parent] of cases) {
    await t.step(`${name} in ${parent}: ${xml}`, () => {
      const message =
        `Domain XML has element "${name}" twice inside "${parent}", remove one of them`;
      if (NOVA_PARENTS.has(parent) || name === "metadata") {
        const { nova, novaProblem } = parseDomainXml(xml);
        assert.deepEqual([nova, novaProblem], [undefined, message]);
      } else assert.equal(refusalOf(xml), message);
    });
  }
});

Deno.test("parseDomainXml() keeps what libvirt says when Nova's metadata is not understood", () => {
  const { name, nova, novaProblem, maximumVirtualCpus, disks, interfaces } = parseDomainXml(
    `<domain><name>instance-1</name><vcpu>4</vcpu><metadata>` +
      `<instance xmlns="${NOVA_1_1}"><name>a</name><name>b</name></instance></metadata>` +
      `<devices><disk type="block"><target dev="vda"/><serial>s</serial></disk>` +
      `<interface><mac address="fa:16:3e:00:00:01"/><target dev="tap1"/></interface></devices></domain>`,
  );
  assert.equal(nova, undefined);
  assert.match(novaProblem ?? "", /"name" twice inside "instance"/);
  assert.deepEqual(
    [name, maximumVirtualCpus, disks[0]?.serial, interfaces[0]?.macAddress],
    ["instance-1", 4, "s", "fa:16:3e:00:00:01"],
  );
});

Deno.test("parseDomainXml() lets elements that it does not read stand twice", () => {
  const xml = novaXml(
    "<nova:name>a</nova:name><nova:image/><nova:image/><nova:new/><nova:new/><x/><x/>" +
      "<other:name xmlns:other='urn:a'/><other:name xmlns:other='urn:a'/>",
  ).replace("<metadata>", "<cpu/><cpu/><title/><title/><metadata><b/><b/>");
  assert.deepEqual(parseDomainXml(xml).nova, { ...EMPTY_INSTANCE, name: "a" });
});

Deno.test("parseDomainXml() refuses hostile documents", async (t) => {
  const laughs = ["<!ENTITY lol0 'lol'>"].concat(
    Array.from(
      { length: 9 },
      (_, level) => `<!ENTITY lol${level + 1} '${`&lol${level};`.repeat(10)}'>`,
    ),
  ).join("");
  const cases: ReadonlyArray<readonly [string, string, RegExp]> = [
    ["5 MiB", `<domain>${" ".repeat(5 * 1024 * 1024)}</domain>`, /has 5242897 characters/],
    [
      "10,000 levels",
      `<domain>${"<a>".repeat(10_000)}${"</a>".repeat(10_000)}</domain>`,
      /nest deeper than 256 levels/,
    ],
    ["10,000 levels that never end", "<domain>".repeat(10_000), /nest deeper than 256 levels/],
    [
      "10,000 levels of metadata",
      novaXml(`<nova:name>${"<a>".repeat(10_000)}${"</a>".repeat(10_000)}</nova:name>`),
      /nest deeper than 256 levels/,
    ],
    [
      "a billion laughs",
      `<!DOCTYPE domain [${laughs}]><domain><name>&lol9;</name></domain>`,
      /Refusing the declaration "<!DOCTYPE/,
    ],
    [
      "an external entity",
      `<?xml version="1.0"?>\n<!DOCTYPE d [<!ENTITY e SYSTEM "file:///etc/passwd">]>` +
      "<domain><name>&e;</name></domain>",
      /Refusing the declaration "<!DOCTYPE .*\(line 2\)$/,
    ],
    [
      "an external document type",
      `<!DOCTYPE domain SYSTEM "http://localhost/a.dtd"><domain/>`,
      /Refusing the declaration "<!DOCTYPE/,
    ],
    ["an entity that nothing declares", novaXml("<nova:name>&e;</nova:name>"), /reference "&e;"/],
    [
      "an unread part that is broken",
      "<domain><name>a</name><os><boot dev=hd/></os></domain>",
      /start tag of element "boot" is broken/,
    ],
    ["a name of a mebibyte", `<${"a".repeat(1_000_000)}/>`, /begins with element "a{60}…"/],
    ["line ends in a message", "<domain>&a\n\u2028\u0085b;</domain>", /reference "&a\uFFFD{3}b;"/],
  ];
  for (const [title, xml, message] of cases) {
    await t.step(title, () => assert.match(refusalOf(xml), message));
  }
});

Deno.test("parseDomainXml() reads documents that are large, but not too large", async (t) => {
  const cases: ReadonlyArray<readonly [string, string]> = [
    ["text", "x".repeat(1_000_000)],
    ["references", "&amp;".repeat(200_000)],
    ["CDATA sections", "<![CDATA[]]>".repeat(80_000)],
    ["comments", "<!---->".repeat(140_000)],
    ["elements", "<a/>".repeat(250_000)],
    ["attributes", `<a ${Array.from({ length: 80_000 }, (_, i) => `a${i}=''`).join(" ")}/>`],
    ["levels", "<a>".repeat(250) + "</a>".repeat(250)],
  ];
  for (const [title, inside] of cases) {
    await t.step(title, () => {
      const { nova } = parseDomainXml(
        novaXml(`<nova:name>a</nova:name><nova:root>${inside}</nova:root>`),
      );
      assert.equal(nova?.name, "a");
    });
  }
});

Deno.test("parseDomainXml() refuses what is not a well-formed domain document", async (t) => {
  const cases: ReadonlyArray<readonly [string, RegExp]> = [
    ["", /has no element/],
    [" \n", /has no element/],
    ["null", /outside the root element: "null"/],
    ["{}", /outside the root element: "\{\}"/],
    ["<domain>", /ends inside element "domain"/],
    ["<domain", /start tag of element "domain" is broken/],
    ["<domain/><domain/>", /second root element/],
    ["<domain/>x", /outside the root element: "x"/],
    ["<domain><name>a</domain></name>", /"name" is closed as "domain"/],
    ["<domain><name>a</Name></domain>", /"name" is closed as "Name"/],
    ["<domain><name a='1' a='2'/></domain>", /attribute "a" twice/],
    ["<domain><name>a & b</name></domain>", /reference "& b"/],
    ["<domain><name>a\u0000</name></domain>", /character U\+0000/],
    ["<domain><name>&#0;</name></domain>", /reference "&#0;"/],
    ["<domain><!-- a </domain>", /comment never ends/],
    ["<domain><name><![CDATA[a</name></domain>", /CDATA section never ends/],
    ["<domains/>", /begins with element "domains" of namespace ""/],
    ["<Domain/>", /begins with element "Domain" of namespace ""/],
    ["<domainsnapshot><domain/></domainsnapshot>", /begins with element "domainsnapshot"/],
    ["<domain xmlns='urn:a'/>", /begins with element "domain" of namespace "urn:a"/],
    ["<a:domain xmlns:a='urn:a'/>", /begins with element "domain" of namespace "urn:a"/],
    ["<a:domain/>", /begins with element "domain" of namespace ""/],
  ];
  for (const [xml, message] of cases) {
    await t.step(JSON.stringify(xml), () => assert.match(refusalOf(xml), message));
  }
});

Deno.test("parseDomainXml() refuses a document cut off anywhere", () => {
  const xml = readFixture("nova/nova-34.0.0-extraspecs-escaped-unicode.xml").trimEnd();
  for (let length = 0; length < xml.length; length += 5) refusalOf(xml.slice(0, length));
});

Deno.test("parseDomainXml() reads all ways of writing the same thing", async (t) => {
  const expected = parseDomainXml(readFixture("nova/nova-34.0.0-image-ports.xml"));
  const rewrites: Readonly<Record<string, (xml: string) => string>> = {
    "with a declaration": (xml) => `<?xml version='1.0' encoding="UTF-8"?>\n${xml}`,
    "with a byte order mark": (xml) => `\uFEFF${xml}`,
    "with other quotation marks": (xml) => xml.replaceAll('"', "'"),
    "with white space in tags": (xml) =>
      xml.replaceAll("=", " \n=\t ").replaceAll(/>(?=\n)/g, "\r\n>").replaceAll("/\r\n>", " />"),
    "with other line ends": (xml) => xml.replaceAll("\n", "\r\n"),
    "without white space between tags": (xml) => xml.replaceAll(/>\s+</g, "><"),
    "with end tags for empty elements": (xml) =>
      xml.replaceAll(/<([\w:]+)([^<>]*)\/>/g, "<$1$2></$1>"),
    "with attributes in another order": (xml) =>
      xml.replaceAll(/(<[\w:]+) (\w+="[^"]*") (\w+="[^"]*")/g, "$1 $3 $2"),
    "with another prefix": (xml) =>
      xml.replaceAll("nova:", "ns0:").replaceAll("xmlns:nova", "xmlns:ns0"),
    "with comments and instructions": (xml) =>
      xml.replaceAll(/>(?=\n)/g, "><!-- <name>'&b; --><?p it's a='?>"),
    "with characters as references": (xml) =>
      xml.replaceAll(
        /(?<=>)[^<>\n]+(?=<)/g,
        (text) =>
          [...text].map((character) => `&#x${character.codePointAt(0)?.toString(16)};`).join(""),
      ),
    "with text in CDATA sections": (xml) =>
      xml.replaceAll(/(?<=>)[^<>\n]+(?=<)/g, (text) => `<![CDATA[${text}]]>`),
  };
  for (const [title, rewrite] of Object.entries(rewrites)) {
    await t.step(title, () => {
      const xml = readFixture("nova/nova-34.0.0-image-ports.xml");
      assert.notEqual(rewrite(xml), xml);
      assert.deepEqual(parseDomainXml(rewrite(xml)), expected);
    });
  }
});

Deno.test("novaDomainXml() writes what parseDomainXml() reads", () => {
  const { nova, disks, interfaces } = parseDomainXml(novaDomainXml({
    name: "instance-1",
    uuid: UUID,
    novaName: "a & b",
    novaCreationTime: "2024-06-01 10:00:00",
    novaPorts: [{ id: FIRST_PORT.id, addresses: ["192.168.1.5", "2001:db8::5"] }],
    disks: [{ target: "vda", serial: "s", limits: { read_iops_sec: 100 } }],
    interfaces: [{
      target: "tap1",
      macAddress: "fa:16:3e:11:22:33",
      neutronPortId: FIRST_PORT.id,
      mtuBytes: 1450,
    }],
  }));
  assert.deepEqual([nova?.name, nova?.creationTimeSeconds], ["a & b", 1_717_236_000]);
  assert.deepEqual(nova?.ports, [FIRST_PORT]);
  assert.deepEqual(disks.map(({ target, serial, ioTune }) => [target, serial, ioTune?.limits]), [
    ["vda", "s", { read_iops_sec: 100 }],
  ]);
  assert.deepEqual(
    interfaces.map(({ target, neutronPortId, mtuBytes }) => [target, neutronPortId, mtuBytes]),
    [["tap1", FIRST_PORT.id, 1450]],
  );
});
