/**
 * Whether two exporters that ask the same hypervisor serve the same page.
 *
 * @module
 */

import { deepStrictEqual as deepEqual } from "node:assert/strict";
import { assertBetween, seriesKey, valuesBySeries } from "../real/expected_samples.ts";
import type { AnsweredScrape } from "../../testing/exporter_process.ts";

/** Families about the exporter itself, whose values are each exporter's own. */
const isOwn = (family: string): boolean =>
  /^(process|libvirt_nova_exporter|libvirt_nova_call)_/.test(family);

/** Figures of the host that go up and down with whatever else the machine does, so that two looks say nothing of a third. */
const isRestless = (family: string): boolean =>
  /^libvirt_nova_node_(memory_(free|buffers|cached)|cell_memory_free|cpu_frequency)/.test(family);

/** Names, types, help and labels of everything on a page. libvirt lists domains in another order in each process. */
function shapeOf({ families }: AnsweredScrape): unknown {
  return [...families.values()].map(({ name, type, help, samples }) => ({
    name,
    type,
    help,
    series: samples.map(({ labels }) => seriesKey(name, labels)).sort(),
  }));
}

/**
 * Fails unless a page has the same families, in the same words and order, and the same series as one that another exporter served
 * before and one that it served after it, and each value of the hypervisor is between theirs.
 */
export function assertAlike(
  page: AnsweredScrape,
  before: AnsweredScrape,
  after: AnsweredScrape,
): void {
  deepEqual(shapeOf(page), shapeOf(before));
  const isOther = (family: string): boolean => !isOwn(family) && !isRestless(family);
  assertBetween(
    valuesBySeries(page, isOther),
    valuesBySeries(before, isOther),
    valuesBySeries(after, isOther),
  );
}
