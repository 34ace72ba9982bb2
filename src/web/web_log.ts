import type { LogWriter } from "../log/line.ts";
import type { Refusal } from "./admission/admission.ts";
import type { Overflow } from "./connection_table.ts";
import type { WebLimits } from "./request_limits.ts";

const OVERFLOW_MESSAGES: Readonly<Record<Overflow, string>> = {
  idle: "Too many connections, closed the one idle for longest",
  stalled: "Too many connections, closed the one whose client was slowest to read",
  new: "Too many connections, refused a new one",
  request: "Too many requests at once, refused one",
};

const REFUSAL_MESSAGES: Readonly<Record<Refusal, string>> = {
  login: "Refused a login with a wrong user or password",
  busy: "Too many logins at once, put one off",
  rate: "Too many requests for the rate limit of the web configuration, refused one",
};

/** Milliseconds between two warnings about the same; those in between are logged as debug. */
const WARNING_MILLISECONDS = 60_000;

/** Makes what logs each overflow of connections or requests: as a warning, but only once in a while. */
export function createOverflowLog(log: LogWriter, limits: WebLimits): (overflow: Overflow) => void {
  const level = createThrottle<Overflow>();
  const { maximumConnections, maximumRequestsInFlight } = limits;
  return (overflow) => {
    log[level(overflow)](OVERFLOW_MESSAGES[overflow], {
      maximumConnections,
      maximumRequestsInFlight,
    });
  };
}

/**
 * Makes what logs each request that was not let in: as a warning, but only once in a while. What was given as user is not
 * logged, for it may be a password in the wrong place.
 */
export function createRefusalLog(log: LogWriter): (refusal: Refusal) => void {
  const level = createThrottle<Refusal>();
  return (refusal) => log[level(refusal)](REFUSAL_MESSAGES[refusal]);
}

function createThrottle<Kind>(): (kind: Kind) => "debug" | "warn" {
  const silentUntil = new Map<Kind, number>();
  return (kind) => {
    const now = performance.now();
    if (now < (silentUntil.get(kind) ?? 0)) return "debug";
    silentUntil.set(kind, now + WARNING_MILLISECONDS);
    return "warn";
  };
}
