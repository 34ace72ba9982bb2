import { readdirSync, readFileSync, statSync } from "node:fs";
import process from "node:process";
import type { PlainFamily } from "./exposition.ts";
import type { FamilyType } from "./family.ts";

const START_TIME_SECONDS = Date.now() / 1000 - process.uptime();

/**
 * The metrics that every Prometheus client library has about its own process, read from `/proc/self`. What the
 * system does not tell (no `/proc`) is left out.
 * Source: prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics
 *
 * @param maximumFileDescriptors see {@linkcode fileDescriptorLimit}; it stays what it is
 */
export function processFamilies(maximumFileDescriptors: number | undefined): PlainFamily[] {
  const { user, system } = process.cpuUsage();
  const memory = readMemory();
  return [
    family(
      "process_cpu_seconds_total",
      "counter",
      "User and system CPU time",
      (user + system) / 1e6,
    ),
    family("process_open_fds", "gauge", "Open file descriptors", countFileDescriptors()),
    family("process_max_fds", "gauge", "Limit of open file descriptors", maximumFileDescriptors),
    family("process_resident_memory_bytes", "gauge", "Resident memory", memory.resident),
    family("process_virtual_memory_bytes", "gauge", "Virtual memory", memory.virtual),
    family(
      "process_start_time_seconds",
      "gauge",
      "Start of the process since the Unix epoch",
      START_TIME_SECONDS,
    ),
  ];
}

function family(
  name: string,
  type: FamilyType,
  help: string,
  value: number | undefined,
): PlainFamily {
  return { name, type, help, samples: value === undefined ? [] : [{ name, labels: [], value }] };
}

function countFileDescriptors(): number | undefined {
  // Before Linux 6.2 the folder has no size, and has to be listed; the listing itself holds one.
  return attempt(() => statSync("/proc/self/fd").size || readdirSync("/proc/self/fd").length - 1);
}

/** How many file descriptors this process may have open; undefined where the system does not tell. */
export function fileDescriptorLimit(): number | undefined {
  const limits = attempt(() => readFileSync("/proc/self/limits", "utf8"));
  const soft = limits === undefined ? null : /^Max open files +(\d+|unlimited)/m.exec(limits);
  if (soft?.[1] === undefined) return undefined;
  return soft[1] === "unlimited" ? Infinity : Number(soft[1]);
}

function readMemory(): { readonly resident?: number; readonly virtual?: number } {
  const status = attempt(() => readFileSync("/proc/self/status", "utf8"));
  if (status === undefined) return {};
  const resident = kibibytes(status, "VmRSS");
  const virtual = kibibytes(status, "VmSize");
  return {
    ...(resident === undefined ? {} : { resident }),
    ...(virtual === undefined ? {} : { virtual }),
  };
}

function kibibytes(status: string, key: string): number | undefined {
  const match = new RegExp(`^${key}:\\s+(\\d+) kB`, "m").exec(status);
  return match?.[1] === undefined ? undefined : Number(match[1]) * 1024;
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
