import { HostCall } from "../../libvirt/hypervisor.ts";
import type { Collector } from "../family.ts";
import { entityFamilies } from "../host.ts";

/** libvirt's storage pools. None is ever refreshed for it: the figures are those that libvirt has. */
export const storagePool: Collector = {
  name: "storage_pool",
  description: "storage pools: state, capacity, allocation, number of volumes",
  byDefault: false,
  groups: 0,
  hostCalls: HostCall.storagePools,
  families: [],
  hostFamilies: entityFamilies("storage_pool", { pool: "name" }, [
    {
      name: "libvirt_nova_storage_pool_state_code",
      help: "State of the pool: 0 inactive, 1 being built, 2 running, 3 degraded, 4 inaccessible",
      unit: "code",
      number: "state",
    },
    {
      name: "libvirt_nova_storage_pool_capacity_bytes",
      help: "Size of the pool",
      unit: "bytes",
      number: "capacity",
    },
    {
      name: "libvirt_nova_storage_pool_allocation_bytes",
      help: "What is taken of the pool",
      unit: "bytes",
      number: "allocation",
    },
    {
      name: "libvirt_nova_storage_pool_available_bytes",
      help: "What is free of the pool",
      unit: "bytes",
      number: "available",
    },
    {
      name: "libvirt_nova_storage_pool_volumes",
      help: "Volumes in the pool",
      unit: "number",
      number: "volumes",
    },
    {
      name: "libvirt_nova_storage_pool_autostart",
      help: "Whether the pool starts with libvirt",
      unit: "1 or 0",
      number: "autostart",
    },
    {
      name: "libvirt_nova_storage_pool_persistent",
      help: "Whether libvirt keeps the pool's definition",
      unit: "1 or 0",
      number: "persistent",
    },
  ]),
};
