/**
 * Looking at processes in /proc.
 *
 * @module
 */

/** One process of another process namespace: its id outside, and its id in there. */
export interface NamespaceProcess {
  readonly outside: number;
  readonly inside: number;
}

function isGone(error: unknown): boolean {
  // A process that ends while its entry is read gives "No such process", which Deno has no class for.
  return error instanceof Deno.errors.NotFound ||
    (error instanceof Error && error.message.includes("os error 3"));
}

/** Tells whether a process runs or can run on; one that has ended and only waits to be collected does not. */
export function isAlive(processId: number): boolean {
  try {
    const state = /^State:\s+(\S)/m.exec(Deno.readTextFileSync(`/proc/${processId}/status`))?.[1];
    return state !== "Z" && state !== "X";
  } catch (error) {
    if (isGone(error)) return false;
    throw error;
  }
}

/** The threads of a process that run, or could if a processor were free; none when it has ended. */
export function runningThreads(processId: number): ReadonlySet<string> {
  try {
    const threads = [...Deno.readDirSync(`/proc/${processId}/task`)].map(({ name }) => name);
    return new Set(threads.filter((thread) => threadState(processId, thread) === "R"));
  } catch (error) {
    if (isGone(error)) return new Set();
    throw error;
  }
}

function threadState(processId: number, thread: string): string | undefined {
  try {
    const status = Deno.readTextFileSync(`/proc/${processId}/task/${thread}/status`);
    return /^State:\s+(\S)/m.exec(status)?.[1];
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/**
 * Lists the processes that live in the same process namespace as `member`.
 *
 * @returns an empty list when `member` has ended
 */
export function namespaceProcesses(member: number): readonly NamespaceProcess[] {
  const namespace = namespaceOf(member);
  if (namespace === undefined) return [];
  return [...Deno.readDirSync("/proc")].map((entry) => Number(entry.name))
    .filter((outside) => Number.isInteger(outside) && namespaceOf(outside) === namespace)
    .flatMap((outside) => {
      const inside = insideProcessId(outside);
      return inside === undefined ? [] : [{ outside, inside }];
    });
}

function namespaceOf(processId: number): string | undefined {
  try {
    return Deno.readLinkSync(`/proc/${processId}/ns/pid`);
  } catch (error) {
    // A process that even root may not look into is none that the tests have started.
    if (isGone(error) || error instanceof Deno.errors.PermissionDenied) return undefined;
    throw error;
  }
}

function insideProcessId(processId: number): number | undefined {
  try {
    const status = Deno.readTextFileSync(`/proc/${processId}/status`);
    const last = /^NSpid:.*?(\d+)$/m.exec(status)?.[1];
    return last === undefined ? undefined : Number(last);
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** Memory of a process in bytes. */
export interface Memory {
  /** The most that was ever resident, with the parts of files that it has mapped. */
  readonly peakResident: number;
  /** What is its own at the moment. */
  readonly anonymous: number;
}

/** The memory of a process of this user. */
export function memoryOf(processId: number): Memory {
  return {
    peakResident: kibibytes(`/proc/${processId}/status`, "VmHWM") * 1024,
    anonymous: kibibytes(`/proc/${processId}/smaps_rollup`, "Anonymous") * 1024,
  };
}

/** What of a process is in memory at the moment, in bytes: its own, and the parts of files that it has mapped. */
export function residentBytes(processId: number): number {
  return kibibytes(`/proc/${processId}/status`, "VmRSS") * 1024;
}

function kibibytes(file: string, key: string): number {
  const match = new RegExp(`^${key}:\\s+(\\d+) kB$`, "m").exec(Deno.readTextFileSync(file));
  if (match?.[1] === undefined) throw new Error(`File "${file}" has no line "${key}"`);
  return Number(match[1]);
}

/** How many files, sockets and the like a process has open. */
export function countDescriptors(processId: number): number {
  return [...Deno.readDirSync(`/proc/${processId}/fd`)].length;
}
