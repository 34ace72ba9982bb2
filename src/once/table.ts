import type { InstanceFacts, Overview, Subject } from "./overview.ts";
import { ABSENT, hostText, NO_INSTANCES } from "./overview_text.ts";
import { displayWidth, fit, printable, wrap } from "./terminal_text.ts";
import { bytesText, percentText, type UnitStyle } from "./units.ts";

/** What stands between columns. */
const GAPS: Readonly<Record<UnitStyle, string>> = { full: "  ", short: " " };

/** A column of the table. */
interface Column {
  readonly heading: Readonly<Record<UnitStyle, string>>;
  /** Without the collectors of its subject there is no such column. */
  readonly subject?: Subject;
  /** For a text, which may be cut: to how many columns where there is room, and where there is little. */
  readonly shrinksTo?: Readonly<Record<UnitStyle, number>>;
  cell(instance: InstanceFacts, style: UnitStyle): string | undefined;
}

const NAME: Column = {
  heading: { full: "NAME", short: "NAME" },
  shrinksTo: { full: 24, short: 14 },
  cell: ({ name }) => printable(name),
};

const PROJECT: Column = {
  heading: { full: "PROJECT", short: "PROJECT" },
  shrinksTo: { full: 16, short: 8 },
  cell: ({ project }) => project === undefined ? undefined : printable(project),
};

const STATE: Column = {
  heading: { full: "STATE", short: "STATE" },
  shrinksTo: { full: 16, short: 12 },
  cell: ({ state, reason }) => reason === undefined ? state : `${state}: ${reason}`,
};

const VIRTUAL_CPUS: Column = {
  heading: { full: "VCPUS", short: "VCPU" },
  cell: ({ virtualCpus }) => virtualCpus === undefined ? undefined : String(virtualCpus),
};

const CPU: Column = {
  heading: { full: "%CPU", short: "%CPU" },
  subject: "cpu",
  cell: ({ cores }) => cores === undefined ? undefined : percentText(cores),
};

const USED = bytes("MEM USED", "USED", ({ usedBytes }) => usedBytes, "memory");
// The definition tells it, too, so it does without the collectors.
const MEMORY = bytes("MEMORY", "MEM", ({ memoryBytes }) => memoryBytes);
const READ = bytes("READ/s", "RD/s", (instance) => instance.readBytesPerSecond, "disk");
const WRITTEN = bytes("WRITE/s", "WR/s", (instance) => instance.writtenBytesPerSecond, "disk");
const RECEIVED = bytes("RX/s", "RX/s", (instance) => instance.receivedBytesPerSecond, "network");
const SENT = bytes("TX/s", "TX/s", (instance) => instance.transmittedBytesPerSecond, "network");

const COLUMNS: readonly Column[] = [
  NAME,
  PROJECT,
  STATE,
  VIRTUAL_CPUS,
  CPU,
  USED,
  MEMORY,
  READ,
  WRITTEN,
  RECEIVED,
  SENT,
];

/** What is left out first where a terminal is too narrow; the name stays. */
const LEFT_OUT: readonly (readonly Column[])[] = [
  [PROJECT],
  [VIRTUAL_CPUS],
  [RECEIVED, SENT],
  [READ, WRITTEN],
  [MEMORY],
  [STATE],
  [USED],
  [CPU],
];

function bytes(
  full: string,
  short: string,
  amount: (instance: InstanceFacts) => number | undefined,
  subject?: Subject,
): Column {
  return {
    heading: { full, short },
    ...(subject === undefined ? {} : { subject }),
    cell(instance, style): string | undefined {
      const found = amount(instance);
      return found === undefined ? undefined : bytesText(found, style);
    },
  };
}

/** The columns that a table has, and how wide each is. */
interface Layout {
  readonly columns: readonly Column[];
  readonly style: UnitStyle;
  readonly widths: readonly number[];
}

/**
 * The overview as a table: a line about the host, a line for each instance, and lines about what is missing. No line is
 * wider than the terminal, whose columns are undefined when it is none: then nothing is cut. Ends with a line feed.
 */
export function renderTable(overview: Overview, terminalColumns: number | undefined): string {
  const { instances, asked, notes } = overview;
  const columns = COLUMNS.filter(({ subject }) => subject === undefined || asked[subject]);
  const layout = layOut(columns, instances, terminalColumns ?? Infinity);
  const missing = columns.filter((column) => !layout.columns.includes(column));
  const lines = instances.length === 0 ? [NO_INSTANCES] : tableLines(layout, instances);
  const sentences = (texts: readonly string[]): readonly string[] =>
    texts.flatMap((text) => wrap(printable(text), terminalColumns ?? Infinity));
  const below = sentences([
    ...notes,
    ...(instances.length === 0 ? [] : roomNotes(missing.map(({ heading }) => heading.full))),
  ]);
  const blocks = [
    sentences([hostText(overview.host)]),
    instances.length === 0 ? sentences(lines) : lines,
    below,
  ].filter((block) => block.length > 0);
  return `${blocks.map((block) => block.join("\n")).join("\n\n")}\n`;
}

/** What is printed when libvirt did not answer. */
export function renderUnanswered(
  reason: string | undefined,
  terminalColumns: number | undefined,
): string {
  const text = printable(`libvirt did not answer: ${reason ?? "unknown reason"}`);
  return `${wrap(text, terminalColumns ?? Infinity).join("\n")}\n`;
}

function roomNotes(headings: readonly string[]): readonly string[] {
  if (headings.length === 0) return [];
  return [`No room for ${headings.join(", ")}: widen the terminal, or pipe into less -S`];
}

function tableLines(
  { columns, style, widths }: Layout,
  instances: readonly InstanceFacts[],
): readonly string[] {
  const line = (cell: (column: Column) => string): string =>
    columns.map((column, position) =>
      fit(cell(column), widths[position] ?? 0, column.shrinksTo === undefined ? "right" : "left")
    ).join(GAPS[style]).trimEnd();
  return [
    line(({ heading }) => heading[style]),
    ...instances.map((instance) => line((column) => column.cell(instance, style) ?? ABSENT)),
  ];
}

/** With long units if all columns have room then, else with short ones, and without some columns if need be. */
function layOut(
  columns: readonly Column[],
  instances: readonly InstanceFacts[],
  room: number,
): Layout {
  const full = tryLayout(columns, "full", instances, room);
  if (full !== undefined) return full;
  let left = columns;
  for (const out of [[], ...LEFT_OUT]) {
    left = left.filter((column) => !out.includes(column));
    const short = tryLayout(left, "short", instances, room);
    if (short !== undefined) return short;
  }
  return { columns: [NAME], style: "short", widths: [Math.max(1, room)] };
}

function tryLayout(
  columns: readonly Column[],
  style: UnitStyle,
  instances: readonly InstanceFacts[],
  room: number,
): Layout | undefined {
  const widths = columns.map(({ heading, cell }) =>
    instances.reduce(
      (widest, instance) => Math.max(widest, displayWidth(cell(instance, style) ?? ABSENT)),
      heading[style].length,
    )
  );
  const least = columns.map(({ shrinksTo }) => shrinksTo?.[style] ?? Infinity);
  let excess =
    widths.reduce((sum, width) => sum + width, (columns.length - 1) * GAPS[style].length) - room;
  // The widest text gives way first.
  for (; excess > 0; excess--) {
    let widest: number | undefined;
    widths.forEach((width, position) => {
      if (width <= (least[position] ?? Infinity)) return;
      if (widest === undefined || width > (widths[widest] ?? 0)) widest = position;
    });
    if (widest === undefined) return undefined;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  return { columns, style, widths };
}
