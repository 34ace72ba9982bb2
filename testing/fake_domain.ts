import type { FakeDomain } from "./fake_hypervisor.ts";
import { type NovaDomain, novaDomainXml, numberedUuid } from "./nova_domain.ts";

/**
 * A domain of the fake hypervisor with a disk and an interface, and a number in all of its names.
 *
 * @param changes what is different
 * @param definition what is different in its definition
 */
export function fakeDomain(
  number: number,
  changes: Partial<FakeDomain> = {},
  definition: Partial<NovaDomain> = {},
): FakeDomain {
  const uuid = numberedUuid(number);
  const name = `instance-${number}`;
  return {
    uuid,
    id: number,
    name,
    xml: novaDomainXml({
      name,
      uuid,
      novaName: `web-${number}`,
      maximumVirtualCpus: 4,
      disks: [{ target: "vda", serial: "volume-1", type: "block" }],
      interfaces: [{ target: `tap${number}`, macAddress: `fa:16:3e:00:00:0${number}` }],
      ...definition,
    }),
    numbers: {
      "cpu.time": 1_000 + number,
      "balloon.available": 900,
      "balloon.unused": 300,
      "balloon.usable": 500,
      "block.0.rd.bytes": 1,
      "block.0.wr.bytes": 2,
      "block.0.rd.reqs": 3,
      "block.0.wr.reqs": 4,
      "net.0.rx.bytes": 5,
      "net.0.tx.bytes": 6,
    },
    texts: { "block.0.name": "vda", "net.0.name": `tap${number}` },
    ...changes,
  };
}
