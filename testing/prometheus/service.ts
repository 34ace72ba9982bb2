/**
 * A server with an HTTP interface as a process of its own, for as long as a test or a benchmark needs it.
 *
 * @module
 */

import { get } from "node:http";
import { startCommand } from "../command.ts";
import { isAlive } from "../processes.ts";
import { waitUntil } from "../wait_until.ts";
import { messageOf } from "../../src/text.ts";

/** What to start. */
export interface ServiceOptions {
  /** What it is called in messages, e.g. `Prometheus`. */
  readonly name: string;
  /** Path of the program, or a name to look up. */
  readonly program: string;
  readonly args: readonly string[];
  /** Variables on top of the caller's environment. */
  readonly environment?: Readonly<Record<string, string>>;
  /** A folder that only this service uses. It is its working directory, holds its log, and goes when it is stopped. */
  readonly directory: string;
  /** Its base URL. */
  readonly url: string;
  /** What answers 200 once it is ready, e.g. `/-/ready`. */
  readonly readyPath: string;
}

/** A running service. */
export interface Service extends AsyncDisposable {
  readonly url: string;
  readonly processId: number;
  /** Gets a path of its HTTP interface. */
  get(path: string): Promise<HttpText>;
  /** What it has written to its outputs so far. */
  log(): string;
  /** Ends it at once, and removes its folder. Further calls change nothing. */
  stop(): Promise<void>;
}

/** An answer over HTTP, read to its end. */
export interface HttpText {
  readonly status: number;
  readonly text: string;
}

const START_BOUND_MILLISECONDS = 60_000;
const LOG = "service.log";

/**
 * Runs a program until standard input ends, as it also does when the tests die, and then removes the directory.
 * The first line of output is the program's process id.
 */
const SUPERVISOR_SCRIPT = `
directory=$1; program=$2; shift 2
trap '' HUP INT PIPE TERM
cd "$directory" || exit 1
"$program" "$@" > "$directory/${LOG}" 2>&1 < /dev/null &
echo $!
exec 2> /dev/null
cd /
cat > /dev/null
kill -KILL $!
wait $!
rm -rf -- "$directory"
`;

/** Asks the loopback address directly, whatever proxy the environment names. */
export function getText(url: string): Promise<HttpText> {
  return new Promise((resolve, reject) => {
    // Each answer closes its connection, so that none outlives the test.
    get(url, { agent: false }, (response) => {
      const parts: string[] = [];
      response.setEncoding("utf8");
      response.on("data", (part: string) => parts.push(part));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text: parts.join("") }));
      response.on("error", reject);
    }).on("error", reject);
  });
}

/**
 * Starts a service and waits until it is ready. It ends with `stop()`, and also when this process dies.
 *
 * @throws {Error} when it does not get ready; the message has its log
 */
export async function startService(options: ServiceOptions): Promise<Service> {
  const { name, program, args, environment = {}, directory, url, readyPath } = options;
  const child = startCommand(
    "setsid",
    ["sh", "-c", SUPERVISOR_SCRIPT, "supervisor", directory, program, ...args],
    { env: environment, stdin: "piped", stdout: "piped", cwd: "/" },
  );
  const lifeline = child.stdin.getWriter();
  const processId = Number(await readLine(child.stdout));

  async function end(): Promise<void> {
    await lifeline.close();
    await child.status;
  }
  let ending: Promise<void> | undefined;
  const stop = (): Promise<void> => ending ??= end();
  const log = (): string => Deno.readTextFileSync(`${directory}/${LOG}`).trim();
  try {
    await waitUntil(`${name} to get ready`, async () => {
      if (!isAlive(processId)) throw new Error(`${name} ended at once`);
      return await isReady(url + readyPath);
    }, START_BOUND_MILLISECONDS);
  } catch (error) {
    const reason = messageOf(error);
    const lines = log();
    await stop();
    throw new Error(`${reason}; its log says:\n${lines}`);
  }
  return {
    url,
    processId,
    get: (path) => getText(url + path),
    log,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

async function isReady(url: string): Promise<boolean> {
  try {
    return (await getText(url)).status === 200;
  } catch {
    return false;
  }
}

async function readLine(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string> {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { done, value } = await reader.read();
    if (done) break;
    text += value;
  }
  await reader.cancel();
  return text.trim();
}
