import { HostCall } from "../../libvirt/hypervisor.ts";
import type { Collector } from "../family.ts";
import { entitiesOf, entityFamilies, textLabels } from "../host.ts";

const DESCRIPTION = { network: "name", uuid: "uuid", bridge: "bridge" } as const;

/** libvirt's own networks; those of Neutron are not among them. */
export const network: Collector = {
  name: "network",
  description: "libvirt's own networks",
  byDefault: false,
  groups: 0,
  hostCalls: HostCall.networks,
  families: [],
  hostFamilies: [
    {
      name: "libvirt_nova_network_info",
      type: "info",
      help: "What a network is; the value is always 1",
      unit: "1",
      names: Object.keys(DESCRIPTION),
      source: "network",
      samples: (snapshot) =>
        entitiesOf(snapshot, "network").map((entity) => ({
          labels: textLabels(entity, DESCRIPTION),
          value: 1,
        })),
    },
    ...entityFamilies("network", { network: "name" }, [
      {
        name: "libvirt_nova_network_active",
        help: "Whether the network is active",
        unit: "1 or 0",
        number: "active",
      },
      {
        name: "libvirt_nova_network_autostart",
        help: "Whether the network starts with libvirt",
        unit: "1 or 0",
        number: "autostart",
      },
      {
        name: "libvirt_nova_network_persistent",
        help: "Whether libvirt keeps the network's definition",
        unit: "1 or 0",
        number: "persistent",
      },
      {
        name: "libvirt_nova_network_dhcp_leases",
        help: "Leases that the network's DHCP server has given",
        unit: "number",
        number: "dhcp_leases",
      },
    ]),
  ],
};
