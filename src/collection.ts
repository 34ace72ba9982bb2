import { Buffer } from "node:buffer";
import { performance } from "node:perf_hooks";
import type { Snapshot } from "./libvirt/snapshot.ts";
import {
  type ExpositionFormat,
  type LabelTexts,
  PAGE_END,
  type PlainFamily,
  renderCollectors,
  renderPlainFamilies,
} from "./metrics/exposition.ts";
import type { Collector } from "./metrics/family.ts";

/** By how much a page's age may be wrong. */
const MOMENT_MILLISECONDS = 10;

/** A page as it was at some age. */
interface Page {
  readonly age: number;
  readonly chunks: readonly Uint8Array[];
}

/** What a collection is made of. */
export interface CollectionParts {
  /** Whether libvirt listed its domains. */
  readonly isUp: boolean;
  /** Why not. */
  readonly reason: string | undefined;
  /** Active instances that are exported; undefined when libvirt gave no list. */
  readonly instances: number | undefined;
  /** Instances that are not on the page yet, because there was no time to read their definitions. */
  readonly unread: number;
  /** When the values were asked for, in milliseconds of `performance.now()`; undefined when libvirt gave no list. */
  readonly measuredAt: number | undefined;
  /** What was found; undefined when libvirt gave no list. */
  readonly snapshot: Snapshot | undefined;
  readonly collectors: readonly Collector[];
  readonly labelTexts: LabelTexts;
}

/**
 * What one collection found, and the pages that are made of it: each format once, when it is first wanted. A collection
 * never changes, but the age of its values, which each page tells, does.
 */
export class Collection {
  readonly parts: CollectionParts;
  /** When it ended, in milliseconds of a steady clock. */
  #collectedAt = performance.now();
  #selfFamilies: readonly PlainFamily[] = [];
  readonly #bodies = new Map<ExpositionFormat, readonly Uint8Array[]>();
  readonly #pages = new Map<ExpositionFormat, Page>();

  constructor(parts: CollectionParts) {
    this.parts = parts;
  }

  /** Makes the instances' and the host's part of the page in this format now, so that its time can be measured. */
  render(format: ExpositionFormat): readonly Uint8Array[] {
    const known = this.#bodies.get(format);
    if (known !== undefined) return known;
    const { snapshot, collectors, labelTexts } = this.parts;
    const body = snapshot === undefined
      ? []
      : Array.from(renderCollectors(collectors, snapshot, labelTexts, format), encode);
    this.#bodies.set(format, body);
    return body;
  }

  /** Adds what the exporter says about itself, as the last step of a collection. */
  complete(selfFamilies: readonly PlainFamily[]): this {
    this.#selfFamilies = selfFamilies;
    this.#collectedAt = performance.now();
    return this;
  }

  /** What the exporter says about itself. */
  get selfFamilies(): readonly PlainFamily[] {
    return this.#selfFamilies;
  }

  /** Milliseconds since it ended. */
  get ageMilliseconds(): number {
    return performance.now() - this.#collectedAt;
  }

  /** The whole page as it is now, in UTF-8. Who asks at the same moment gets the same chunks, to compress them once. */
  page(format: ExpositionFormat): readonly Uint8Array[] {
    const known = this.#pages.get(format);
    const age = this.ageMilliseconds;
    if (known !== undefined && age - known.age < MOMENT_MILLISECONDS) return known.chunks;
    const rest = renderPlainFamilies([...this.#selfFamilies, ageFamily(toSeconds(age))], format);
    const chunks = [...this.render(format), encode(rest + PAGE_END[format])];
    this.#pages.set(format, { age, chunks });
    return chunks;
  }
}

/** Seconds of a duration in milliseconds, to the microsecond: a clock's further digits say nothing. */
export function toSeconds(milliseconds: number): number {
  return Math.round(milliseconds * 1e3) / 1e6;
}

function ageFamily(seconds: number): PlainFamily {
  const name = "libvirt_nova_exporter_collection_age_seconds";
  return {
    name,
    type: "gauge",
    help: "Age of the values on this page; above 0 where scrapes share a collection",
    samples: [{ name, labels: [], value: seconds }],
  };
}

function encode(text: string): Uint8Array {
  return Buffer.from(text, "utf8");
}
