import type { Overflow } from "./connection_table.ts";
import type { WebLimits } from "./request_limits.ts";

/** Takes the server's messages. */
export interface WebLog {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

const OVERFLOW_MESSAGES: Readonly<Record<Overflow, string>> = {
  idle: "Too many connections, closed the one idle for longest",
  stalled: "Too many connections, closed the one whose client was slowest to read",
  new: "Too many connections, refused a new one",
  request: "Too many requests at once, refused one",
};

/** Milliseconds between two warnings about the same overflow; those in between are logged as debug. */
const OVERFLOW_WARNING_MILLISECONDS = 60_000;

/** Makes what logs each overflow of connections or requests: as a warning, but only once in a while. */
export function createOverflowLog(log: WebLog, limits: WebLimits): (overflow: Overflow) => void {
  const silentUntil = new Map<Overflow, number>();
  const { maximumConnections, maximumRequestsInFlight } = limits;
  return (overflow) => {
    const now = performance.now();
    const level = now < (silentUntil.get(overflow) ?? 0) ? "debug" : "warn";
    if (level === "warn") silentUntil.set(overflow, now + OVERFLOW_WARNING_MILLISECONDS);
    log[level](OVERFLOW_MESSAGES[overflow], { maximumConnections, maximumRequestsInFlight });
  };
}

/** What went wrong, without line ends, so that it takes one line of a log. */
export function oneLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\s+/g, " ");
}
