const FIELDS = new URL("../tests/fixtures/libvirt-fields/fields.tsv", import.meta.url);

const COMPLETE_UP_TO = /^# complete up to libvirt (\d+\.\d+\.\d+)$/m;

/** A field of libvirt's bulk statistics or of its statistics of jobs. */
export interface LibvirtField {
  /** With `N` for each number, and `*` for a name that the hypervisor chooses, such as `block.N.rd.bytes`. */
  readonly field: string;
  /** The release that it came with, and how that is known. */
  readonly since: string;
}

/** A line of the fixture: a field's name or a part of one, as libvirt's header declares it. */
export interface FieldRow {
  readonly key: string;
  readonly since: string;
}

/** What the fixture holds. */
export interface FieldList {
  /** The release up to which it has all fields, such as `12.3.0`. */
  readonly completeUpTo: string;
  readonly rows: readonly FieldRow[];
}

/**
 * The fixture as it stands.
 *
 * @throws {Error} when its first line does not tell a release
 */
export function readFieldList(text = Deno.readTextFileSync(FIELDS)): FieldList {
  const [first = "", , ...lines] = text.trimEnd().split("\n");
  const completeUpTo = COMPLETE_UP_TO.exec(first)?.[1];
  if (completeUpTo === undefined) {
    throw new Error(`The first line of fields.tsv tells no release: "${first}"`);
  }
  const rows = lines.map((line) => {
    const [key = "", since = ""] = line.split("\t");
    return { key, since };
  });
  return { completeUpTo, rows };
}

/** Notes in the fixture up to which release it is complete. */
export function noteCompleteness(release: string): void {
  const text = Deno.readTextFileSync(FIELDS);
  Deno.writeTextFileSync(
    FIELDS,
    text.replace(COMPLETE_UP_TO, `# complete up to libvirt ${release}`),
  );
}

/** All fields that libvirt has, by the fixture. */
export function readLibvirtFields(): readonly LibvirtField[] {
  return resolveFields(readFieldList().rows);
}

/** Puts the key parts of the fixture together. */
export function resolveFields(rows: readonly FieldRow[]): readonly LibvirtField[] {
  const fields: LibvirtField[] = [];
  // The device whose parts follow, the device within it, and the kinds of histograms that were named.
  let outer = "";
  let inner: string | undefined;
  const histograms: string[] = [];
  for (const { key, since } of rows) {
    const add = (field: string): void => {
      fields.push({ field, since });
    };
    const histogram = /^\.latency_histogram\.(\w+)\.$/.exec(key);
    if (key === "vm.") {
      for (const end of ["cur", "sum", "max"]) add(`vm.*.${end}`);
    } else if (histogram !== null) {
      outer = "block.N";
      inner = undefined;
      histograms.push(`${outer}.latency_histogram.${histogram[1]}`);
    } else if (key === "bin.") inner = "bin.N";
    else if (key === "bin.count") add("histogram.bin.count");
    else if (/^\.(start|value)$/.test(key)) add(`histogram.bin.N${key}`);
    else if (/^[a-z].*\.$/.test(key)) {
      outer = `${key}N`;
      inner = undefined;
    } else if (/^\..*\.$/.test(key)) inner = `${outer}${key}N`;
    else if (key.startsWith(".limits.")) add(`${outer}${key}`);
    else if (/^\.(cur|sum|max)$/.test(key)) add(`${outer}.*${key}`);
    else if (/^\.\w+\.count$/.test(key)) add(`${outer}${key}`);
    else if (key.startsWith(".")) add(`${inner ?? outer}${key}`);
    else add(key);
  }
  return fields.flatMap(({ field, since }) =>
    field.startsWith("histogram.")
      ? histograms.map((one) => ({ field: field.replace("histogram", one), since }))
      : [{ field, since }]
  );
}
