import assert from "node:assert/strict";
import { runCommand } from "../../testing/command.ts";
import { join } from "node:path";
import { moduleOf, RUNTIME_COMMANDS, type RuntimeName } from "../../testing/run_under.ts";
import { type Log, type LogOptions, openLog } from "../../src/log/log.ts";

/** The time of all lines of the log. */
export const TIME = new Date("2026-11-24T03:04:05.678Z");

/** A line of the log in JSON. */
export type Line = Readonly<Record<string, unknown>>;

/** Opens a log in JSON, whose lines on standard error are collected. */
export function openTestLog(
  file: string | undefined,
  options: Partial<LogOptions> = {},
): { readonly log: Log; readonly standardError: Line[] } {
  const standardError: Line[] = [];
  const log = openLog({
    file,
    level: "debug",
    format: "json",
    now: () => TIME,
    standardError: (line) => {
      assert.ok(!line.includes("\n"));
      standardError.push(JSON.parse(line));
    },
    ...options,
  });
  return { log, standardError };
}

/** The lines of a log file. */
export function readLog(path: string): Line[] {
  const text = Deno.readTextFileSync(path);
  assert.ok(text === "" || text.endsWith("\n"));
  return text.split("\n").slice(0, -1).map((line) => JSON.parse(line));
}

/** What the lines say, without their other fields. */
export function messages(lines: readonly Line[]): unknown[] {
  return lines.map(({ message }) => message);
}

/**
 * Runs a script that logs, in a process of its own: what is tested here, the limit and the closed descriptor, holds for a
 * whole process. `shell` is a shell's command line, for which `"$0" "$@"` is the command that runs the script.
 *
 * @returns its exit code and what it wrote on standard error
 */
export async function runWithLog(
  { folder, shell, script, runtime = "Deno" }: {
    readonly folder: string;
    readonly shell: string;
    readonly script: string;
    readonly runtime?: RuntimeName;
  },
): Promise<{ readonly code: number; readonly stderr: string }> {
  const imports = `
    import process from "node:process";
    import { openLog } from ${moduleOf("src/log/log.ts")};
    import { openStandardError, writeToStandardError } from ${
    moduleOf("src/log/standard_error.ts")
  };
  `;
  const parameters = ["-c", shell, ...RUNTIME_COMMANDS[runtime], imports + script];
  const { code, errorOutput } = await runCommand("sh", parameters, {
    workingDirectory: decodeURIComponent(new URL("../..", import.meta.url).pathname),
    // The limit of file sizes must not cut the caches of other processes.
    environment: { DENO_DIR: join(folder, "cache") },
  });
  return { code, stderr: errorOutput };
}
