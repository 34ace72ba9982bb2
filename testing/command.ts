/**
 * Outside commands: all that tests start goes through here.
 *
 * @module
 */

/** What a finished command left: its exit code and both outputs as text. */
export interface CommandResult {
  readonly code: number;
  readonly output: string;
  readonly errorOutput: string;
}

/** How to run a command. */
export interface CommandOptions extends Pick<Deno.CommandOptions, "uid" | "gid"> {
  /** The working directory; the caller's when left out. */
  readonly workingDirectory?: string;
  /** Text for the command's standard input; it reads nothing when left out. */
  readonly input?: string;
  /** Variables set on top of the caller's environment. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Kill the command and fail after this long; 60 s when left out. */
  readonly boundMilliseconds?: number;
}

const DEFAULT_BOUND_MILLISECONDS = 60_000;

/**
 * Starts a command that goes on, for whoever ends it. Unless the options say otherwise it reads and prints nothing, and its
 * errors are seen.
 */
export function startCommand(
  program: string,
  parameters: readonly string[],
  options: Omit<Deno.CommandOptions, "args"> = {},
): Deno.ChildProcess {
  const streams = { stdin: "null", stdout: "null", stderr: "inherit" } as const;
  return new Deno.Command(program, { args: [...parameters], ...streams, ...options }).spawn();
}

/** How a command is written in error messages. */
function shown(program: string, parameters: readonly string[]): string {
  return [program, ...parameters].join(" ");
}

/**
 * Runs a command to its end, whatever its exit code.
 *
 * @throws {Deno.errors.NotFound} when the program is missing
 * @throws {Error} when the command outlives its bound
 */
export async function runCommand(
  program: string,
  parameters: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const bound = options.boundMilliseconds ?? DEFAULT_BOUND_MILLISECONDS;
  const { input, environment, workingDirectory, boundMilliseconds: _, ...user } = options;
  const child = startCommand(program, parameters, {
    stdin: input === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
    env: { LC_ALL: "C.UTF-8", ...environment },
    ...(workingDirectory === undefined ? {} : { cwd: workingDirectory }),
    ...user,
  });
  let outlived = false;
  const timer = setTimeout(() => {
    outlived = true;
    child.kill("SIGKILL");
  }, bound);
  try {
    const [result] = await Promise.all([child.output(), feed(child, input)]);
    if (outlived) {
      throw new Error(
        `Command "${
          shown(program, parameters)
        }" ran longer than ${bound} ms; see what it waits for`,
      );
    }
    const decoder = new TextDecoder();
    return {
      code: result.code,
      output: decoder.decode(result.stdout),
      errorOutput: decoder.decode(result.stderr),
    };
  } finally {
    clearTimeout(timer);
  }
}

async function feed(child: Deno.ChildProcess, input: string | undefined): Promise<void> {
  if (input === undefined) return;
  const writer = child.stdin.getWriter();
  try {
    await writer.write(new TextEncoder().encode(input));
    await writer.close();
  } catch (error) {
    // A command may end without reading all of its input; its exit code tells whether that is wrong.
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}

/**
 * Runs a command and returns its standard output.
 *
 * @throws {Error} when the command fails; the message holds its error output
 */
export async function outputOf(
  program: string,
  parameters: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const result = await runCommand(program, parameters, options);
  if (result.code !== 0) {
    const details = result.errorOutput.trim() || result.output.trim() || "It printed nothing";
    throw new Error(
      `Command "${shown(program, parameters)}" failed with exit code ${result.code}: ${details}`,
    );
  }
  return result.output;
}

/** Whether a command exists and ends with 0. */
export async function succeeds(
  program: string,
  ...parameters: readonly string[]
): Promise<boolean> {
  return await runCommand(program, parameters).then(({ code }) => code === 0, () => false);
}
