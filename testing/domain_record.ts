import type { DomainRecord } from "../src/libvirt/snapshot.ts";

/** An active domain without a definition. */
export function domainRecord(handle: number): DomainRecord {
  return {
    handle,
    uuid: `uuid-${handle}`,
    id: handle,
    name: `instance-${handle}`,
    startSeconds: undefined,
    description: undefined,
    definition: "given",
  };
}
