import { StatisticsGroup } from "../../libvirt/hypervisor.ts";
import { type Collector, INSTANCE, MEBIBYTES } from "../family.ts";
import { DIRTY_RATE_VIRTUAL_CPU } from "../label_sets.ts";

/** How fast the guest changes its memory. The exporter never has it calculated; it shows the last result that there is. */
export const dirtyrate: Collector = {
  name: "dirtyrate",
  description: "speed at which the guest changes memory, where somebody had it calculated",
  byDefault: false,
  groups: StatisticsGroup.dirtyrate,
  families: [
    {
      name: "libvirt_nova_instance_dirtyrate_status_code",
      type: "gauge",
      help: "State of the calculation: 0 never started, 1 under way, 2 done",
      unit: "code",
      labelSet: INSTANCE,
      source: { field: "dirtyrate.calc_status" },
    },
    {
      name: "libvirt_nova_instance_dirtyrate_start_seconds",
      type: "gauge",
      help: "When the calculation began, by QEMU's clock",
      unit: "seconds",
      labelSet: INSTANCE,
      source: { field: "dirtyrate.calc_start_time" },
    },
    {
      name: "libvirt_nova_instance_dirtyrate_period_seconds",
      type: "gauge",
      help: "Time over which it was calculated",
      unit: "seconds",
      labelSet: INSTANCE,
      source: { field: "dirtyrate.calc_period" },
    },
    {
      name: "libvirt_nova_instance_dirtyrate_bytes_per_second",
      type: "gauge",
      help: "Speed at which the guest changed its memory",
      unit: "bytes per second",
      labelSet: INSTANCE,
      source: { field: "dirtyrate.megabytes_per_second", conversion: MEBIBYTES },
    },
    {
      name: "libvirt_nova_instance_vcpu_dirtyrate_bytes_per_second",
      type: "gauge",
      help: "Speed at which the vCPU changed the guest's memory",
      unit: "bytes per second",
      labelSet: DIRTY_RATE_VIRTUAL_CPU,
      source: { field: "megabytes_per_second", conversion: MEBIBYTES },
    },
  ],
};
