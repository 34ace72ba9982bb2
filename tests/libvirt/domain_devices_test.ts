import assert from "node:assert/strict";
import { parseDomainXml } from "../../src/libvirt/domain_xml.ts";
import { fixedAddressesOf } from "../../src/libvirt/domain_description.ts";
import { novaXml, readFixture } from "./domain_xml_fixture.ts";
import { FIRST_PORT, SECOND_PORT } from "./recorded_domains.ts";
import type { Disk, IoTuneLimit, NetworkInterface } from "../../src/libvirt/domain_description.ts";
import { EMPTY_DOMAIN } from "./domain_xml_fixture.ts";
import { EMPTY_DISK, EMPTY_INTERFACE } from "./recorded_domains.ts";

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

const NONE = EMPTY_INTERFACE;

const CASES: ReadonlyArray<readonly [string, NetworkInterface]> = [
  ["<interface/>", NONE],
  ["<interface type='user'><target dev=''/></interface>", { ...NONE, type: "user" }],
  [
    "<interface type='hostdev'><mac address='fa:16:3e:00:00:01'/><source><address type='pci'/>" +
    "</source></interface>",
    { ...NONE, type: "hostdev", macAddress: "fa:16:3e:00:00:01" },
  ],
  [
    "<interface type='network'><source network='default' portid='p' bridge='virbr0'/>" +
    "<target dev='vnet0'/><model type='e1000'/></interface>",
    {
      ...NONE,
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
    { ...NONE, type: "direct", source: "eth0", target: "macvtap0" },
  ],
  [
    "<interface type='vhostuser'><source type='unix' path='/run/vhu' mode='server'/></interface>",
    { ...NONE, type: "vhostuser", source: "/run/vhu" },
  ],
  [
    "<interface type='bridge'><source bridge='br-int'/><virtualport type='openvswitch'>" +
    "<parameters interfaceid='p' profileid='q'/></virtualport></interface>",
    {
      ...NONE,
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
    { ...NONE, driverName: "vhost", queues: 4, mtuBytes: 9000, linkState: "down" },
  ],
  ["<interface><driver queues='-1'/><mtu size='9000.5'/></interface>", NONE],
  ["<interface><vlan><tag id='42'/></vlan></interface>", { ...NONE, vlanTags: [42] }],
  [
    "<interface><vlan trunk='yes'><tag id='42'/><tag id='x'/><tag/><tag id='7'/></vlan></interface>",
    { ...NONE, vlanTags: [42, 7] },
  ],
  [
    "<interface><bandwidth><inbound average='1000' peak='2000' floor='200' burst='300'/>" +
    "<outbound average='500'/></bandwidth></interface>",
    {
      ...NONE,
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
    { ...NONE, bandwidth: { inbound: undefined, outbound: undefined } },
  ],
];

Deno.test("parseDomainXml() describes network interfaces of all types", async (t) => {
  for (const [xml, expected] of CASES) {
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

Deno.test("parseDomainXml() finds the Neutron port of whichever interface tells it", async (t) => {
  const [first, second] = [FIRST_PORT.id, SECOND_PORT.id];
  const twin = `${first.slice(0, 11)}f4-4d0a-bcc2-71fda37897f7`;
  const cases: ReadonlyArray<
    readonly [xml: string, expected: string, ports?: readonly string[]]
  > = [
    ["<interface type='bridge'><target dev='tap567a4527-b0'/></interface>", first],
    ["<interface type='bridge'><target dev='tap567a4527-b0e'/></interface>", first],
    ["<interface type='bridge'><target dev='nicc6c9b7a2-9d'/></interface>", second],
    ["<interface type='ethernet'><target dev='tapc6c9b7a2-9d'/></interface>", second],
    [
      "<interface type='vhostuser'><source type='unix' path='/run/vhu567a4527-b0' mode='server'/>" +
      "<target dev='vhu567a4527-b0'/></interface>",
      first,
    ],
    [
      "<interface type='vhostuser'><source type='unix' mode='client' " +
      "path='/var/run/openvswitch/vhuc6c9b7a2-9d'/></interface>",
      second,
    ],
    [
      `<interface type='vhostuser'><source type='unix' path='/run/vpp/${second}'/></interface>`,
      second,
    ],
    [
      "<interface type='vhostuser'><source type='unix' path='/run/vhuc6c9b7a2-9d'/>" +
      "<target dev='vnet0'/></interface>",
      second,
    ],
    [
      "<interface type='direct'><source dev='ens1f0v1' mode='passthrough'/><virtualport>" +
      `<parameters interfaceid='${first}'/></virtualport><target dev='macvtap0'/></interface>`,
      first,
    ],
    [
      "<interface type='bridge'><virtualport type='openvswitch'><parameters " +
      `interfaceid='${second}'/></virtualport><target dev='tap567a4527-b0'/></interface>`,
      second,
    ],
    [
      "<interface type='bridge'><virtualport type='openvswitch'><parameters interfaceid='p'/>" +
      "</virtualport><target dev='tap567a4527-b0'/></interface>",
      "p",
    ],
    [
      "<interface type='direct'><source dev='ens1f0v1' mode='passthrough'/>" +
      "<target dev='macvtap0'/></interface>",
      "",
    ],
    [
      "<interface type='hostdev' managed='yes'><mac address='fa:16:3e:00:00:01'/><source>" +
      "<address type='pci' domain='0x0000' bus='0x06' slot='0x10' function='0x7'/></source>" +
      "<vlan><tag id='42'/></vlan></interface>",
      "",
    ],
    ["<interface type='vdpa'><source dev='/dev/vhost-vdpa-0'/></interface>", ""],
    ["<interface type='bridge'><target dev='tap567a4527-b'/></interface>", ""],
    ["<interface type='bridge'><target dev='tap667a4527-b0'/></interface>", ""],
    ["<interface type='bridge'><target dev='tap567a4527-b0f'/></interface>", ""],
    ["<interface type='bridge'><target dev='tap567a4527-b0'/></interface>", "", []],
    ["<interface type='bridge'><target dev='tap567a4527-b0'/></interface>", "", [first, twin]],
    ["<interface type='bridge'><target dev='tap567a4527-b0'/></interface>", first, [first, first]],
    [
      "<interface type='vhostuser'><source type='unix' path='/run/vhu567a4527-b0'/></interface>",
      "",
      [second, first, twin],
    ],
    [
      `<interface type='vhostuser'><source type='unix' path='/run/vpp/${twin}'/></interface>`,
      twin,
      [first, twin],
    ],
    ["<interface type='bridge'><target dev='tapp'/></interface>", "", ["p"]],
    ["<interface type='bridge'/>", "", [""]],
  ];
  for (const [xml, expected, ports = [first, second]] of cases) {
    await t.step(`${xml} with ${ports.length} ports`, () => {
      const elements = ports.map((id) => `<nova:port uuid="${id}"/>`).join("");
      const { interfaces } = parseDomainXml(
        novaXml(`<nova:ports>${elements}</nova:ports>`)
          .replace("</domain>", `<devices>${xml}</devices></domain>`),
      );
      assert.deepEqual(interfaces.map(({ neutronPortId }) => neutronPortId), [expected]);
    });
  }
});

Deno.test("parseDomainXml() finds the port and its addresses in a document of a running Nova", () => {
  const { nova, interfaces } = parseDomainXml(readFixture("nova-26/running-with-port.xml"));
  const [port] = nova?.ports ?? [];
  assert.ok(port !== undefined && interfaces.length === 1);
  assert.deepEqual(interfaces.map(({ neutronPortId }) => neutronPortId), [port.id]);
  assert.equal(fixedAddressesOf(nova, port.id).length, port.addresses.length);
});
