import assert from "node:assert/strict";
import { parseDomainXml } from "../../src/libvirt/domain_xml.ts";
import {
  fixedAddressesOf,
  isRescueDisk,
  type NovaAddress,
  type NovaInstance,
} from "../../src/libvirt/domain_description.ts";
import { EMPTY_INSTANCE, readFixture } from "./domain_xml_fixture.ts";
import { EMPTY_DISK, UUID } from "./recorded_domains.ts";

Deno.test("isRescueDisk() knows the disks that Nova makes to rescue an instance", async (t) => {
  const instances = `/var/lib/nova/instances/${UUID}`;
  const cases: ReadonlyArray<readonly [source: string, serial: string, expected: boolean]> = [
    [`${instances}/disk.rescue`, "", true],
    [`${instances}/disk.config.rescue`, "", true],
    [`vms/${UUID}_disk.rescue`, "", true],
    [`/dev/nova/${UUID}_disk.rescue`, "", true],
    [`vms/${UUID}_disk.config.rescue`, "", true],
    [`${instances}/disk`, "", false],
    [`${instances}/disk.config`, "", false],
    [`vms/${UUID}_disk`, "", false],
    [`${instances}/disk.rescue.old`, "", false],
    [`${instances}/mydisk.rescue`, "", false],
    [`${instances}/disk.rescue`, "volume", false],
    ["", "", false],
  ];
  for (const [source, serial, expected] of cases) {
    await t.step(`${source} with serial "${serial}"`, () => {
      assert.equal(isRescueDisk({ ...EMPTY_DISK, source, serial }), expected);
    });
  }
  await t.step("a recorded document", () => {
    const { disks } = parseDomainXml(readFixture("nova-26/rescue.xml"));
    assert.deepEqual(disks.map((disk) => [disk.target, isRescueDisk(disk)]), [
      ["vda", true],
      ["vdb", false],
    ]);
  });
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
