import { performance } from "node:perf_hooks";
import { setTimeout as wait } from "node:timers/promises";
import type { Config } from "../config/config.ts";
import type { OnceFormat } from "../config/flags.ts";
import { openLog } from "../log/log.ts";
import { writeToStandardError } from "../log/standard_error.ts";
import { type OpenHypervisor, openTarget, scrapeInFull } from "../scrape/targets.ts";
import { type Clock, printout } from "./printout.ts";

/** The clock of this machine. */
const CLOCK: Clock = {
  measuredAt: ({ findings }) => findings.measuredAt ?? performance.now(),
  unixMilliseconds: () => Date.now(),
  wait: (milliseconds) => wait(milliseconds),
};

/**
 * Collects once, or twice for rates, and prints what was found through `write`.
 *
 * @param terminalColumns width of the terminal that `write` writes to; undefined when it is none
 * @param open opens the hypervisor, where that is not libvirt's
 * @returns the exit code: 0 when libvirt answered, else 1
 * @throws {NativeLibraryError} without libvirt's client library
 */
export async function printOnce(
  config: Config,
  format: OnceFormat,
  write: (chunk: Uint8Array) => Promise<void>,
  terminalColumns?: number,
  open?: OpenHypervisor,
): Promise<number> {
  const log = openLog({
    file: undefined,
    level: config.logLevel === "info" ? "warn" : config.logLevel,
    format: config.logFormat,
    standardError: writeToStandardError,
  });
  // Rates need two collections that are not shared.
  const target = await openTarget({ ...config, minimumIntervalMilliseconds: 0 }, log, { open });
  const { isUp, chunks } = await printout(format, {
    collect: () => scrapeInFull(target.scraper),
    clock: CLOCK,
    terminalColumns,
  });
  for (const chunk of chunks) await write(chunk);
  await target.close();
  return isUp ? 0 : 1;
}
