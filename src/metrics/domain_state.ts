/**
 * The names of libvirt's states of a domain, by number: `virDomainState`, and the reasons of each,
 * `virDomainRunningReason` and so on. Source: include/libvirt/libvirt-domain.h of libvirt 12.8.
 */
const STATES: readonly (readonly [state: string, reasons: readonly string[]])[] = [
  ["none", ["unknown"]],
  ["running", [
    "unknown",
    "booted",
    "migrated",
    "restored",
    "from_snapshot",
    "unpaused",
    "migration_canceled",
    "save_canceled",
    "wakeup",
    "crashed",
    "postcopy",
    "postcopy_failed",
  ]],
  ["blocked", ["unknown"]],
  ["paused", [
    "unknown",
    "user",
    "migration",
    "save",
    "dump",
    "io_error",
    "watchdog",
    "from_snapshot",
    "shutting_down",
    "snapshot",
    "crashed",
    "starting_up",
    "postcopy",
    "postcopy_failed",
    "api_error",
  ]],
  ["shutdown", ["unknown", "user"]],
  ["shutoff", [
    "unknown",
    "shutdown",
    "destroyed",
    "crashed",
    "migrated",
    "saved",
    "failed",
    "from_snapshot",
    "daemon",
  ]],
  ["crashed", ["unknown", "panicked"]],
  ["suspended", ["unknown"]],
];

/** All states that libvirt knows, by their number. */
export const STATE_NAMES: readonly string[] = STATES.map(([name]) => name);

/** The name of a state; one that a later libvirt has added is its number. */
export function stateName(state: number): string {
  return STATES[state]?.[0] ?? String(state);
}

/** The name of the reason for a state; one that a later libvirt has added is its number. */
export function reasonName(state: number, reason: number): string {
  return STATES[state]?.[1][reason] ?? String(reason);
}
