import { DomainCall } from "../../libvirt/hypervisor.ts";
import { type Collector, INSTANCE } from "../family.ts";

/** Snapshots and checkpoints that libvirt keeps of an instance; forgotten ones hold disk space and slow disks down. */
export const snapshot: Collector = {
  name: "snapshot",
  description: "number of snapshots and checkpoints",
  byDefault: false,
  groups: 0,
  domainCalls: DomainCall.snapshots | DomainCall.checkpoints,
  families: [
    {
      name: "libvirt_nova_instance_snapshots",
      type: "gauge",
      help: "Snapshots that libvirt has of the instance",
      unit: "number",
      labelSet: INSTANCE,
      source: { field: "snapshot.count" },
    },
    {
      name: "libvirt_nova_instance_checkpoints",
      type: "gauge",
      help: "Checkpoints that libvirt has of the instance",
      unit: "number",
      labelSet: INSTANCE,
      source: { field: "checkpoint.count" },
    },
  ],
};
