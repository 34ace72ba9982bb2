import type { InstanceFacts, Overview, Subject } from "../once/overview.ts";
import { bytesText, percentText } from "../once/units.ts";
import { cutHtml, type Html, safeHtml } from "./html.ts";

/** Instances that are shown at most, so that a page stays one that a browser can show. */
export const MAXIMUM_ROWS = 1_000;

/** What names may take on the page at most, so that a hundred instances are a small page whatever they are called. */
const MAXIMUM_NAME_BYTES = 80;
const MAXIMUM_PROJECT_BYTES = 40;
const MAXIMUM_LIBVIRT_NAME_BYTES = 36;

/** How many lengths a bar can have. The style has a class for each, as it may not stand in the cell itself. */
export const BAR_STEPS = 50;

const ABSENT = safeHtml`–`;

/** A column behind the name. */
interface Column {
  readonly heading: string;
  /** The class of its cells, which gives them their label on narrow screens. */
  readonly name: string;
  /** Without the collectors of its subject there is no such column. */
  readonly subject?: Subject;
  /** How much of what there is is taken, for a bar. */
  readonly share?: (instance: InstanceFacts) => number | undefined;
  /** Further classes. */
  readonly classes?: (instance: InstanceFacts) => string;
  cell(instance: InstanceFacts): Html | undefined;
}

const COLUMNS: readonly Column[] = [
  {
    heading: "Project",
    name: "p",
    cell: ({ project }) =>
      project === undefined ? undefined : cutHtml(project, MAXIMUM_PROJECT_BYTES),
  },
  {
    heading: "State",
    name: "s",
    classes: ({ state }) => STATE_CLASSES[state ?? ""] ?? "i",
    cell: ({ state, reason }) =>
      state === undefined
        ? undefined
        : safeHtml`${state}${reason === undefined ? "" : `: ${reason}`}`,
  },
  {
    heading: "vCPUs",
    name: "v",
    cell: ({ virtualCpus }) => virtualCpus === undefined ? undefined : safeHtml`${virtualCpus}`,
  },
  {
    heading: "CPU",
    name: "c",
    subject: "cpu",
    share: ({ cores, virtualCpus }) => shareOf(cores, virtualCpus),
    cell: ({ cores }) => cores === undefined ? undefined : safeHtml`${percentText(cores)} %`,
  },
  {
    heading: "Memory",
    name: "m",
    share: ({ usedBytes, memoryBytes }) => shareOf(usedBytes, memoryBytes),
    cell: memoryCell,
  },
  rate("Read/s", "r", "disk", (instance) => instance.readBytesPerSecond),
  rate("Written/s", "w", "disk", (instance) => instance.writtenBytesPerSecond),
  rate("Received/s", "x", "network", (instance) => instance.receivedBytesPerSecond),
  rate("Sent/s", "t", "network", (instance) => instance.transmittedBytesPerSecond),
];

/** Classes that colour the dot before a state; any other state wants attention. */
const STATE_CLASSES: Readonly<Record<string, string>> = {
  "": "o",
  running: "",
  blocked: "",
  crashed: "e",
  shutoff: "o",
  shutdown: "o",
};

function rate(
  heading: string,
  name: string,
  subject: Subject,
  amount: (instance: InstanceFacts) => number | undefined,
): Column {
  return {
    heading,
    name,
    subject,
    cell(instance): Html | undefined {
      const found = amount(instance);
      return found === undefined ? undefined : safeHtml`${bytesText(found, "full")}`;
    },
  };
}

function memoryCell({ usedBytes, memoryBytes }: InstanceFacts): Html | undefined {
  if (memoryBytes === undefined) return undefined;
  const total = bytesText(memoryBytes, "full");
  return usedBytes === undefined
    ? safeHtml`${total}`
    : safeHtml`${bytesText(usedBytes, "full")} of ${total}`;
}

function shareOf(part: number | undefined, whole: number | undefined): number | undefined {
  if (part === undefined || whole === undefined || !(whole > 0)) return undefined;
  return Math.min(1, part / whole);
}

/** What one step of a bar is; something is never nothing. */
function stepOf(share: number): number {
  return share > 0 ? Math.max(1, Math.round(share * BAR_STEPS)) : 0;
}

/** What holds for all instances of a table. */
export interface TableFacts {
  readonly asked: Overview["asked"];
  /** How old the values are, in words. */
  readonly age: string;
  /** Whether libvirt is no longer there, so that the states may have changed. */
  readonly isPast: boolean;
}

/** The instances as a table, in their order. */
export function instanceTable(
  instances: readonly InstanceFacts[],
  { asked, age, isPast }: TableFacts,
): Html {
  const columns = COLUMNS.filter(({ subject }) => subject === undefined || asked[subject]);
  const headings = columns.map(({ heading, name }) =>
    safeHtml`<th scope="col" class="${name}">${heading}</th>`
  );
  // Ends of rows and cells may be left out, which saves a fifth of the page.
  return safeHtml`<table${isPast ? safeHtml` class="past"` : safeHtml``}>
<thead>
<tr><th scope="col">Instance</th>${headings}<th scope="col" class="a">Age</th></tr>
</thead>
<tbody>
${instances.map((instance) => tableRow(instance, columns, age))}</tbody>
</table>`;
}

function tableRow(instance: InstanceFacts, columns: readonly Column[], age: string): Html {
  const cells = columns.map((column) => tableCell(instance, column));
  return safeHtml`<tr><th scope=row>${nameCell(instance)}${cells}<td class=a>${age}
`;
}

function nameCell({ name, libvirtName, incomplete }: InstanceFacts): Html {
  const other = name === libvirtName
    ? safeHtml``
    : safeHtml`<small>${cutHtml(libvirtName, MAXIMUM_LIBVIRT_NAME_BYTES)}</small>`;
  const mark = incomplete === undefined
    ? safeHtml``
    : safeHtml`<small class=i>Incomplete: ${incomplete}</small>`;
  return safeHtml`${cutHtml(name, MAXIMUM_NAME_BYTES)}${other}${mark}`;
}

function tableCell(instance: InstanceFacts, { name, classes, share, cell }: Column): Html {
  const taken = share?.(instance);
  const all = [
    name,
    classes?.(instance) ?? "",
    taken === undefined ? "" : `b${stepOf(taken)}`,
  ].filter((one) => one !== "");
  const text = cell(instance) ?? ABSENT;
  return all.length === 1
    ? safeHtml`<td class=${name}>${text}`
    : safeHtml`<td class="${all.join(" ")}">${text}`;
}
