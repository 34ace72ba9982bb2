/** `CPUCLOCK_SCHED` of the kernel's posix-timers.h: the scheduler's clock, in nanoseconds. */
const SCHEDULER_CLOCK = 2;

const library = Deno.dlopen("libc.so.6", {
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
});

/**
 * Processor time that processes have used since they started, all their threads together, also those that have
 * ended, in nanoseconds. What is in `/proc/PID/stat` counts in steps of 10 ms.
 *
 * @throws {Error} when one of them has ended
 */
export function processorNanoseconds(processIds: readonly number[]): number {
  const time = new BigInt64Array(2);
  let sum = 0;
  for (const processId of processIds) {
    // The number that clock_getcpuclockid(3) makes of a process.
    const clock = (~processId << 3) | SCHEDULER_CLOCK;
    if (library.symbols.clock_gettime(clock, new Uint8Array(time.buffer)) !== 0) {
      throw new Error(`Process "${processId}" has ended early`);
    }
    const [seconds = 0n, nanoseconds = 0n] = time;
    sum += Number(seconds) * 1e9 + Number(nanoseconds);
  }
  return sum;
}

/** The kernel tells a thread's processor time in steps of this length: USER_HZ is 100 on every Linux. */
const TICK_NANOSECONDS = 1e7;

/**
 * Processor time that the present threads of a process have used since they started, in nanoseconds by the threads' names.
 * It is exact to 10 ms for each thread.
 */
export function threadNanoseconds(processId: number): ReadonlyMap<string, number> {
  const times = new Map<string, number>();
  for (const { name: thread } of Deno.readDirSync(`/proc/${processId}/task`)) {
    // Between the parentheses is the name, which may hold any other character.
    const match = /^\d+ \((.*)\) (.*)$/s.exec(readThread(processId, thread));
    if (match === null) continue;
    const [, name = "", rest = ""] = match;
    const [user = NaN, system = NaN] = rest.split(" ").slice(11, 13).map(Number);
    times.set(name, (times.get(name) ?? 0) + (user + system) * TICK_NANOSECONDS);
  }
  return times;
}

/** A thread that ends while it is looked at has no times any more. */
function readThread(processId: number, thread: string): string {
  try {
    return Deno.readTextFileSync(`/proc/${processId}/task/${thread}/stat`);
  } catch {
    return "";
  }
}
