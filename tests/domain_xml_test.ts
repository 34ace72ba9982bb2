import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import {
  type Disk,
  type DomainDescription,
  DomainXmlError,
  type NetworkInterface,
  type NovaFlavor,
  type NovaInstance,
  parseDomainXml,
} from "../src/libvirt/domain_xml.ts";

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
  flavor: EMPTY_FLAVOR,
  rootImageId: "",
  rootType: "",
  ports: [],
};

const EMPTY_DOMAIN: DomainDescription = {
  name: "",
  uuid: "",
  nova: undefined,
  novaProblem: undefined,
  maximumVirtualCpus: undefined,
  currentVirtualCpus: undefined,
  disks: [],
  interfaces: [],
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
  return { target, type: "file", device: "disk", bus: "virtio", serial: "", source, ...parts };
}

function volumeDisk(target: string, serial: string): Disk {
  const source = `volumes/volume-${serial}`;
  return { target, type: "network", device: "disk", bus: "virtio", serial, source };
}

const CONFIG_DRIVE = fileDisk("hda", "disk.config", { device: "cdrom", bus: "ide" });

const QBR_INTERFACE: NetworkInterface = {
  target: "tap567a4527-b0",
  macAddress: "fa:16:3e:11:22:33",
  model: "virtio",
  type: "bridge",
  source: "qbr567a4527-b0",
  neutronPortId: "",
};

const OVS_INTERFACE: NetworkInterface = {
  ...QBR_INTERFACE,
  source: "br-int",
  neutronPortId: FIRST_PORT.id,
};

const DOMAIN: DomainDescription = {
  novaProblem: undefined,
  name: "instance-00000004",
  uuid: UUID,
  nova: INSTANCE,
  maximumVirtualCpus: 2,
  currentVirtualCpus: 2,
  disks: [fileDisk("vda", "disk")],
  interfaces: [QBR_INTERFACE],
};

