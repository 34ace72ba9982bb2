/** A sample of a page. */
export interface ParsedSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A family of a page. */
export interface ParsedFamily {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: readonly ParsedSample[];
}

/** The families of a page by name. */
export type Families = ReadonlyMap<string, ParsedFamily>;

/** The samples of a family whose labels include these. */
export function samplesOf(
  families: Families,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): readonly ParsedSample[] {
  const wanted = Object.entries(labels);
  return (families.get(name)?.samples ?? []).filter((sample) =>
    wanted.every(([label, value]) => sample.labels[label] === value)
  );
}

/** The value of the first sample of a family whose labels include these. */
export function valueOf(
  families: Families,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  return samplesOf(families, name, labels)[0]?.value;
}

/**
 * Reads a page in text format 0.0.4, strictly: a family's HELP, TYPE and samples stand together and once, and no sample
 * stands twice.
 *
 * @throws Error naming the line that is wrong
 */
export function parsePage(page: string): Families {
  const families = new Map<string, ParsedFamily & { samples: ParsedSample[] }>();
  const seen = new Set<string>();
  if (page !== "" && !page.endsWith("\n")) {
    throw new Error("The page does not end with a line feed");
  }
  let current: (ParsedFamily & { samples: ParsedSample[] }) | undefined;
  let help: { name: string; text: string } | undefined;
  for (const line of page.split("\n").slice(0, -1)) {
    const fail = (reason: string): never => {
      throw new Error(`${reason}: ${line}`);
    };
    const comment = /^# (HELP|TYPE) (\S+) (.*)$/s.exec(line);
    if (comment !== null) {
      const [, kind = "", name = "", text = ""] = comment;
      if (kind === "HELP") help = { name, text };
      else {
        if (help?.name !== name) fail("TYPE without its HELP");
        if (families.has(name)) fail("Family stands twice");
        current = { name, type: text, help: help?.text ?? "", samples: [] };
        families.set(name, current);
      }
      continue;
    }
    // A label's value may have what JavaScript takes for the end of a line, such as a carriage return.
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/s.exec(line);
    if (match === null) throw new Error(`Not a sample: ${line}`);
    const [, name = "", labelText = "", valueText = ""] = match;
    if (current === undefined || current.name !== name) {
      throw new Error(`Outside its family: ${line}`);
    }
    const labels = parseLabels(labelText, line);
    const key = `${name} ${JSON.stringify(Object.entries(labels).sort())}`;
    if (seen.has(key)) fail("Series stands twice");
    seen.add(key);
    const value = Number(valueText.replace(/^([+-])Inf$/, "$1Infinity"));
    if (Number.isNaN(value) && valueText !== "NaN") fail("Not a value");
    current.samples.push({ name, labels, value });
  }
  return families;
}

function parseLabels(text: string, line: string): Record<string, string> {
  const labels: Record<string, string> = {};
  const pair = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/y;
  while (pair.lastIndex < text.length) {
    const match = pair.exec(text);
    if (match === null) throw new Error(`Labels are malformed: ${line}`);
    const [, name = "", value = ""] = match;
    labels[name] = value.replace(/\\(.)/g, (_, character) => character === "n" ? "\n" : character);
  }
  return labels;
}
