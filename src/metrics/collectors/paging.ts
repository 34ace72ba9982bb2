import { StatisticsGroup } from "../../libvirt/hypervisor.ts";
import { type Collector, counterRows, type Family, INSTANCE, KIBIBYTES } from "../family.ts";

const count = counterRows("memory", INSTANCE, "balloon.");
const swapped = (what: string, help: string, field: string): Family =>
  count(what, help, "bytes", field, KIBIBYTES);

/** What the guest's memory management does, as its balloon driver tells it. */
export const paging: Collector = {
  name: "paging",
  description: "swapping, page faults and huge pages in the guest",
  byDefault: false,
  groups: StatisticsGroup.balloon,
  families: [
    swapped("swap_in_bytes", "Memory that the guest has read back from swap", "swap_in"),
    swapped("swap_out_bytes", "Memory that the guest has written to swap", "swap_out"),
    count("major_faults", "Page faults in the guest that needed a disk", "faults", "major_fault"),
    count("minor_faults", "Page faults in the guest that needed no disk", "faults", "minor_fault"),
    count(
      "hugetlb_allocations",
      "Huge pages that the guest allocated",
      "pages",
      "hugetlb_pgalloc",
    ),
    count(
      "hugetlb_allocation_failures",
      "Huge pages that the guest failed to allocate",
      "pages",
      "hugetlb_pgfail",
    ),
  ],
};