const FIXTURES: Readonly<Record<string, DomainDescription>> = {
  "nova/nova-18.0.0-image.xml": {
    ...DOMAIN,
    nova: { ...INSTANCE, metadataVersion: "1.0", packageVersion: "18.0.0", flavor: FLAVOR },
  },
  "nova/nova-18.0.0-escaped-unicode.xml": {
    ...DOMAIN,
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
      ...fileDisk("vda", "disk"),
      source: "/var/lib/nova/instances/a173eb64-f8e6-419b-a2b7-2d3283ecb26e/disk",
    }],
  },
  "nova/nova-23.0.0-image-ports.xml": {
    ...DOMAIN,
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
      fileDisk("vda", "disk"),
      fileDisk("vdb", "disk.local"),
      CONFIG_DRIVE,
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
    nova: { ...INSTANCE, ports: [FIRST_PORT, SECOND_PORT] },
    disks: [],
    interfaces: [],
  },
  "libvirt-12.8/domain-1.xml": {
    novaProblem: undefined,
    name: "instance-00000001",
    uuid: "00000000-0000-4000-8000-000000000001",
    nova: {
      metadataVersion: "1.1",
      name: 'testing & <"vm"> \\ é 1',
      projectName: "project-1",
      projectId: "p1",
      userName: "user-1",
      userId: "u1",
      packageVersion: "26.2.2",
      creationTime: "2026-11-23 10:00:00",
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
    disks: [{
      target: "vda",
      type: "file",
      device: "disk",
      bus: "virtio",
      serial: "c1ndervo-1",
      source: "/guests/d1.img",
    }],
    interfaces: [{
      target: "labtap1",
      macAddress: "52:54:00:00:00:01",
      model: "virtio",
      type: "ethernet",
      source: "",
      neutronPortId: "",
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
  const disk: Disk = { target: "", type: "", device: "disk", bus: "", serial: "", source: "" };
  const cases: ReadonlyArray<readonly [string, Disk]> = [
    ["<disk/>", disk],
    [
      "<disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>",
      { ...disk, target: "sda", type: "file", device: "cdrom", bus: "sata" },
    ],
    [
      "<disk type='block' device='lun'><source dev='/dev/sdb'/><target dev='sda'/></disk>",
      { ...disk, target: "sda", type: "block", device: "lun", source: "/dev/sdb" },
    ],
    [
      "<disk type='dir' device='floppy'><source dir='/srv'/><target dev='fda' bus='fdc'/></disk>",
      { target: "fda", type: "dir", device: "floppy", bus: "fdc", serial: "", source: "/srv" },
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
      { ...disk, type: "network", source: "pool/image", target: "vda", bus: "virtio" },
    ],
    [
      "<disk type='file'><source file='/b'/><backingStore type='file'><source file='/a'/>" +
      "<backingStore/></backingStore><mirror><source file='/c'/></mirror><target dev='vda'/></disk>",
      { ...disk, type: "file", source: "/b", target: "vda" },
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
  const none: NetworkInterface = {
    target: undefined,
    macAddress: "",
    model: "",
    type: "",
    source: "",
    neutronPortId: "",
  };
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
      { ...none, type: "network", source: "default", target: "vnet0", model: "e1000" },
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
      { ...none, type: "bridge", source: "br-int", neutronPortId: "p" },
    ],
  ];
  for (const [xml, expected] of cases) {
    await t.step(xml, () => {
      const { interfaces } = parseDomainXml(`<domain><devices>${xml}</devices></domain>`);
      assert.deepEqual(interfaces, [expected]);
    });
  }
});

/** Where a duplicate costs an instance its Nova labels only. */
const NOVA_PARENTS = new Set(["instance", "flavor", "owner", "metadata"]);

Deno.test("parseDomainXml() refuses what is there twice and may be there once", async (t) => {
  const flavor = (inside: string): string => novaXml(`<nova:flavor>${inside}</nova:flavor>`);
  const device = (name: string, inside: string): string =>
    `<domain><devices><${name}>${inside}</${name}></devices></domain>`;
  const cases: ReadonlyArray<readonly [string, string, string]> = [
    ...["name", "uuid", "metadata", "vcpu", "devices"].map((name) =>
      [`<domain><${name}/><a/><${name}/></domain>`, name, "domain"] as const
    ),
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
    ...["target", "source", "serial"].map((name) =>
      [device("disk", `<${name}/><${name}/>`), name, "disk"] as const
    ),
    ...["target", "source", "mac", "model", "virtualport"].map((name) =>
      [device("interface", `<${name}/><${name}/>`), name, "interface"] as const
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
  ).replace("<metadata>", "<os/><os/><title/><title/><metadata><b/><b/>");
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

/** A small generator of pseudo-random numbers below 1 (mulberry32), the same ones for every run. */
function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6D2B79F5) | 0;
    const mixed = Math.imul(state ^ (state >>> 15), state | 1);
    const folded = mixed ^ (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61));
    return ((folded ^ (folded >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const FRAGMENTS =
  "< </ > /> & &amp; &#0; &#x41; &#xD800; ]]> <![CDATA[ <!-- --> -- <? ?> ' \" = : ! / x é 😀"
    .split(" ").concat(
      [" ", "\t", "\r\n", "\u0001", "\u2028", "\uD800", "<a>", "</a>", "<a/>", " a='1'"],
      ["<__proto__/>", "<!DOCTYPE a>", "<?xml version='1.0'?>", " xmlns='urn:a'", "</domain>"],
      ["<nova:name>", "nova:", "<name/>", "<vcpu>1</vcpu>", "<disk/>", "<interface/>"],
    );

function mutate(xml: string, random: () => number): string {
  const below = (limit: number): number => Math.floor(random() * limit);
  const at = below(xml.length + 1);
  const [before, after] = [xml.slice(0, at), xml.slice(at)];
  switch (below(5)) {
    case 0:
      return before + after.slice(1 + below(3));
    case 1:
      return before + FRAGMENTS[below(FRAGMENTS.length)] + after;
    case 2:
      return before + FRAGMENTS[below(FRAGMENTS.length)] + after.slice(1);
    case 3: {
      const from = below(xml.length);
      return before + xml.slice(from, from + below(200)) + after;
    }
    default:
      return before.length > xml.length / 2 ? before : after;
  }
}

Deno.test("parseDomainXml() gives a description or a DomainXmlError for any mutated document", () => {
  const random = seededRandom(20_261_123);
  const documents = Object.keys(FIXTURES).map(readFixture);
  const outcomes = { described: 0, refused: 0 };
  for (let round = 0; round < 2_000; round += 1) {
    let xml = documents[round % documents.length] ?? "";
    for (let times = Math.floor(random() * 2); times >= 0; times -= 1) xml = mutate(xml, random);
    try {
      const { name, uuid, nova } = parseDomainXml(xml);
      assert.ok([name, uuid, nova?.name ?? ""].every((text) => text.isWellFormed()));
      outcomes.described += 1;
    } catch (error) {
      assert.ok(error instanceof DomainXmlError, `${error} for ${JSON.stringify(xml)}`);
      outcomes.refused += 1;
    }
  }
  // Both must be frequent, or the mutations test nothing.
  assert.ok(outcomes.described > 200 && outcomes.refused > 200, JSON.stringify(outcomes));
});
