/**
 * The demo's hypervisor: libvirt's test driver, whose processors and memory stand still, with motion added. Only
 * `npm start` has it; the executable knows nothing of it.
 *
 * @module
 */
import type { Description, Hypervisor, Measurement } from "../src/libvirt/hypervisor.ts";

/** How many processors of an instance are busy, as a wave around a mean. */
interface Load {
  /** Mean, in processors. */
  readonly mean: number;
  /** By how much it goes up and down. */
  readonly swing: number;
  /** Time of a wave. */
  readonly seconds: number;
}

/** Shares of the vCPUs that instances take in the mean, one after the other. */
const SHARES = [0.62, 0.08, 0.35, 0.02, 0.48, 0.15, 0.04, 0.27, 0.85, 0.11, 0.4, 0.05, 0.2];

/** Times of their waves: without a common divisor, so that the picture does not repeat. */
const WAVE_SECONDS = [97, 61, 143, 83, 211, 127, 71];

/** By how much of its mean a load goes up and down. */
const SWING = 0.15;

/** Share of its memory that a guest uses at least, and by how much more of it where its processors are busy. */
const LEAST_MEMORY_SHARE = 0.2;
const FURTHER_MEMORY_SHARE = 0.6;

const NANOSECONDS = 1e9;

/**
 * Adds motion to what a hypervisor of the test driver measures: processor time goes on, guests take more memory and less,
 * and say so now. Everything else is as it was.
 *
 * @param elapsedSeconds of a steady clock, since the demo began
 * @param unixSeconds the time of day
 */
export function withMotion(
  hypervisor: Hypervisor,
  elapsedSeconds: () => number,
  unixSeconds: () => number,
): Hypervisor {
  const virtualCpus = new Map<number, number>();
  const strings: string[] = [];
  return {
    survey: (question) => hypervisor.survey(question),
    async describe(question, handles): Promise<readonly Description[]> {
      const descriptions = await hypervisor.describe(question, handles);
      for (const { handle, xml = "" } of descriptions) {
        virtualCpus.set(handle, Number(/<vcpu[^>]*>(\d+)</.exec(xml)?.[1] ?? 1));
      }
      return descriptions;
    },
    async measure(question, handles): Promise<Measurement> {
      const measurement = await hypervisor.measure(question, handles);
      const { dictionaryBase, dictionaryStrings } = measurement;
      strings.splice(dictionaryBase, Infinity, ...dictionaryStrings);
      const now = elapsedSeconds();
      handles.forEach((handle, position) => {
        const load = loadOf(handle, virtualCpus.get(handle) ?? 1);
        move(measurement, position, strings, {
          cpuSeconds: cpuSeconds(load, now),
          memoryShare: memoryShare(handle, now),
          unixSeconds: unixSeconds(),
        });
      });
      return measurement;
    },
    setDevices: (...devices) => hypervisor.setDevices(...devices),
    status: () => hypervisor.status(),
    close: () => hypervisor.close(),
  };
}

function loadOf(handle: number, virtualCpus: number): Load {
  const mean = virtualCpus * pick(SHARES, handle);
  return { mean, swing: mean * SWING, seconds: pick(WAVE_SECONDS, handle) };
}

function pick(numbers: readonly number[], handle: number): number {
  return numbers[handle % numbers.length] ?? 1;
}

/** The integral of the wave: a counter never goes back. */
function cpuSeconds({ mean, swing, seconds }: Load, now: number): number {
  const angle = 2 * Math.PI / seconds;
  return mean * now + swing / angle * (1 - Math.cos(angle * now));
}

function memoryShare(handle: number, now: number): number {
  const angle = 2 * Math.PI / pick(WAVE_SECONDS, handle);
  const wave = 1 + SWING * Math.sin(angle * now);
  return LEAST_MEMORY_SHARE + FURTHER_MEMORY_SHARE * pick(SHARES, handle + 1) * wave;
}

/** What a moment of the demo adds to an instance. */
interface Moment {
  readonly cpuSeconds: number;
  readonly memoryShare: number;
  readonly unixSeconds: number;
}

/** Changes the values of one domain that are there; what is not measured stays so. */
function move(
  { offsets, fields, values }: Measurement,
  position: number,
  strings: readonly string[],
  { cpuSeconds, memoryShare, unixSeconds }: Moment,
): void {
  const from = offsets[position] ?? 0;
  const to = offsets[position + 1] ?? from;
  const places = new Map<string, number>();
  for (let index = from; index < to; index++) places.set(strings[fields[index] ?? -1] ?? "", index);
  const change = (field: string, changed: (value: number) => number): void => {
    const index = places.get(field);
    if (index !== undefined) values[index] = changed(values[index] ?? 0);
  };
  const available = values[places.get("balloon.available") ?? -1] ?? 0;
  const free = Math.round(available * (1 - memoryShare));
  change("cpu.time", (value) => value + Math.round(cpuSeconds * NANOSECONDS));
  change("balloon.usable", () => free);
  change("balloon.unused", () => Math.round(free / 2));
  change("balloon.last-update", () => Math.floor(unixSeconds));
}
