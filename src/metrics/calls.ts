import type { CallFailure, CallTime } from "../libvirt/hypervisor.ts";
import { DomainCall, HostCall, StatisticsGroup } from "../libvirt/hypervisor.ts";
import type { Collector } from "./family.ts";

/** What became of the calls that a collector needs. */
export interface CollectorOutcome {
  readonly name: string;
  /** Whether all of them were answered. */
  readonly success: boolean;
  /** Seconds that they took in all. */
  readonly seconds: number;
}

const BULK = ["virConnectGetAllDomainStats", "virDomainListGetStats"];
const BALLOON = [...BULK, "virDomainMemoryStats", "virDomainGetInfo"];
const BLOCK = [...BULK, "virDomainBlockStatsFlags", "virDomainBlockStats"];
const DEFINITION = ["virDomainGetXMLDesc"];

/** libvirt's functions by what a collector asks for. A collector that asks for nothing needs definitions only. */
const CALLS: readonly (readonly [
  kind: "groups" | "domainCalls" | "hostCalls",
  bits: number,
  calls: readonly string[],
])[] = [
  ["groups", StatisticsGroup.balloon, BALLOON],
  ["groups", StatisticsGroup.block, BLOCK],
  ["groups", StatisticsGroup.interface, [...BULK, "virDomainInterfaceStats"]],
  ["groups", ~(StatisticsGroup.balloon | StatisticsGroup.block | StatisticsGroup.interface), BULK],
  ["domainCalls", DomainCall.cpuTime, ["virDomainGetCPUStats"]],
  ["domainCalls", DomainCall.blockCounters | DomainCall.blockTimes, BLOCK],
  ["domainCalls", DomainCall.vcpuPlacement, ["virDomainGetVcpus"]],
  ["domainCalls", DomainCall.job, ["virDomainGetJobStats"]],
  ["domainCalls", DomainCall.snapshots, ["virDomainSnapshotNum"]],
  ["domainCalls", DomainCall.checkpoints, ["virDomainListAllCheckpoints"]],
  ["hostCalls", HostCall.node, [
    "virNodeGetInfo",
    "virNodeGetCPUStats",
    "virNodeGetMemoryStats",
    "virConnectGetVersion",
    "virConnectGetLibVersion",
  ]],
  ["hostCalls", HostCall.storagePools, [
    "virConnectListAllStoragePools",
    "virStoragePoolGetInfo",
    "virStoragePoolNumOfVolumes",
    "virStoragePoolGetAutostart",
    "virStoragePoolIsPersistent",
  ]],
  ["hostCalls", HostCall.storageVolumes, [
    "virConnectListAllStoragePools",
    "virStoragePoolListAllVolumes",
    "virStorageVolGetInfo",
  ]],
  ["hostCalls", HostCall.networks, [
    "virConnectListAllNetworks",
    "virNetworkIsActive",
    "virNetworkGetAutostart",
    "virNetworkIsPersistent",
    "virNetworkGetDHCPLeases",
  ]],
];

/** The libvirt functions that may be called for a collector. */
export function callsOf(collector: Collector): ReadonlySet<string> {
  const asked = CALLS.filter(([kind, bits]) => ((collector[kind] ?? 0) & bits) !== 0)
    .flatMap(([, , calls]) => calls);
  return new Set(asked.length === 0 ? DEFINITION : asked);
}

/** What became of each collector's calls. A call that several collectors need counts for each of them. */
export function collectorOutcomes(
  collectors: readonly Collector[],
  failures: readonly CallFailure[],
  callTimes: readonly CallTime[],
): readonly CollectorOutcome[] {
  return collectors.map((collector) => {
    const calls = callsOf(collector);
    return {
      name: collector.name,
      success: !failures.some(({ call }) => calls.has(call)),
      seconds: callTimes.reduce(
        (sum, { call, seconds }) => calls.has(call) ? sum + seconds : sum,
        0,
      ),
    };
  });
}
