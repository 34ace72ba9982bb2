/** Where set-up tells what it does: standard error, a line for each step. */
import { messageOf } from "../src/text.ts";

const encoder = new TextEncoder();

/** Writes a line to standard error. */
export function say(line: string): void {
  Deno.stderr.writeSync(encoder.encode(`${line}\n`));
}

/** Writes a line to standard output: a result. */
export function print(line: string): void {
  Deno.stdout.writeSync(encoder.encode(`${line}\n`));
}

/** How often a long step says that it is still at it. */
const STILL_AT_IT_MILLISECONDS = 15_000;

/**
 * Runs a command quietly. It says what is being done when that takes more than a moment, and how long it took.
 *
 * @throws {StepError} with the last lines of the command's output when it fails
 */
export async function step(
  description: string,
  command: readonly [string, ...string[]],
  options: { readonly cwd?: string; readonly env?: Record<string, string> } = {},
): Promise<void> {
  const [program, ...args] = command;
  const started = performance.now();
  const seconds = (): string => `${Math.round((performance.now() - started) / 1000)} s`;
  let hasSpoken = false;
  const speak = (): void => {
    say(hasSpoken ? `${description}: ${seconds()} so far` : description);
    hasSpoken = true;
  };
  const first = setTimeout(speak, 1_000);
  const repeated = setInterval(speak, STILL_AT_IT_MILLISECONDS);
  try {
    const { success, stdout, stderr } = await new Deno.Command(program, {
      args,
      ...options,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
    if (!success) {
      const decoder = new TextDecoder();
      const output = `${decoder.decode(stdout)}${decoder.decode(stderr)}`.trimEnd();
      throw new StepError(`${output.split("\n").slice(-20).join("\n")}\n${description}: failed`);
    }
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw new StepError(`${description}: the program "${program}" is not installed`);
    }
    throw error;
  } finally {
    clearTimeout(first);
    clearInterval(repeated);
  }
  if (hasSpoken) say(`${description}: done in ${seconds()}`);
}

/** A step of set-up failed; its message is for the terminal. */
export class StepError extends Error {
  override readonly name = "StepError";
}

/**
 * What a script makes of its arguments.
 *
 * @throws {StepError} with what `read` threw, and the usage below it
 */
export function withUsage<T>(usage: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new StepError(`${messageOf(error)}\n${usage}`);
  }
}

/** Runs a script's main function; a failed step ends it with its message and 1. */
export async function main(body: () => Promise<number | void>): Promise<never> {
  try {
    Deno.exit(await body() ?? 0);
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    say(error.message);
    Deno.exit(1);
  }
}
