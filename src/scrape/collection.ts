import { Buffer } from "node:buffer";
import { performance } from "node:perf_hooks";
import {
  type ExpositionFormat,
  PAGE_END,
  type PlainFamily,
  renderCollectors,
  renderPlainFamilies,
} from "../metrics/exposition.ts";
import type { Findings } from "../metrics/findings.ts";
import { toSeconds } from "../time.ts";

/** By how much a page's age may be wrong. */
const SAME_PAGE_MILLISECONDS = 10;

/** A page as it was at some age. */
interface Page {
  readonly age: number;
  readonly chunks: readonly Uint8Array[];
}

/**
 * What one collection found, and the pages that are made of it: each format once, when it is first wanted. A collection
 * never changes, but the age of its values, which each page tells, does.
 */
export class Collection {
  readonly findings: Findings;
  /** When it ended, in milliseconds of a steady clock. */
  #collectedAt = performance.now();
  #selfFamilies: readonly PlainFamily[] = [];
  readonly #bodies = new Map<ExpositionFormat, readonly Uint8Array[]>();
  readonly #pages = new Map<ExpositionFormat, Page>();

  constructor(findings: Findings) {
    this.findings = findings;
  }

  /** Makes the instances' and the host's part of the page in this format now, so that its time can be measured. */
  render(format: ExpositionFormat): readonly Uint8Array[] {
    const known = this.#bodies.get(format);
    if (known !== undefined) return known;
    const { snapshot, collectors, labelTexts } = this.findings;
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

  /** The whole page as it is now, in UTF-8. Requests at the same moment get the same chunks, so that these are compressed once. */
  page(format: ExpositionFormat): readonly Uint8Array[] {
    const known = this.#pages.get(format);
    const age = this.ageMilliseconds;
    if (known !== undefined && age - known.age < SAME_PAGE_MILLISECONDS) return known.chunks;
    const text = renderPlainFamilies([...this.#selfFamilies, ageFamily(toSeconds(age))], format);
    const chunks = [...this.render(format), encode(text + PAGE_END[format])];
    this.#pages.set(format, { age, chunks });
    return chunks;
  }
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
