/**
 * What a run has found, and how the documentation shows it.
 *
 * @module
 */

import { replacePart, table } from "../../scripts/markdown.ts";
import type { Comparison } from "./comparison.ts";
import type { RuleOutcome } from "./rules.ts";

/** An operation and what came of comparing afterwards. */
export interface OperationRow extends Comparison {
  readonly name: string;
  /** What the page shows besides that all agree. */
  readonly remark: string;
}

/** All that a run has found. */
export interface Report {
  readonly rows: readonly OperationRow[];
  readonly rules: RuleOutcome;
}

/** Whether the first page after the operation agreed. */
export function hasPassed({ pages, differences }: OperationRow): boolean {
  return pages === 1 && differences.length === 0;
}

/** Whether everything was as it ought to be. */
export function isGood({ rows, rules }: Report): boolean {
  return rows.length > 0 && rows.every(hasPassed) &&
    rules.broken.length === 0 && rules.firing.length === 0 && rules.emptyPages === 0 &&
    rules.recording > 0 &&
    rules.alerting > 0;
}

/** Names one after the other, or that there are none. */
function list(names: readonly string[]): string {
  return names.length === 0 ? "none" : names.map((name) => `\`${name}\``).join(", ");
}

/** What came of an operation, in words. */
export function outcome({ pages, differences }: OperationRow): string {
  if (differences.length > 0) return differences.join("; ");
  return pages === 1 ? "agrees" : `agrees from page ${pages} on only`;
}

/** Puts what a run has found into the document. */
export function withReport(document: string, { rows, rules }: Report): string {
  const operations = table(
    ["Operation", "The page afterwards", "Result"],
    rows.map((row) => [
      row.name,
      row.remark === "" ? "as Nova and virsh say" : row.remark,
      outcome(row).replaceAll("\n", " "),
    ]),
  );
  const alerts = table(["Rules", "Result"], [
    ["recording rules evaluated", String(rules.recording)],
    ["alerts evaluated", String(rules.alerting)],
    ["rules that failed", list(rules.broken)],
    ["alerts that fired", list(rules.firing)],
    ["alerts that were pending for a while", list(rules.pending)],
    ["scrapes that got no page within a second", String(rules.failedScrapes)],
    ["pages with `libvirt_nova_up` 0", String(rules.emptyPages)],
  ]);
  return replacePart(document, "results", `${operations}\n${alerts}`);
}
