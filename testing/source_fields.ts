import type { Family, LabelSet } from "../src/metrics/family.ts";

/**
 * The fields of libvirt's statistics that a family's values and labels come from, with `N` for each number and `*` for a name
 * that the hypervisor chooses, such as `block.N.rd.bytes`.
 */
export function sourceFields(family: Family): readonly string[] {
  return [...valueFields(family), ...labelFields(family.labelSet)];
}

/** Those of the values alone. */
function valueFields({ source, labelSet }: Family): readonly string[] {
  if (!("field" in source)) return [];
  const prefix = labelSet.scope === "device" ? `${labelSet.group}.` : "";
  return [source.field, source.minus, source.over]
    .flatMap((field) => field === undefined ? [] : [`${prefix}${field}`]);
}

/** Those of the labels alone. */
export function labelFields(labelSet: LabelSet): readonly string[] {
  if (labelSet.scope === "value") {
    const read: string[] = [];
    labelSet.key((field) => {
      read.push(field);
      return 1;
    });
    return read;
  }
  if (labelSet.scope !== "device") return [];
  const { group, named, ownerName } = labelSet;
  return [
    ...(named ? [`${group}.name`] : []),
    ...(ownerName === undefined ? [] : [ownerName(["N", "N"])]),
  ];
}
