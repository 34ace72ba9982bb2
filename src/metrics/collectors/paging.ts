import { StatisticsGroup } from "../../libvirt/hypervisor.ts";
import { type Collector, counterRows, type Family, INSTANCE, KIBIBYTES } from "../family.ts";

const count = counterRows(INSTANCE, "balloon.");
const swapped = (name: string, help: string, field: string): Family =>
  count(name, help, "bytes", field, KIBIBYTES);

/** What the guest's memory management does, as its balloon driver tells it. */
export const paging: Collector = {
  name: "paging",
  description: "swapping, page faults and huge pages in the guest",
  byDefault: false,
  groups: StatisticsGroup.balloon,
  families: [
    swapped(
      "libvirt_nova_instance_memory_swap_in_bytes_total",
      "Memory that the guest has read back from swap",
      "swap_in",
    ),
    swapped(
      "libvirt_nova_instance_memory_swap_out_bytes_total",
      "Memory that the guest has written to swap",
      "swap_out",
    ),
    count(
      "libvirt_nova_instance_memory_major_faults_total",
      "Page faults in the guest that needed a disk",
      "faults",
      "major_fault",
    ),
    count(
      "libvirt_nova_instance_memory_minor_faults_total",
      "Page faults in the guest that needed no disk",
      "faults",
      "minor_fault",
    ),
    count(
      "libvirt_nova_instance_memory_hugetlb_allocations_total",
      "Huge pages that the guest allocated",
      "pages",
      "hugetlb_pgalloc",
    ),
    count(
      "libvirt_nova_instance_memory_hugetlb_allocation_failures_total",
      "Huge pages that the guest failed to allocate",
      "pages",
      "hugetlb_pgfail",
    ),
  ],
};
