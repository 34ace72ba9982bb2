import { StatisticsGroup } from "../../libvirt/hypervisor.ts";
import { DISK } from "../devices.ts";
import type { Collector, Family } from "../family.ts";

function bytes(what: string, help: string, field: string): Family {
  return {
    name: `libvirt_nova_instance_block_${what}_bytes`,
    type: "gauge",
    help,
    unit: "bytes",
    labelSet: DISK,
    source: { field },
  };
}

/** How large each disk is, and how much of its storage it takes. */
export const blockCapacity: Collector = {
  name: "block_capacity",
  description: "disks: capacity, and what they take of their storage",
  byDefault: false,
  groups: StatisticsGroup.block,
  families: [
    bytes("capacity", "Size of the disk that the instance sees", "capacity"),
    bytes(
      "allocation",
      "End of what has been written to the disk, or what a file of it holds",
      "allocation",
    ),
    bytes(
      "physical",
      "What the file behind the disk takes of its file system, or the size of the device",
      "physical",
    ),
    bytes(
      "threshold",
      "Offset of a write at which libvirt tells of it, where one is set",
      "threshold",
    ),
  ],
};
