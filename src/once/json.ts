import type { Collection } from "../collection.ts";
import {
  hostFamilies,
  instanceFamilies,
  type InstanceFamily,
  type PlainFamily,
  readLabels,
} from "../metrics/exposition.ts";

/** A family as JSON has it. */
interface JsonFamily {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly metrics: readonly {
    readonly labels: Readonly<Record<string, string>>;
    /** As text, since JSON has no infinities, and as the text format writes it. */
    readonly value: string;
  }[];
}

/**
 * The families of a collection as JSON, in the form that `prom2json` gives a page: an array of families with their
 * samples. Ends with a line feed.
 */
export function renderJson(collection: Collection): string {
  const { snapshot, collectors, labelTexts } = collection.parts;
  const instances = snapshot === undefined ? [] : Array.from(
    instanceFamilies(collectors, snapshot, labelTexts),
    jsonOfInstances,
  );
  const host = snapshot === undefined ? [] : hostFamilies(collectors, snapshot);
  const families = [...instances, ...[...host, ...collection.selfFamilies].map(jsonOfPlain)];
  return `${JSON.stringify(families.filter(({ metrics }) => metrics.length > 0), null, 2)}\n`;
}

function jsonOfInstances({ family, rows, valueOf }: InstanceFamily): JsonFamily {
  const { name, help, type } = family;
  const metrics = rows.flatMap((row) => {
    const value = valueOf(row);
    return value === undefined
      ? []
      : [{ labels: Object.fromEntries(readLabels(row.labels)), value: String(value) }];
  });
  return { name, help, type, metrics };
}

function jsonOfPlain({ name, help, type, samples }: PlainFamily): JsonFamily {
  const metrics = samples.map(({ labels, value }) => ({
    labels: Object.fromEntries(labels),
    value: String(value),
  }));
  return { name, help, type, metrics };
}
