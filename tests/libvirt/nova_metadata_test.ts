import assert from "node:assert/strict";
import { NOVA_1_1 } from "./domain_xml_fixture.ts";
import { parseDomainXml } from "../../src/libvirt/domain_xml.ts";
import type { Disk, DomainDescription } from "../../src/libvirt/domain_description.ts";
import { EMPTY_DOMAIN, EMPTY_INSTANCE, novaXml, readFixture } from "./domain_xml_fixture.ts";
import { EMPTY_DISK } from "./recorded_domains.ts";

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

Deno.test("parseDomainXml() knows a root disk that is a volume where Nova did not write it", async (t) => {
  const domain = (nova: string, ...disks: readonly string[]): string =>
    novaXml(nova).replace("</domain>", `<devices>${disks.join("")}</devices></domain>`);
  const release = (version: string): string => `<nova:package version="${version}"/>`;
  const disk = (target: string, serial = "", device = "disk"): string =>
    `<disk device="${device}"><target dev="${target}"/><serial>${serial}</serial></disk>`;
  const image = `<nova:root type="image" uuid="i"/>`;
  const cases: ReadonlyArray<readonly [title: string, xml: string, expected: string]> = [
    ["a volume first", domain(release("26.2.2"), disk("vda", "v")), "volume"],
    ["a volume first on another bus", domain(release("29.0.1"), disk("sda", "v")), "volume"],
    ["a volume as a LUN", domain(release("20.0.0"), disk("sda", "v", "lun")), "volume"],
    [
      "a volume first, behind a local disk",
      domain(release("26.2.2"), disk("vdb"), disk("vda", "v")),
      "volume",
    ],
    [
      "a volume first, and the configuration drive",
      domain(release("26.2.2"), disk("hda", "", "cdrom"), disk("vda", "v")),
      "volume",
    ],
    [
      "a release that has a year for a number",
      domain(release("2015.1.2"), disk("vda", "v")),
      "volume",
    ],
    ["an image", domain(release("26.2.2") + image, disk("vda"), disk("vdb", "v")), "image"],
    ["an image that was swapped", domain(release("26.2.2") + image, disk("vda", "v")), "image"],
    ["no type", domain(`${release("26.2.2")}<nova:root/>`, disk("vda", "v")), ""],
    ["a local disk first", domain(release("26.2.2"), disk("vda"), disk("vdb", "v")), ""],
    ["two first disks", domain(release("26.2.2"), disk("vda", "v"), disk("sda")), ""],
    ["no first disk", domain(release("26.2.2"), disk("vdb", "v")), ""],
    ["no disks", domain(release("26.2.2")), ""],
    ["a release that writes it", domain(release("30.0.0"), disk("vda", "v")), ""],
    ["an unknown release", domain(release("unknown"), disk("vda", "v")), ""],
    ["no release", domain("<nova:name>a</nova:name>", disk("vda", "v")), ""],
  ];
  for (const [title, xml, expected] of cases) {
    await t.step(title, () => assert.equal(parseDomainXml(xml).nova?.rootType, expected));
  }
  await t.step("a recorded document", () => {
    const { nova } = parseDomainXml(readFixture("nova-26/boot-from-volume-after-snapshot.xml"));
    assert.deepEqual([nova?.rootType, nova?.rootImageId], ["volume", ""]);
  });
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

const DISK = EMPTY_DISK;

const CASES: ReadonlyArray<readonly [string, Disk]> = [
  ["<disk/>", DISK],
  [
    "<disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>",
    { ...DISK, target: "sda", type: "file", device: "cdrom", bus: "sata", isReadOnly: true },
  ],
  [
    "<disk type='block' device='lun'><source dev='/dev/sdb'/><target dev='sda'/></disk>",
    { ...DISK, target: "sda", type: "block", device: "lun", source: "/dev/sdb" },
  ],
  [
    "<disk type='dir' device='floppy'><source dir='/srv'/><target dev='fda' bus='fdc'/></disk>",
    { ...DISK, target: "fda", type: "dir", device: "floppy", bus: "fdc", source: "/srv" },
  ],
  [
    "<disk type='volume'><source pool='p' volume='v'/><serial> s </serial></disk>",
    { ...DISK, type: "volume", source: "v", serial: " s " },
  ],
  [
    "<disk type='vhostuser'><source type='unix' path='/run/vhost.sock'/></disk>",
    { ...DISK, type: "vhostuser", source: "/run/vhost.sock" },
  ],
  [
    "<disk type='network'><source protocol='rbd' name='pool/image'><host name='10.0.0.1'/>" +
    "</source><target bus='virtio' dev='vda'/></disk>",
    {
      ...DISK,
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
    { ...DISK, type: "file", source: "/b", target: "vda" },
  ],
  [
    "<disk><driver name='qemu' type='qcow2' cache='none' io='native' discard='unmap'>" +
    "<metadata_cache><max_size unit='b'>1</max_size></metadata_cache></driver><shareable/>" +
    "<alias name='virtio-disk0'/></disk>",
    {
      ...DISK,
      driverType: "qcow2",
      cache: "none",
      io: "native",
      discard: "unmap",
      isShareable: true,
    },
  ],
];

Deno.test("parseDomainXml() describes disks of all types", async (t) => {
  for (const [xml, expected] of CASES) {
    await t.step(xml, () => {
      const { disks } = parseDomainXml(`<domain><devices>${xml}</devices></domain>`);
      assert.deepEqual(disks, [expected]);
    });
  }
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
