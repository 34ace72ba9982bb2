/**
 * A Prometheus exporter for the instances of an OpenStack compute host. This is the program: it reads the command line,
 * runs, and ends with 0, with 1 when something was wrong (one line on standard error), or with 2 when the command line was.
 *
 * @example `libvirt_nova_exporter --port 9204 --log -`
 */
import process from "node:process";
import { parseCommandLine, UsageError } from "./src/cli.ts";
import type { Config } from "./src/config.ts";
import { checkWebConfig, printOnce, startExporter } from "./src/exporter.ts";
import { tellOnStandardError } from "./src/log.ts";
import { versionText } from "./src/version.ts";

/** Exit code of a shell's commands for a wrong command line. */
const USAGE_EXIT_CODE = 2;

// The callbacks of the writes tell what went wrong; without a listener it would end the process as well.
process.stdout.on("error", () => {});
process.exit(await main());

async function main(): Promise<number> {
  try {
    const invocation = parseCommandLine(process.argv.slice(2));
    switch (invocation.kind) {
      case "help":
        await write(invocation.text);
        return 0;
      case "version":
        await write(`${versionText()}\n`);
        return 0;
      case "run":
        return await run(invocation.config);
    }
  } catch (error) {
    tellOnStandardError(
      `libvirt_nova_exporter: ${error instanceof Error ? error.message : String(error)}`,
    );
    return error instanceof UsageError ? USAGE_EXIT_CODE : 1;
  }
}

async function run(config: Config): Promise<number> {
  if (config.webConfigCheck) {
    await write(`${await checkWebConfig(config)}\n`);
    return 0;
  }
  if (config.once === undefined) return await serve(config);
  // A serial console may say 0.
  return await printOnce(config, config.once, write, process.stdout.columns || undefined);
}

/** Serves until a signal says to stop; a second one ends the process at once. */
async function serve(config: Config): Promise<number> {
  const exporter = await startExporter(config);
  process.on("SIGHUP", () => exporter.reload());
  process.on("uncaughtException", (error) => exporter.noteDefect(error));
  process.on("unhandledRejection", (error) => exporter.noteDefect(error));
  const stopped = new Promise<string>((resolve) => {
    for (const name of ["SIGTERM", "SIGINT"] as const) {
      process.once(name, () => {
        process.on(name, () => process.exit(1));
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
