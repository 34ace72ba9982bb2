/**
 * Pages of hypervisors that there are not, made of one page that the exporter has written: the same families and labels, names of
 * their own, and values that move as those of guests do.
 *
 * @module
 */

/** How a series moves from one scrape to the next. */
type Motion =
  | {
    /** Grows: the most in a second, and the smallest step. */
    readonly kind: "counter";
    readonly perSecond: number;
    readonly step: number;
    /** What months of use have made of it when the simulation begins. */
    readonly start: number;
  }
  /** Goes up and down, by whole steps of this size. */
  | { readonly kind: "gauge"; readonly step: number }
  /** Another number each time: a duration of the exporter's own. */
  | { readonly kind: "noise" }
  /** The time of the last change, in seconds. */
  | { readonly kind: "timestamp" }
  | { readonly kind: "constant" };

interface TemplateLine {
  /** A comment, or a series without its value. */
  readonly text: string;
  /** Undefined for a comment. */
  readonly value: string | undefined;
  readonly motion: Motion;
  /** Which of the host's instances it is about, counted from 0. */
  readonly instance: number | undefined;
}

/** A page to make others of. */
export interface PageTemplate {
  readonly lines: readonly TemplateLine[];
  readonly instances: number;
}

const CONSTANT: Motion = { kind: "constant" };

/** What series of an instance do; the first that fits. Errors and drops stay as they are: there are none on most days. */
const INSTANCE_MOTIONS: readonly (readonly [name: RegExp, motion: Motion])[] = [
  [/(error|drop)s_total$/, CONSTANT],
  [/cpu_time_total$/, { kind: "counter", perSecond: 3e8, step: 1, start: 1e15 }],
  [/seconds_total$/, { kind: "counter", perSecond: 0.3, step: 1e-9, start: 1e6 }],
  [/bytes(_total)?$/, { kind: "counter", perSecond: 2e5, step: 1, start: 1e12 }],
  [/req$|_total$/, { kind: "counter", perSecond: 50, step: 1, start: 1e9 }],
];
const INSTANCE_GAUGES = /memory_(available|unused|usable|used|resident|disk_caches|cache_used)_/;
const COUNTED_BYTES = /_total$|(rx|tx|rd|wr)bytes$/;

function instanceMotion(name: string): Motion {
  if (name.endsWith("last_update_timestamp_seconds")) return { kind: "timestamp" };
  if (name.endsWith("used_ratio")) return { kind: "noise" };
  if (INSTANCE_GAUGES.test(name)) {
    return { kind: "gauge", step: name.endsWith("_kb") ? 4 : 4096 };
  }
  if (!/(_total|bytes|req)$/.test(name)) return CONSTANT;
  if (name.endsWith("_bytes") && !COUNTED_BYTES.test(name)) return CONSTANT;
  return INSTANCE_MOTIONS.find(([pattern]) => pattern.test(name))?.[1] ?? CONSTANT;
}

function hostMotion(name: string): Motion {
  if (/errors?_total$|_lost_|_failed_|ended_total$|log_lines|opened|attempts/.test(name)) {
    return CONSTANT;
  }
  if (/seconds_total$/.test(name)) {
    return { kind: "counter", perSecond: 0.1, step: 1e-9, start: 1e5 };
  }
  if (/_total$/.test(name)) return { kind: "counter", perSecond: 10, step: 1, start: 1e7 };
  if (/duration_seconds|age_seconds/.test(name)) return { kind: "noise" };
  if (/resident_memory|memory_(free|cached|buffers)/.test(name)) {
    return { kind: "gauge", step: 4096 };
  }
  return CONSTANT;
}

/** Names that the benchmark's instances have: libvirt's, Nova's, UUIDs, taps, MAC addresses. They hold the instance's number. */
const NUMBERED = new RegExp(
  [
    "(?<instance>(?<=instance-)[0-9a-f]{8})",
    "(?<tap>(?<=tap)[0-9a-f]{8}(?=-00))",
    "(?<uuid>(?<=00000000-0000-4000-8000-)[0-9a-f]{12})",
    "(?<mac>(?<=fa:16:3e:)[0-9a-f]{2}:[0-9a-f]{2}:[0-9a-f]{2})",
    "(?<server>(?<=server-)\\d+)",
  ].join("|"),
  "g",
);

function renamed(text: string, number: number): string {
  const hexadecimal = (digits: number): string =>
    number.toString(16).padStart(digits, "0").slice(-digits);
  return text.replaceAll(NUMBERED, (found: string) => {
    if (found.includes(":")) return hexadecimal(6).replace(/(..)(..)(..)/, "$1:$2:$3");
    return /^[0-9a-f]{12}$|^[0-9a-f]{8}$/.test(found) ? hexadecimal(found.length) : `${number}`;
  });
}

