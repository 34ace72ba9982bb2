/**
 * A Prometheus exporter for the instances of an OpenStack compute host. This is the program: it reads the command line,
 * runs, and ends with 0, with 1 when something was wrong (one line on standard error), or with 2 when the command line was.
 *
 * @example `libvirt_nova_exporter --port 9204 --log -`
 */
import process from "node:process";
import { parseCommandLine } from "./src/config/command_line.ts";
import { type Config, UsageError } from "./src/config/config.ts";
import { startExporter } from "./src/exporter.ts";
import { tellOnStandardError } from "./src/log/standard_error.ts";
import { printOnce } from "./src/once/once.ts";
import { messageOf } from "./src/text.ts";
import { versionText } from "./src/version.ts";
import { checkWebConfig } from "./src/web/settings/check.ts";
import type { OpenHypervisor } from "./src/scrape/targets.ts";

/** Exit code of a shell's commands for a wrong command line. */
const USAGE_EXIT_CODE = 2;

// The callbacks of the writes tell what went wrong; without a listener it would end the process as well.
process.stdout.on("error", () => {});
if (import.meta.main) process.exit(await main(process.argv.slice(2)));

/**
 * Does what a command line asks for.
 *
 * @param open opens hypervisors, where that is not libvirt's
 * @returns the exit code
 */
export async function main(
  commandLine: readonly string[],
  open?: OpenHypervisor,
): Promise<number> {
  try {
    const invocation = parseCommandLine(commandLine);
    switch (invocation.kind) {
      case "help":
        await write(invocation.text);
        return 0;
      case "version":
        await write(`${versionText()}\n`);
        return 0;
      case "run":
        return await run(invocation.config, open);
    }
  } catch (error) {
    tellOnStandardError(`libvirt_nova_exporter: ${messageOf(error)}`);
    return error instanceof UsageError ? USAGE_EXIT_CODE : 1;
  }
}

async function run(config: Config, open?: OpenHypervisor): Promise<number> {
  if (config.webConfigCheck) {
    const { summary, warnings } = await checkWebConfig(config.webConfigFile ?? "");
    await write(`${summary}\n`);
    for (const warning of warnings) tellOnStandardError(warning);
    return 0;
  }
  if (config.once === undefined) return await serve(config, open);
  // A serial console may say 0.
  return await printOnce(config, config.once, write, process.stdout.columns || undefined, open);
}

/** Serves until a signal says to stop; a second one ends the process at once, with what was logged. */
async function serve(config: Config, open?: OpenHypervisor): Promise<number> {
  const exporter = await startExporter(config, open);
  process.on("SIGHUP", () => exporter.reload());
  process.on("uncaughtException", (error) => exporter.noteDefect(error));
  process.on("unhandledRejection", (error) => exporter.noteDefect(error));
  let isStopping = false;
  const stopped = new Promise<string>((resolve) => {
    for (const name of ["SIGTERM", "SIGINT"] as const) {
      // Deno would call a listener that is added here for this very signal.
      process.on(name, () => {
        if (isStopping) exporter.flush().then(() => process.exit(1));
        isStopping = true;
        resolve(name);
      });
    }
  });
  exporter.announce();
  const signal = await stopped;
  await exporter.stop(signal);
  return 0;
}

/** Writes to standard output; ends quietly when its reader has gone (`… --once | head`). */
function write(data: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(data, (error) => {
      if (error === undefined || error === null || isBrokenPipe(error)) resolve();
      else reject(new Error(`Cannot write to standard output: ${error.message}`));
    });
  });
}

function isBrokenPipe(error: Error): boolean {
  return "code" in error && error.code === "EPIPE";
}
