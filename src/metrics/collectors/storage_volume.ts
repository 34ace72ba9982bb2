import { HostCall } from "../../libvirt/hypervisor.ts";
import type { Collector } from "../family.ts";
import { entityFamilies } from "../host.ts";

/** The volumes of the active storage pools, one call for each. */
export const storageVolume: Collector = {
  name: "storage_volume",
  description: "volumes of the storage pools: capacity, allocation",
  byDefault: false,
  groups: 0,
  hostCalls: HostCall.storageVolumes,
  families: [],
  hostFamilies: entityFamilies("storage_volume", { pool: "pool", volume: "name" }, [
    {
      name: "libvirt_nova_storage_volume_capacity_bytes",
      help: "Size of the volume that its user sees",
      unit: "bytes",
      number: "capacity",
    },
    {
      name: "libvirt_nova_storage_volume_allocation_bytes",
      help: "What the volume takes of its pool",
      unit: "bytes",
      number: "allocation",
    },
  ]),
};