/** Reads a page in either text format, of a host whose instances are those of the benchmarks. */
export function readTemplate(page: string): PageTemplate {
  const instances = new Map<string, number>();
  const lines = page.split("\n").filter((line) => line !== "").map((line): TemplateLine => {
    const [, text, value] = /^([^#].*) (\S+)$/.exec(line) ?? [];
    if (text === undefined || value === undefined) {
      return { text: line, value: undefined, motion: CONSTANT, instance: undefined };
    }
    const [name = ""] = text.split("{", 1);
    const owner = /libvirtname="([^"]*)"/.exec(text)?.[1];
    if (owner === undefined) return { text, value, motion: hostMotion(name), instance: undefined };
    if (!instances.has(owner)) instances.set(owner, instances.size);
    return { text, value, motion: instanceMotion(name), instance: instances.get(owner) };
  });
  return { lines, instances: instances.size };
}

/** Numbers from 0 to 1 that are the same each time. */
export function numbersFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    // The generator of Numerical Recipes; only its upper bits are any good.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** How busy instances are, as shares of the most that one does, and how often something of theirs moves at all. */
const ACTIVITIES: readonly {
  readonly share: number;
  readonly activity: number;
  readonly moves: number;
}[] = [
  { share: 0.3, activity: 0.002, moves: 0.3 },
  { share: 0.5, activity: 0.05, moves: 0.9 },
  { share: 0.2, activity: 1, moves: 1 },
];

/** How many instances there can be in a fleet; a number of an instance that came later is beyond. */
const GENERATION = 1_000_000;

/** One simulated hypervisor. */
export class SimulatedHost {
  readonly #template: PageTemplate;
  readonly #firstInstance: number;
  readonly #next: () => number;
  readonly #texts: string[];
  readonly #values: Float64Array;
  readonly #generations: number[];
  readonly #kinds: (typeof ACTIVITIES)[number][];

  /** @param number which of the fleet's hosts it is, from 0 */
  constructor(template: PageTemplate, number: number) {
    this.#template = template;
    this.#firstInstance = number * template.instances;
    this.#next = numbersFrom(number + 1);
    this.#generations = Array.from({ length: template.instances }, () => 0);
    this.#kinds = this.#generations.map(() => this.#chooseActivity());
    this.#texts = template.lines.map(({ text, instance }) => this.#nameOf(text, instance));
    this.#values = Float64Array.from(
      template.lines,
      ({ motion, value }) =>
        motion.kind === "counter"
          ? this.#round(motion.start * this.#next(), motion.step)
          : Number(value),
    );
  }

  #chooseActivity(): (typeof ACTIVITIES)[number] {
    let rest = this.#next();
    for (const kind of ACTIVITIES) {
      if (rest < kind.share) return kind;
      rest -= kind.share;
    }
    return ACTIVITIES[0] ?? { share: 1, activity: 1, moves: 1 };
  }

  #nameOf(text: string, instance: number | undefined): string {
    if (instance === undefined) return text;
    const generation = (this.#generations[instance] ?? 0) * GENERATION;
    return renamed(text, this.#firstInstance + instance + generation);
  }

  #round(value: number, step: number): number {
    return step < 1 ? Math.round(value / step) * step : Math.floor(value);
  }

  /** Lets time pass. */
  advance(seconds: number): void {
    this.#template.lines.forEach(({ motion, instance }, line) => {
      if (motion.kind === "constant") return;
      const { activity, moves } = instance === undefined
        ? { activity: 1, moves: 1 }
        : this.#kinds[instance] ?? { activity: 1, moves: 1 };
      const value = this.#values[line] ?? NaN;
      if (motion.kind === "noise") this.#values[line] = this.#next() / 10;
      else if (motion.kind === "timestamp") this.#values[line] = value + seconds;
      else if (this.#next() > moves) return;
      else if (motion.kind === "gauge") {
        const steps = Math.round((this.#next() - 0.5) * 2_000 * activity);
        this.#values[line] = Math.max(0, value + steps * motion.step);
      } else {
        const grown = motion.perSecond * activity * seconds * (0.5 + this.#next());
        this.#values[line] = this.#round(value + grown, motion.step);
      }
    });
  }

  /** Ends an instance; another one comes in its place, with names that no instance had before, and counts from 0. */
  replaceInstance(instance: number): void {
    this.#generations[instance] = (this.#generations[instance] ?? 0) + 1;
    this.#kinds[instance] = this.#chooseActivity();
    this.#template.lines.forEach((line, index) => {
      if (line.instance !== instance) return;
      this.#texts[index] = this.#nameOf(line.text, instance);
      if (line.motion.kind === "counter") this.#values[index] = 0;
    });
  }

  /** The page as it is now. */
  page(): string {
    let page = "";
    this.#template.lines.forEach(({ motion, value, instance: _ }, line) => {
      const text = this.#texts[line] ?? "";
      if (value === undefined) page += `${text}\n`;
      else if (motion.kind === "constant") page += `${text} ${value}\n`;
      else page += `${text} ${writtenValue(motion, this.#values[line] ?? NaN)}\n`;
    });
    return page;
  }
}

/** As libvirt's nanoseconds look once they are seconds. */
function writtenValue(motion: Motion, value: number): string {
  return motion.kind === "counter" && motion.step < 1
    ? `${Math.round(value * 1e9) / 1e9}`
    : `${value}`;
}
