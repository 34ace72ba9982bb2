import { StatisticsGroup } from "../../libvirt/hypervisor.ts";
import { type Collector, type Family, gaugeRows } from "../family.ts";
import { DISK } from "../label_sets.ts";

const gauge = gaugeRows(DISK);
const bytes = (name: string, help: string, field: string): Family =>
  gauge(name, help, "bytes", field);

/** How large each disk is, and how much of its storage it takes. */
export const blockCapacity: Collector = {
  name: "block_capacity",
  description: "disks: capacity, and what they take of their storage",
  byDefault: false,
  groups: StatisticsGroup.block,
  families: [
    bytes(
      "libvirt_nova_instance_block_capacity_bytes",
      "Size of the disk that the instance sees",
      "capacity",
    ),
    bytes(
      "libvirt_nova_instance_block_allocation_bytes",
      "End of what has been written to the disk, or what a file of it holds",
      "allocation",
    ),
    bytes(
      "libvirt_nova_instance_block_physical_bytes",
      "What the file behind the disk takes of its file system, or the size of the device",
      "physical",
    ),
    bytes(
      "libvirt_nova_instance_block_threshold_bytes",
      "Offset of a write at which libvirt tells of it, where one is set",
      "threshold",
    ),
  ],
};
