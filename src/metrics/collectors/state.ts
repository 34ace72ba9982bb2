import { StatisticsGroup } from "../../libvirt/hypervisor.ts";
import { type Collector, INSTANCE } from "../family.ts";
import { INSTANCE_STATE } from "../label_sets.ts";

/** What an instance is doing: running, paused and so on, and why. */
export const state: Collector = {
  name: "state",
  description: "state of the instance, and the reason for it",
  byDefault: true,
  inactive: true,
  groups: StatisticsGroup.state,
  families: [
    {
      name: "libvirt_nova_instance_state_code",
      type: "gauge",
      help: "State of the instance by libvirt's number: 1 running, 2 blocked, 3 paused, " +
        "4 shutting down, 5 shut off, 6 crashed, 7 suspended by the guest, 0 none",
      unit: "code",
      labelSet: INSTANCE,
      source: { field: "state.state" },
    },
    {
      name: "libvirt_nova_instance_state_info",
      type: "info",
      help: "State of the instance and the reason for it by name; the value is always 1",
      unit: "1",
      labelSet: INSTANCE_STATE,
      source: { constant: 1 },
    },
  ],
};
