import assert from "node:assert/strict";
import { DomainCall, type HostEntity, type Question } from "../../src/libvirt/hypervisor.ts";
import { openHypervisor } from "../../src/shim/native.ts";
import { type FakeDomain, FakeHypervisor } from "../../testing/fake_hypervisor.ts";
import {
  CONFORMANCE_DOMAINS,
  CONFORMANCE_HOST,
  SHUT_OFF_DOMAIN,
  testHypervisorConformance,
} from "../../testing/hypervisor_conformance.ts";
import { novaDomainXml, numberedUuid, testDriverFile } from "../../testing/nova_domain.ts";

const active: FakeDomain[] = CONFORMANCE_DOMAINS.map(({ name, disks, interfaces }, position) => {
  const uuid = numberedUuid(position + 1);
  const blocks = disks.map((target, index): [string, string] => [`block.${index}.name`, target]);
  const nets = interfaces.map((target, index): [string, string] => [`net.${index}.name`, target]);
  const counters: [string, number][] = [
    ...disks.map((_, index): [string, number] => [`block.${index}.rd.bytes`, index]),
    ...interfaces.map((_, index): [string, number] => [`net.${index}.rx.bytes`, index]),
  ];
  return {
    uuid,
    id: position + 1,
    name,
    xml: novaDomainXml({
      name,
      uuid,
      novaName: name,
      disks: disks.map((target) => ({ target })),
      interfaces: interfaces.map((target) => ({
        target,
        macAddress: `fa:16:3e:00:00:0${position}`,
      })),
    }),
    numbers: {
      "cpu.time": 1e9,
      "balloon.available": 4,
      "balloon.unused": 3,
      "balloon.usable": 2,
      "state.state": 1,
      "vcpu.0.cpu": 3,
      "vcpu.0.state": 1,
      "job.type": 0,
      "snapshot.count": 0,
      "checkpoint.count": 0,
      ...Object.fromEntries(counters),
    },
    texts: Object.fromEntries([...blocks, ...nets]),
  };
});

const shutOff: FakeDomain = {
  uuid: numberedUuid(CONFORMANCE_DOMAINS.length + 1),
  id: -1,
  name: SHUT_OFF_DOMAIN,
  // Without a target device of its own, for libvirt gives one to an interface only when it starts.
  xml: novaDomainXml({
    name: SHUT_OFF_DOMAIN,
    uuid: numberedUuid(CONFORMANCE_DOMAINS.length + 1),
    novaName: SHUT_OFF_DOMAIN,
    disks: [{ target: "vda" }],
  }),
  numbers: { "state.state": 5, "state.reason": 0, "cpu.time": 1, "block.0.rd.bytes": 1 },
};

const domains = [...active, shutOff];

const entities: HostEntity[] = Object.entries(CONFORMANCE_HOST).map((
  [kind, { texts, numbers }],
) => ({
  kind: kind as HostEntity["kind"],
  texts,
  numbers: Object.fromEntries(numbers.map((field) => [field, 1])),
}));

testHypervisorConformance(
  "fake",
  () => {
    const hypervisor = new FakeHypervisor(domains);
    hypervisor.entities = entities;
    hypervisor.callTimes = [{ call: "virConnectGetAllDomainStats", count: 1, seconds: 0.001 }];
    return Promise.resolve(hypervisor);
  },
  () => {
    const hypervisor = new FakeHypervisor(domains);
    hypervisor.refusal = {
      call: "virConnectOpenAuth",
      code: 38,
      origin: 7,
      message: "Failed to connect socket: Connection refused",
      count: 1,
    };
    return Promise.resolve(hypervisor);
  },
);

const folder = Deno.makeTempDirSync();
const file = `${folder}/conformance.xml`;
const { "storage_pool": pool, "storage_volume": volume, network } = CONFORMANCE_HOST;
Deno.writeTextFileSync(
  file,
  testDriverFile([
    ...active.map(({ xml }) => xml),
    shutOffInTestDriver(shutOff.xml),
    `<network>
      <name>${network.texts["name"]}</name>
      <uuid>${network.texts["uuid"]}</uuid>
      <bridge name="${network.texts["bridge"]}"/>
      <ip address="192.0.2.1" netmask="255.255.255.0"/>
    </network>`,
    `<pool type="dir">
      <name>${pool.texts["name"]}</name>
      <uuid>${pool.texts["uuid"]}</uuid>
      <target><path>/nonexistent</path></target>
      <volume type="file">
        <name>${volume.texts["name"]}</name>
        <capacity>1000000</capacity>
        <target><path>/nonexistent/${volume.texts["name"]}</path></target>
      </volume>
    </pool>`,
  ]),
);
globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));

const bounds = { concurrency: 4, maximumAbandoned: 5 };
testHypervisorConformance(
  "native",
  () => openHypervisor({ uri: `test://${file}`, ...bounds }),
  () => openHypervisor({ uri: `qemu+unix:///system?socket=${folder}/missing`, ...bounds }),
);

const question: Question = {
  timeoutMilliseconds: 10_000,
  callTimeoutMilliseconds: 5_000,
  groups: 0,
  domainCalls: DomainCall.cpuTime | DomainCall.snapshots,
  hostCalls: 0,
  inactive: false,
};

Deno.test("native hypervisor: domains that are not asked for cost no call", async () => {
  const hypervisor = await openHypervisor({ uri: `test://${file}`, ...bounds });
  try {
    const { handles } = await hypervisor.survey(question);
    const { callTimes } = await hypervisor.measure(question, handles.slice(0, 2));
    assert.deepEqual(
      callTimes.map(({ call, count }) => [call, count]),
      [
        ["virConnectGetAllDomainStats", 1],
        ["virDomainGetCPUStats", 2],
        ["virDomainSnapshotNum", 2],
      ],
    );
    const again = await hypervisor.measure(question, Uint32Array.of(handles[0] ?? 0));
    assert.deepEqual(
      again.callTimes.map(({ call, count }) => [call, count]),
      [["virDomainGetCPUStats", 1], ["virDomainSnapshotNum", 1]],
    );
    await hypervisor.describe(question, handles);
    const { callTimes: described } = await hypervisor.measure(question, new Uint32Array());
    assert.deepEqual(
      described.map(({ call, count }) => [call, count]),
      [["virDomainGetXMLDesc", handles.length]],
    );
  } finally {
    await hypervisor.close();
  }
});

/** The test driver starts every domain that does not say another state. */
function shutOffInTestDriver(xml: string): string {
  return xml
    .replace("<domain ", `<domain xmlns:test="http://libvirt.org/schemas/domain/test/1.0" `)
    .replace("</domain>", "  <test:runstate>5</test:runstate>\n</domain>");
}
