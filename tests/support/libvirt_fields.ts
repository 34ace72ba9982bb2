const FIELDS = new URL("../fixtures/libvirt-fields/fields.tsv", import.meta.url);

/** A field of libvirt's bulk statistics. */
export interface LibvirtField {
  /** With `N` for each number, and `*` for a name that the hypervisor chooses, such as `block.N.rd.bytes`. */
  readonly field: string;
  /** The release that it came with, and how that is known. */
  readonly since: string;
}

/** All fields that libvirt has, by the fixture. */
export function readLibvirtFields(): readonly LibvirtField[] {
  const [, ...lines] = Deno.readTextFileSync(FIELDS).trimEnd().split("\n");
  const rows = lines.map((line) => {
    const [key = "", since = ""] = line.split("\t");
    return { key, since };
  });
  return resolveFields(rows);
}

/** Puts the key parts of the fixture together. */
export function resolveFields(
  rows: readonly { readonly key: string; readonly since: string }[],
): readonly LibvirtField[] {
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
