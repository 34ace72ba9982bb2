import type { HypervisorStatus } from "../src/libvirt/hypervisor.ts";

/** What a hypervisor says of itself that has not been asked yet. */
export const NO_STATUS: HypervisorStatus = {
  connected: false,
  connectionAttempts: 0,
  connectionsOpened: 0,
  connectionsFailed: 0,
  connectionsLost: 0,
  abandonedMonitorCalls: 0,
  abandonedOtherCalls: 0,
  quarantined: 0,
};
