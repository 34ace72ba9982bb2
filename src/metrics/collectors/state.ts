import { StatisticsGroup } from "../../libvirt/hypervisor.ts";
import { reasonName, stateName } from "../domain_state.ts";
import { type Collector, INSTANCE, type Label, type LabelSet } from "../family.ts";

/** One sample for the state that an instance is in. */
const STATE: LabelSet = {
  scope: "value",
  names: ["state", "reason"],
  key(read): string | undefined {
    const state = read("state.state");
    return state === undefined ? undefined : `${state} ${read("state.reason") ?? ""}`;
  },
  labels(key): readonly Label[] | undefined {
    const [state = "", reason = ""] = key.split(" ");
    return [
      ["state", stateName(Number(state))],
      ["reason", reason === "" ? "" : reasonName(Number(state), Number(reason))],
    ];
  },
};

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
      labelSet: STATE,
      source: { constant: 1 },
    },
  ],
};
