import { type Collector, type Family, INSTANCE } from "../family.ts";
import { INSTANCE_INFORMATION } from "../label_sets.ts";
import type { NovaFlavor } from "../../libvirt/domain_description.ts";

function flavor(
  name: string,
  help: string,
  unit: string,
  element: string,
  amount: (flavor: NovaFlavor) => number | undefined,
): Family {
  return {
    name,
    type: "gauge",
    help,
    unit,
    labelSet: INSTANCE,
    source: {
      path: `<flavor><${element}>`,
      definition: ({ nova }) => nova === undefined ? undefined : amount(nova.flavor),
    },
  };
}

function times(amount: number | undefined, factor: number): number | undefined {
  return amount === undefined ? undefined : amount * factor;
}

const MEBIBYTE = 2 ** 20;
const GIBIBYTE = 2 ** 30;

/** What describes an instance: what Nova says of it, and what it runs on. */
export const info: Collector = {
  name: "info",
  description: "what describes the instance: Nova's ids, flavor, times, machine",
  byDefault: true,
  inactive: true,
  groups: 0,
  families: [
    {
      name: "libvirt_nova_instance_info",
      type: "info",
      help: "What an instance is; the value is always 1",
      unit: "1",
      labelSet: INSTANCE_INFORMATION,
      source: { constant: 1 },
    },
    flavor(
      "libvirt_nova_instance_flavor_vcpus",
      "vCPUs of the flavor",
      "vCPUs",
      "vcpus",
      (one) => one.virtualCpus,
    ),
    flavor(
      "libvirt_nova_instance_flavor_memory_bytes",
      "Memory of the flavor",
      "bytes",
      "memory",
      (one) => times(one.memoryMebibytes, MEBIBYTE),
    ),
    flavor(
      "libvirt_nova_instance_flavor_disk_bytes",
      "Root disk of the flavor",
      "bytes",
      "disk",
      (one) => times(one.diskGibibytes, GIBIBYTE),
    ),
    flavor(
      "libvirt_nova_instance_flavor_ephemeral_bytes",
      "Ephemeral disk of the flavor",
      "bytes",
      "ephemeral",
      (one) => times(one.ephemeralGibibytes, GIBIBYTE),
    ),
    flavor(
      "libvirt_nova_instance_flavor_swap_bytes",
      "Swap of the flavor",
      "bytes",
      "swap",
      (one) => times(one.swapMebibytes, MEBIBYTE),
    ),
    {
      name: "libvirt_nova_instance_metadata_created_timestamp_seconds",
      type: "gauge",
      help: "When Nova wrote the metadata, in Unix time",
      unit: "seconds",
      labelSet: INSTANCE,
      source: {
        path: "<creationTime>",
        definition: ({ nova }) => nova?.creationTimeSeconds,
      },
    },
    {
      name: "libvirt_nova_instance_start_timestamp_seconds",
      type: "gauge",
      help: "When the instance was started on this host, in Unix time",
      unit: "seconds",
      labelSet: INSTANCE,
      source: {
        description: "the time of the PID file that QEMU's driver makes for the domain",
        record: ({ startSeconds }) => startSeconds,
      },
    },
  ],
};
