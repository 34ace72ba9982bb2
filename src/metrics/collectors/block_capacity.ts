import { StatisticsGroup } from "../../libvirt/hypervisor.ts";
import { DISK } from "../devices.ts";
import { type Collector, type Family, gaugeRows } from "../family.ts";

const gauge = gaugeRows("block", DISK);
const bytes = (what: string, help: string, field: string): Family =>
  gauge(`${what}_bytes`, help, "bytes", field);

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
