import { StatisticsGroup } from "../../libvirt/hypervisor.ts";
import { type Collector, counterRows } from "../family.ts";
import { DESCRIBED_INTERFACE, INTERFACE, INTERFACE_INFORMATION } from "../label_sets.ts";

const counter = counterRows(INTERFACE);

/** What goes through each network interface, as the guest sees it, and what the interface is. */
export const interfaces: Collector = {
  name: "interface",
  description: "network interfaces: bytes, packets, errors, drops, and what describes them",
  byDefault: true,
  groups: StatisticsGroup.interface,
  families: [
    counter(
      "libvirt_nova_instance_interface_receive_bytes_total",
      "Bytes that the guest received",
      "bytes",
      "rx.bytes",
    ),
    counter(
      "libvirt_nova_instance_interface_receive_packets_total",
      "Packets that the guest received",
      "packets",
      "rx.pkts",
    ),
    counter(
      "libvirt_nova_instance_interface_receive_errors_total",
      "Errors on the way to the guest",
      "errors",
      "rx.errs",
    ),
    counter(
      "libvirt_nova_instance_interface_receive_drops_total",
      "Packets to the guest that were dropped",
      "packets",
      "rx.drop",
    ),
    counter(
      "libvirt_nova_instance_interface_transmit_bytes_total",
      "Bytes that the guest sent",
      "bytes",
      "tx.bytes",
    ),
    counter(
      "libvirt_nova_instance_interface_transmit_packets_total",
      "Packets that the guest sent",
      "packets",
      "tx.pkts",
    ),
    counter(
      "libvirt_nova_instance_interface_transmit_errors_total",
      "Errors on the way from the guest",
      "errors",
      "tx.errs",
    ),
    counter(
      "libvirt_nova_instance_interface_transmit_drops_total",
      "Packets from the guest that were dropped",
      "packets",
      "tx.drop",
    ),
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
      labelSet: INTERFACE_INFORMATION,
      source: { constant: 1 },
    },
  ],
};
