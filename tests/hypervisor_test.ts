import { openHypervisor } from "../src/libvirt/native.ts";
import { type FakeDomain, FakeHypervisor } from "./support/fake_hypervisor.ts";
import {
  CONFORMANCE_DOMAINS,
  testHypervisorConformance,
} from "./support/hypervisor_conformance.ts";
import { novaDomainXml, numberedUuid, testDriverFile } from "./support/nova_domain.ts";

const domains: FakeDomain[] = CONFORMANCE_DOMAINS.map(({ name, disks, interfaces }, position) => {
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
      ...Object.fromEntries(counters),
    },
    texts: Object.fromEntries([...blocks, ...nets]),
  };
});

testHypervisorConformance(
  "fake",
  () => Promise.resolve(new FakeHypervisor(domains)),
  () => {
    const hypervisor = new FakeHypervisor(domains);
    hypervisor.refusal = {
      call: "virConnectOpenReadOnly",
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
Deno.writeTextFileSync(file, testDriverFile(domains.map(({ xml }) => xml)));
globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));

const bounds = { concurrency: 4, maximumAbandoned: 5 };
testHypervisorConformance(
  "native",
  () => openHypervisor({ uri: `test://${file}`, ...bounds }),
  () => openHypervisor({ uri: `test://${folder}/missing.xml`, ...bounds }),
);
