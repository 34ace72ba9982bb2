/**
 * What a service tells systemd about itself: that it is ready, that it is alive, what it is doing. Without systemd it tells
 * nobody.
 *
 * Source: sd_notify(3), sd_watchdog_enabled(3).
 */
import { clearInterval, clearTimeout, setInterval, setTimeout } from "node:timers";
import { cut, messageOf, oneLine } from "../text.ts";

/** How long a message that was not taken waits for its next try. */
const RETRY_MILLISECONDS = 1_000;

/** The longest interval of a timer that every runtime keeps. */
const MAXIMUM_INTERVAL_MILLISECONDS = 2 ** 31 - 1;

/** `systemctl status` shows one line; a longer reason is in the log. */
const MAXIMUM_STATUS_LENGTH = 200;

/** What a notifier needs. */
export interface ServiceNotifierOptions {
  /** Of the process: `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` are looked at. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly processId: number;
  /** Sends a datagram to a path, or to an abstract name after an `@`; throws when it was not taken. */
  readonly send: (address: string, text: string) => void;
  /** Told once when messages begin to be refused; they are tried again. */
  readonly onFailure: (reason: string) => void;
}

/** Tells the service manager; nothing here throws or waits. */
export interface ServiceNotifier {
  /** The service answers requests: after its start, and after each {@linkcode ServiceNotifier.reloading}. */
  ready(): void;
  /** Its settings are being read anew. */
  reloading(): void;
  /** It is about to end. */
  stopping(): void;
  /** What it is doing, in one line for `systemctl status`; the same line again is not sent again. */
  status(text: string): void;
  /** Ends the signs of life. */
  close(): void;
}

/**
 * Connects a service with the service manager that started it. From now on it gives a sign of life at half of the time after
 * which the manager takes it for hung. A timer of the event loop does so: where the loop hangs, there is no sign.
 *
 * @returns a notifier that does nothing where no service manager has started this process
 */
export function createServiceNotifier(options: ServiceNotifierOptions): ServiceNotifier {
  const { environment, processId, send, onFailure } = options;
  const address = environment["NOTIFY_SOCKET"];
  if (address === undefined || address === "") return SILENT_NOTIFIER;
  // What was not taken yet, in order; of the same variable only the last value counts.
  const pending = new Map<string, string>();
  let hasFailed = false;
  let retry: NodeJS.Timeout | undefined;
  let lastStatus: string | undefined;
  const flush = (): void => {
    clearTimeout(retry);
    const text = Array.from(pending, ([name, value]) => `${name}=${value}`).join("\n");
    try {
      send(address, text);
      pending.clear();
      hasFailed = false;
    } catch (error) {
      if (!hasFailed) onFailure(messageOf(error));
      hasFailed = true;
      retry = setTimeout(flush, RETRY_MILLISECONDS);
      retry.unref();
    }
  };
  const tell = (name: string, value: string): void => {
    pending.delete(name);
    pending.set(name, value);
    flush();
  };
  const interval = watchdogIntervalMilliseconds(environment, processId);
  const watchdog = interval === undefined
    ? undefined
    : setInterval(() => tell("WATCHDOG", "1"), interval);
  // The service ends when its own work does.
  watchdog?.unref();
  return {
    ready: () => tell("READY", "1"),
    reloading(): void {
      pending.delete("READY");
      tell("RELOADING", "1");
    },
    stopping: () => tell("STOPPING", "1"),
    status(text): void {
      const line = toLine(text);
      if (line === lastStatus) return;
      lastStatus = line;
      tell("STATUS", line);
    },
    close(): void {
      clearTimeout(retry);
      clearInterval(watchdog);
    },
  };
}

const SILENT_NOTIFIER: ServiceNotifier = {
  ready(): void {},
  reloading(): void {},
  stopping(): void {},
  status(): void {},
  close(): void {},
};

/**
 * How often the service manager wants a sign of life, with as much again to spare.
 *
 * @returns milliseconds; `undefined` when it wants none from this process
 */
export function watchdogIntervalMilliseconds(
  environment: Readonly<Record<string, string | undefined>>,
  processId: number,
): number | undefined {
  const { WATCHDOG_USEC: microseconds = "", WATCHDOG_PID: watched } = environment;
  if (!/^[1-9]\d*$/.test(microseconds)) return undefined;
  if (watched !== undefined && watched !== "" && watched !== `${processId}`) return undefined;
  const half = Math.floor(Number(microseconds) / 2_000);
  return Math.min(Math.max(half, 1), MAXIMUM_INTERVAL_MILLISECONDS);
}

/** A message has a line for each of its variables, so a line feed in a text would set a further one. */
function toLine(text: string): string {
  return cut(oneLine(text).trim(), MAXIMUM_STATUS_LENGTH);
}
