import assert from "node:assert/strict";
import type { ServingExecutable } from "./executable.ts";
import { valueOf } from "./parse_page.ts";
import { assertNoStackTrace, countLines } from "./printed_lines.ts";

/** Its log cannot be written: it says so and why, once, then logs to standard error and serves on. */
export async function assertServesWithoutLog(
  exporter: ServingExecutable,
  reason: RegExp,
): Promise<void> {
  for (let scrape = 0; scrape < 3; scrape++) {
    assert.equal(valueOf(await exporter.scrape(), "libvirt_nova_up"), 1);
  }
  const { code, errorOutput } = await exporter.stop();
  assert.equal(code, 0);
  assert.equal(countLines(errorOutput, "Cannot write the log file"), 1, errorOutput);
  assert.match(errorOutput, reason);
  assert.match(errorOutput, /message=Started/);
  assertNoStackTrace(errorOutput);
}
