import type { BandwidthLimit, NetworkInterface } from "../../libvirt/domain_xml.ts";
import { DESCRIBED_INTERFACE } from "../devices.ts";
import type { Collector, Family } from "../family.ts";

/** `tc` takes libvirt's kilobytes of a rate for 1000 bytes, those of a burst for 1024. Source: tc(8). */
const RATE_KILOBYTE = 1000;
const BURST_KILOBYTE = 1024;

function family(
  what: string,
  help: string,
  unit: string,
  path: string,
  limit: (found: NetworkInterface) => number | undefined,
  factor: number,
): Family {
  return {
    name: `libvirt_nova_instance_interface_tune_${what}`,
    type: "gauge",
    help,
    unit,
    labelSet: DESCRIBED_INTERFACE,
    source: {
      path: `<bandwidth>${path}`,
      part({ interfaces }, position): number | undefined {
        const found = interfaces[position];
        const value = found === undefined ? undefined : limit(found);
        return value === undefined ? undefined : value * factor;
      },
    },
  };
}

function direction(
  what: "receive" | "transmit",
  of: string,
  element: "inbound" | "outbound",
): readonly Family[] {
  const limit = (
    name: string,
    help: string,
    attribute: string,
    pick: (limit: BandwidthLimit) => number | undefined,
  ): Family =>
    family(
      `${what}_${name}_bytes_per_second`,
      `${help} for ${of}`,
      "bytes per second",
      `<${element} ${attribute}>`,
      ({ bandwidth }) => {
        const found = bandwidth?.[element];
        return found === undefined ? undefined : pick(found);
      },
      RATE_KILOBYTE,
    );
  return [
    limit("average", "Average rate", "average", (one) => one.averageKilobytesPerSecond),
    limit("peak", "Greatest rate", "peak", (one) => one.peakKilobytesPerSecond),
    family(
      `${what}_burst_bytes`,
      `What may go at the greatest rate for ${of}`,
      "bytes",
      `<${element} burst>`,
      ({ bandwidth }) => bandwidth?.[element]?.burstKilobytes,
      BURST_KILOBYTE,
    ),
  ];
}

/** The limits that a network interface has, such as those of a flavor's quality of service. */
export const interfaceTune: Collector = {
  name: "interface_tune",
  description: "network interfaces: limits of throughput, where some are set",
  byDefault: false,
  groups: 0,
  families: [
    ...direction("receive", "what the guest receives", "inbound"),
    family(
      "receive_floor_bytes_per_second",
      "Rate that is kept free for what the guest receives",
      "bytes per second",
      "<inbound floor>",
      ({ bandwidth }) => bandwidth?.inbound?.floorKilobytesPerSecond,
      RATE_KILOBYTE,
    ),
    ...direction("transmit", "what the guest sends", "outbound"),
  ],
};
