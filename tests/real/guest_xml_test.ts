import { match, strictEqual as equal, throws } from "node:assert/strict";
import { type GuestDomain, guestDomainXml, novaMetadata } from "../../testing/libvirt/guest_xml.ts";

const FIXTURES = new URL("../fixtures/nova/", import.meta.url);

/** Takes Nova's own metadata element out of a recorded document. */
function recordedMetadata(name: string): string {
  const document = Deno.readTextFileSync(new URL(name, FIXTURES));
  return /<nova:instance[^]*<\/nova:instance>/.exec(document)?.[0] ?? "";
}

const FLAVOR = {
  name: "m1.small",
  memoryMebibytes: 2048,
  diskGibibytes: 20,
  swapMebibytes: 0,
  ephemeralGibibytes: 0,
  processors: 2,
};
const ROOT = { type: "image", id: "155d900f-4e14-4e4c-a73d-069cbf4541e6" } as const;
const USER_ID = "18509018d00743c89518135e476003e0";
const PROJECT_ID = "38bd8e984a3e435a87e950a441ee55aa";

Deno.test("novaMetadata() writes what Nova 18 wrote, hostile names included", () => {
  const written = novaMetadata({
    version: "1.0",
    name: `wëb <1> & "дом" 😀 a'b`,
    flavor: FLAVOR,
    user: { id: USER_ID, name: "Ünal & Söhne" },
    project: { id: PROJECT_ID, name: "R&D <проект>" },
    root: ROOT,
  });
  equal(written, recordedMetadata("nova-18.0.0-escaped-unicode.xml"));
});

Deno.test("novaMetadata() writes what Nova 23 wrote, ports included", () => {
  const written = novaMetadata({
    version: "1.1",
    release: "23.0.0",
    name: "demo-vm",
    flavor: FLAVOR,
    user: { id: USER_ID, name: "admin" },
    project: { id: PROJECT_ID, name: "demo" },
    root: ROOT,
    ports: [{
      id: "567a4527-b0e4-4d0a-bcc2-71fda37897f7",
      addresses: [
        { address: "192.168.1.5", ipVersion: 4 },
        { address: "2001:db8::5", ipVersion: 6 },
      ],
    }],
  });
  equal(written, recordedMetadata("nova-23.0.0-image-ports.xml"));
});

Deno.test("novaMetadata() writes flavor ids, extra specifications and missing owners as Nova 34 does", () => {
  const written = novaMetadata({
    version: "1.1",
    name: "",
    flavor: { ...FLAVOR, name: `gp<1>&"x"\tü`, id: "f1", extraSpecifications: { "a:b": "c&d" } },
    image: { id: "", properties: {} },
    ports: [],
  });
  match(written, /^<nova:instance xmlns:nova="http:\/\/openstack.org\/xmlns\/libvirt\/nova\/1.1">/);
  match(written, /<nova:package version="34.0.0"\/>\n +<nova:name\/>/);
  match(written, /<nova:flavor name="gp&lt;1&gt;&amp;&quot;x&quot;&#9;ü" id="f1">/);
  match(written, /<nova:extraSpec name="a:b">c&amp;d<\/nova:extraSpec>/);
  match(written, /<nova:image uuid="">\n +<nova:properties\/>\n +<\/nova:image>\n +<nova:owner\/>/);
  match(written, /<nova:ports\/>\n +<\/nova:instance>$/);
});

Deno.test("novaMetadata() throws for characters that XML cannot hold", () => {
  for (const name of ["a\u0000b", "\u001b[0m", "\ud800", "\uffff"]) {
    throws(() => novaMetadata({ version: "1.1", name }), /XML cannot hold/);
  }
});

const GUEST: GuestDomain = {
  name: "instance-00000001",
  uuid: "00000000-0000-4000-8000-000000000001",
  memoryMebibytes: 96,
  processors: { current: 1, maximum: 2 },
  kernel: "/image/vmlinuz",
  initramfs: "/image/initramfs",
  kernelCommandLine: "console=ttyS0",
  disks: [{ file: "/disks/a & b.raw", target: "vda" }],
  interfaces: [],
  balloonPeriodSeconds: 10,
  consoleFile: "/consoles/1.log",
};

Deno.test("guestDomainXml() writes a whole document with the parts that are given, and no others", () => {
  equal(
    guestDomainXml({
      ...GUEST,
      disks: [...GUEST.disks, { file: "/disks/b.raw", target: "vdb", serial: "volume-1" }],
      interfaces: [{ target: "tap0", macAddress: "fa:16:3e:11:22:33" }],
      metadata: "<a/>",
      additionalDomainXml: "<iothreads>1</iothreads>",
      additionalDeviceXml: "<rng/>",
    }),
    `<domain type="qemu">
  <name>instance-00000001</name>
  <uuid>00000000-0000-4000-8000-000000000001</uuid>
  <metadata>
    <a/>
  </metadata>
  <memory unit="MiB">96</memory>
  <vcpu current="1">2</vcpu>
  <iothreads>1</iothreads>
  <os>
    <type arch="x86_64" machine="pc">hvm</type>
    <kernel>/image/vmlinuz</kernel>
    <initrd>/image/initramfs</initrd>
    <cmdline>console=ttyS0</cmdline>
  </os>
  <features>
    <acpi/>
  </features>
  <on_reboot>destroy</on_reboot>
  <devices>
    <disk type="file" device="disk">
      <driver name="qemu" type="raw"/>
      <source file="/disks/a &amp; b.raw"/>
      <target dev="vda" bus="virtio"/>
    </disk>
    <disk type="file" device="disk">
      <driver name="qemu" type="raw"/>
      <source file="/disks/b.raw"/>
      <target dev="vdb" bus="virtio"/>
      <serial>volume-1</serial>
    </disk>
    <interface type="ethernet">
      <mac address="fa:16:3e:11:22:33"/>
      <target dev="tap0"/>
      <model type="virtio"/>
    </interface>
    <serial type="file">
      <source path="/consoles/1.log"/>
    </serial>
    <memballoon model="virtio">
      <stats period="10"/>
    </memballoon>
    <rng/>
  </devices>
</domain>
`,
  );
});

Deno.test("guestDomainXml() tells a silent balloon from no balloon", () => {
  match(
    guestDomainXml({ ...GUEST, balloonPeriodSeconds: undefined }),
    /<memballoon model="virtio"\/>/,
  );
  match(guestDomainXml({ ...GUEST, balloonPeriodSeconds: "none" }), /<memballoon model="none"\/>/);
});
