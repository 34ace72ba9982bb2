import { block } from "./collectors/block.ts";
import { blockCapacity } from "./collectors/block_capacity.ts";
import { blockLatency } from "./collectors/block_latency.ts";
import { blockLimits } from "./collectors/block_limits.ts";
import { blockTune } from "./collectors/block_tune.ts";
import { cacheMonitor } from "./collectors/cache_monitor.ts";
import { cpu } from "./collectors/cpu.ts";
import { dirtyrate } from "./collectors/dirtyrate.ts";
import { energyMonitor } from "./collectors/energy_monitor.ts";
import { haltpoll } from "./collectors/haltpoll.ts";
import { hypervisor } from "./collectors/hypervisor.ts";
import { info } from "./collectors/info.ts";
import { interfaces } from "./collectors/interface.ts";
import { interfaceTune } from "./collectors/interface_tune.ts";
import { iothread } from "./collectors/iothread.ts";
import { job } from "./collectors/job.ts";
import { memory } from "./collectors/memory.ts";
import { memoryBandwidth } from "./collectors/memory_bandwidth.ts";
import { network } from "./collectors/network.ts";
import { nodeCollector } from "./collectors/node.ts";
import { paging } from "./collectors/paging.ts";
import { perf } from "./collectors/perf.ts";
import { project } from "./collectors/project.ts";
import { scrape } from "./collectors/scrape.ts";
import { seed } from "./collectors/seed.ts";
import { snapshot } from "./collectors/snapshot.ts";
import { state } from "./collectors/state.ts";
import { storagePool } from "./collectors/storage_pool.ts";
import { storageVolume } from "./collectors/storage_volume.ts";
import { vcpu } from "./collectors/vcpu.ts";
import type { Collector } from "./family.ts";

/** All collectors, in the order in which their families appear on the page. */
export const COLLECTORS: readonly Collector[] = [
  seed,
  info,
  state,
  cpu,
  vcpu,
  memory,
  paging,
  block,
  blockCapacity,
  blockTune,
  blockLimits,
  blockLatency,
  interfaces,
  interfaceTune,
  snapshot,
  job,
  perf,
  haltpoll,
  hypervisor,
  iothread,
  dirtyrate,
  cacheMonitor,
  memoryBandwidth,
  energyMonitor,
  scrape,
  nodeCollector,
  project,
  storagePool,
  storageVolume,
  network,
];

/** Those that can be switched on and off, in the same order. */
export const SWITCHED_COLLECTORS: readonly Collector[] = COLLECTORS.filter(isSwitched);

/** Whether a collector can be switched on and off. */
export function isSwitched({ byDefault }: Collector): boolean {
  return byDefault !== undefined;
}

/**
 * Chooses collectors by name, in the order of the page; those that cannot be switched off are always among them.
 *
 * @param isOn says whether a switchable collector is on
 */
export function chooseCollectors(isOn: (collector: Collector) => boolean): readonly Collector[] {
  return COLLECTORS.filter((one) => !isSwitched(one) || isOn(one));
}

/** What a measurement for these collectors has to ask of libvirt, as values of its groups and calls, added. */
export function neededCalls(
  collectors: readonly Collector[],
): { readonly groups: number; readonly domainCalls: number; readonly hostCalls: number } {
  const all = (bits: (collector: Collector) => number): number =>
    collectors.reduce((sum, one) => sum | bits(one), 0);
  return {
    groups: all(({ groups }) => groups),
    domainCalls: all(({ domainCalls = 0 }) => domainCalls),
    hostCalls: all(({ hostCalls = 0 }) => hostCalls),
  };
}
