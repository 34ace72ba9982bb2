import type { Collector, Family } from "../family.ts";
import { DESCRIBED_INTERFACE } from "../label_sets.ts";
import type { BandwidthLimit } from "../../libvirt/domain_description.ts";

/** `tc` takes libvirt's kilobytes of a rate for 1000 bytes, those of a burst for 1024. Source: tc(8). */
const RATE_KILOBYTE = 1000;
const BURST_KILOBYTE = 1024;

/** The attributes of libvirt's limits: where the definition has them, and what they are in bytes. */
const ATTRIBUTES = {
  average: { property: "averageKilobytesPerSecond", factor: RATE_KILOBYTE },
  peak: { property: "peakKilobytesPerSecond", factor: RATE_KILOBYTE },
  burst: { property: "burstKilobytes", factor: BURST_KILOBYTE },
  floor: { property: "floorKilobytesPerSecond", factor: RATE_KILOBYTE },
} as const satisfies Readonly<
  Record<string, { readonly property: keyof BandwidthLimit; readonly factor: number }>
>;

function limit(
  name: string,
  help: string,
  unit: string,
  direction: "inbound" | "outbound",
  attribute: keyof typeof ATTRIBUTES,
): Family {
  return {
    name,
    type: "gauge",
    help,
    unit,
    labelSet: DESCRIBED_INTERFACE,
    source: {
      path: `<bandwidth><${direction} ${attribute}>`,
      part({ interfaces }, position): number | undefined {
        const { property, factor } = ATTRIBUTES[attribute];
        const value = interfaces[position]?.bandwidth?.[direction]?.[property];
        return value === undefined ? undefined : value * factor;
      },
    },
  };
}

/** The limits that a network interface has, such as those of a flavor's quality of service. */
export const interfaceTune: Collector = {
  name: "interface_tune",
  description: "network interfaces: limits of throughput, where some are set",
  byDefault: false,
  groups: 0,
  families: [
    limit(
      "libvirt_nova_instance_interface_tune_receive_average_bytes_per_second",
      "Average rate for what the guest receives",
      "bytes per second",
      "inbound",
      "average",
    ),
    limit(
      "libvirt_nova_instance_interface_tune_receive_peak_bytes_per_second",
      "Greatest rate for what the guest receives",
      "bytes per second",
      "inbound",
      "peak",
    ),
    limit(
      "libvirt_nova_instance_interface_tune_receive_burst_bytes",
      "What may go at the greatest rate for what the guest receives",
      "bytes",
      "inbound",
      "burst",
    ),
    limit(
      "libvirt_nova_instance_interface_tune_receive_floor_bytes_per_second",
      "Rate that is kept free for what the guest receives",
      "bytes per second",
      "inbound",
      "floor",
    ),
    limit(
      "libvirt_nova_instance_interface_tune_transmit_average_bytes_per_second",
      "Average rate for what the guest sends",
      "bytes per second",
      "outbound",
      "average",
    ),
    limit(
      "libvirt_nova_instance_interface_tune_transmit_peak_bytes_per_second",
      "Greatest rate for what the guest sends",
      "bytes per second",
      "outbound",
      "peak",
    ),
    limit(
      "libvirt_nova_instance_interface_tune_transmit_burst_bytes",
      "What may go at the greatest rate for what the guest sends",
      "bytes",
      "outbound",
      "burst",
    ),
  ],
};
