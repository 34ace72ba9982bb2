import assert from "node:assert/strict";
import { askedDevices } from "../../src/libvirt/asked_devices.ts";
import { parseDomainXml } from "../../src/libvirt/domain_xml.ts";

const devicesOf = (devices: string): ReturnType<typeof askedDevices> =>
  askedDevices(parseDomainXml(`<domain><name>a</name><devices>${devices}</devices></domain>`));

Deno.test("devices are asked for by their targets, and those without one are not", () => {
  assert.deepEqual(
    devicesOf(`
      <disk type="file" device="disk"><target dev="vda" bus="virtio"/></disk>
      <disk type="file" device="cdrom"><target bus="ide"/></disk>
      <interface type="ethernet"><target dev="tap0"/></interface>
      <interface type="hostdev"><mac address="fa:16:3e:00:00:01"/></interface>`),
    { disks: ["vda"], interfaces: ["tap0"], vhostUserInterfaces: [] },
  );
});

Deno.test("vhost-user interfaces are apart, and vhost-user disks left out", () => {
  assert.deepEqual(
    devicesOf(`
      <disk type="vhostuser" device="disk"><target dev="vda" bus="virtio"/></disk>
      <disk type="file" device="disk"><target dev="vdb" bus="virtio"/></disk>
      <interface type="vhostuser"><source type="unix" path="/run/vhu1"/><target dev="vhu1"/></interface>
      <interface type="vhostuser"><source type="unix" path="/run/vhu2"/></interface>
      <interface type="bridge"><target dev="tap0"/></interface>`),
    { disks: ["vdb"], interfaces: ["tap0"], vhostUserInterfaces: ["vhu1", ""] },
  );
});
