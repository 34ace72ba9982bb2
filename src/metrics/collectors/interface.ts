import { fixedAddressesOf } from "../../libvirt/domain_xml.ts";
import { StatisticsGroup } from "../../libvirt/hypervisor.ts";
import { DESCRIBED_INTERFACE, INTERFACE } from "../devices.ts";
import { type Collector, counterRows, type Label, type LabelSet } from "../family.ts";

const counter = counterRows("interface", INTERFACE);

function textOf(number: number | undefined): string {
  return number === undefined ? "" : String(number);
}

/** One sample for each network interface of the definition, those without a device on the host (SR-IOV) included. */
const INFORMATION: LabelSet = {
  scope: "part",
  device: "network interface",
  names: [
    "target_device",
    "mac_address",
    "model",
    "type",
    "bridge",
    "network",
    "mtu",
    "vlan",
    "virtual_port",
    "driver",
    "queues",
    "port_id",
    "fixed_ips",
  ],
  count: ({ interfaces }) => interfaces.length,
  labels({ interfaces, nova }, position): readonly Label[] | undefined {
    const found = interfaces[position];
    if (found === undefined) return undefined;
    return [
      ["target_device", found.target ?? ""],
      ["mac_address", found.macAddress],
      ["model", found.model],
      ["type", found.type],
      ["bridge", found.bridge],
      ["network", found.network],
      ["mtu", textOf(found.mtuBytes)],
      ["vlan", found.vlanTags.join(",")],
      ["virtual_port", found.virtualPortType],
      ["driver", found.driverName],
      ["queues", textOf(found.queues)],
      ["port_id", found.neutronPortId],
      ["fixed_ips", fixedAddressesOf(nova, found.neutronPortId).join(",")],
    ];
  },
};

/** What goes through each network interface, as the guest sees it, and what the interface is. */
export const interfaces: Collector = {
  name: "interface",
  description: "network interfaces: bytes, packets, errors, drops, and what describes them",
  byDefault: true,
  groups: StatisticsGroup.interface,
  families: [
    counter("receive_bytes", "Bytes that the guest received", "bytes", "rx.bytes"),
    counter("receive_packets", "Packets that the guest received", "packets", "rx.pkts"),
    counter("receive_errors", "Errors on the way to the guest", "errors", "rx.errs"),
    counter("receive_drops", "Packets to the guest that were dropped", "packets", "rx.drop"),
    counter("transmit_bytes", "Bytes that the guest sent", "bytes", "tx.bytes"),
    counter("transmit_packets", "Packets that the guest sent", "packets", "tx.pkts"),
    counter("transmit_errors", "Errors on the way from the guest", "errors", "tx.errs"),
    counter("transmit_drops", "Packets from the guest that were dropped", "packets", "tx.drop"),
    {
      name: "libvirt_nova_instance_interface_link_up",
      type: "gauge",
      help: "Whether the guest sees the link as up: it is unless somebody has set it down",
      unit: "1 or 0",
      labelSet: DESCRIBED_INTERFACE,
      source: {
        path: "<link state>",
        part: ({ interfaces }, position) => interfaces[position]?.linkState === "down" ? 0 : 1,
      },
    },
    {
      name: "libvirt_nova_instance_interface_info",
      type: "info",
      help: "What a network interface is; the value is always 1",
      unit: "1",
      labelSet: INFORMATION,
      source: { constant: 1 },
    },
  ],
};
