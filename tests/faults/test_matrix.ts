/**
 * Makes a test of a part of the fault matrix.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Cell } from "./cells.ts";
import { failureTable, runCells } from "./matrix.ts";
import type { Daemon } from "./subject.ts";

/** Exporters at the same time; each of them waits for nearly all of the time. */
const SIDE_BY_SIDE = 8;

/** What {@linkcode testMatrix} goes through. */
export interface MatrixPart {
  /** The folder of the stand-in. */
  readonly library: string;
  readonly cells: readonly Cell[];
  readonly daemon?: () => Promise<Daemon & AsyncDisposable>;
}

/**
 * Registers a test with a step for each function. It goes through all cells whatever becomes of some, and then shows those
 * that failed. The environment variable `FAULTS` chooses the functions whose names match it, as a regular expression.
 */
export function testMatrix(name: string, { library, cells, daemon }: MatrixPart): void {
  const pattern = new RegExp(Deno.env.get("FAULTS") ?? "");
  const chosen = cells.filter(({ call }) => pattern.test(call));
  // The cells of all steps run at the same time.
  const options = { sanitizeOps: false, sanitizeResources: false };
  Deno.test(name, options, async (context) => {
    await using started = await daemon?.();
    const { findings: outcomes, ended } = runCells(library, chosen, {
      sideBySide: SIDE_BY_SIDE,
      ...(started === undefined ? {} : { daemon: started }),
    });
    const entries = [...outcomes];
    for (const call of new Set(chosen.map((cell) => cell.call))) {
      await context.step({
        name: call,
        ...options,
        fn: async () => {
          const own = entries.filter(([cell]) => cell.call === call);
          const findings = await Promise.all(own.map(([, outcome]) => outcome));
          const failed = findings.filter((one) => one.length > 0);
          if (failed.length > 0) assert.fail(`${failed.length} of ${own.length} cells failed`);
        },
      });
    }
    await ended;
    const table = await failureTable(outcomes);
    if (table !== "") assert.fail(`These cells failed:\n${table}`);
  });
}
