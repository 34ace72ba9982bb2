// The compiled executable as a process of its own, for the tests that see what an operator sees.
import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { type Families, parsePage } from "./parse_page.ts";
import { waitUntil } from "./wait_until.ts";
import { startCommand } from "./command.ts";

/** Where `npm run build` puts the executable. */
export const EXECUTABLE = decodeURIComponent(
  new URL("../dist/libvirt_nova_exporter", import.meta.url).pathname,
);

/** Ends what hangs, far beyond what anything here takes. */
const GUARD_MILLISECONDS = 30_000;

/** Processes that were started and have not been seen to end. */
const running = new Set<number>();

/**
 * Checks that there is something to test.
 *
 * @throws {Error} with the command that makes the executable, when it is missing
 */
export function requireExecutable(path: string = EXECUTABLE): void {
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) {
    throw new Error(`The executable "${path}" is missing: run npm run build`);
  }
}

/** A folder of a test, deleted with the test. */
export interface TestFolder extends AsyncDisposable {
  readonly path: string;
  /** The `TMPDIR` of the processes that are started in this folder. */
  readonly temporary: string;
  /** Writes a file and returns its path. */
  write(name: string, content: string): Promise<string>;
  read(name: string): Promise<string>;
  /** Says whether there is something of this name. */
  has(name: string): Promise<boolean>;
}

/** Makes a folder that every user may read, with a temporary folder inside that every user may write. */
export async function createTestFolder(): Promise<TestFolder> {
  const path = await Deno.makeTempDir({ prefix: "executable_test_" });
  const temporary = `${path}/temporary`;
  await Deno.chmod(path, 0o755);
  await Deno.mkdir(temporary);
  await Deno.chmod(temporary, 0o1777);
  return {
    path,
    temporary,
    async write(name, content): Promise<string> {
      await Deno.writeTextFile(`${path}/${name}`, content);
      return `${path}/${name}`;
    },
    read: (name) => Deno.readTextFile(`${path}/${name}`),
    has: (name) => Deno.lstat(`${path}/${name}`).then(() => true, () => false),
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

/** Where and how a process is started. */
export interface StartOptions {
  /** Its working directory, unless `workingDirectory` says otherwise, and its temporary folder. */
  readonly folder: TestFolder;
  readonly workingDirectory?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** What to start instead of {@linkcode EXECUTABLE}. */
  readonly executable?: string;
  /** Whose process it is, when not the test's. */
  readonly user?: { readonly uid: number; readonly gid: number };
  /** A command that runs the one that follows it in its own place (with exec), such as `setpriv`. */
  readonly through?: readonly string[];
  /** What standard error says when it serves; unless given, a page is asked for, without TLS. */
  readonly readyWhen?: string;
  /** Says that the command before it names the address to listen on, one port of 127.0.0.1. */
  readonly addressIsGiven?: boolean;
}

/** What a process left. */
export interface Outcome {
  readonly code: number;
  readonly output: string;
  readonly errorOutput: string;
}

function spawn(
  args: readonly string[],
  { folder, workingDirectory, environment, executable, user, through = [] }: StartOptions,
): Deno.ChildProcess {
  const [program = EXECUTABLE, ...rest] = [...through, executable ?? EXECUTABLE, ...args];
  return startCommand(program, rest, {
    cwd: workingDirectory ?? folder.path,
    // What the developer has set for libvirt or Bun must not decide about a test.
    clearEnv: true,
    env: {
      PATH: Deno.env.get("PATH") ?? "/usr/bin:/bin",
      LC_ALL: "C.UTF-8",
      TMPDIR: folder.temporary,
      ...environment,
    },
    stdout: "piped",
    stderr: "piped",
    ...user,
  });
}

interface StartedProcess {
  readonly processId: number;
  errorOutput(): string;
  /** Does nothing once the process has ended. */
  signal(name: Deno.Signal): void;
  hasEnded(): boolean;
  /** Waits for the end; kills the process and fails when it takes too long. */
  ended(): Promise<Outcome>;
}

function startProcess(args: readonly string[], options: StartOptions): StartedProcess {
  const child = spawn(args, options);
  running.add(child.pid);
  let isRunning = true;
  let errorOutput = "";
  const readErrors = async (): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stderr) errorOutput += decoder.decode(chunk, { stream: true });
  };
  const outcome = Promise.all([child.status, new Response(child.stdout).text(), readErrors()])
    .then(([{ code }, output]): Outcome => {
      isRunning = false;
      running.delete(child.pid);
      return { code, output, errorOutput };
    });
  const signal = (name: Deno.Signal): void => {
    if (isRunning) child.kill(name);
  };
  return {
    processId: child.pid,
    errorOutput: () => errorOutput,
    signal,
    hasEnded: () => !isRunning,
    async ended(): Promise<Outcome> {
      let isLate = false;
      const guard = setTimeout(() => {
        isLate = true;
        signal("SIGKILL");
      }, GUARD_MILLISECONDS);
      const result = await outcome;
      clearTimeout(guard);
      assert.ok(!isLate, `The executable did not end: ${result.errorOutput}`);
      return result;
    },
  };
}

/** Runs the executable to its end. */
export function runExecutable(args: readonly string[], options: StartOptions): Promise<Outcome> {
  return startProcess(args, options).ended();
}

/** A serving executable. Whatever becomes of the test, it has ended when it is disposed of. */
export interface ServingExecutable extends AsyncDisposable {
  readonly processId: number;
  /** The ports that it listens on, those of IPv4 first. */
  readonly ports: readonly number[];
  /** Standard error so far. */
  errorOutput(): string;
  /** Gets a page from the first of its ports. */
  get(path: string, options?: RequestInit): Promise<HttpAnswer>;
  /** Scrapes `/metrics`; fails unless the answer is 200 with a valid page. */
  scrape(): Promise<Families>;
  signal(name: Deno.Signal): void;
  /** Sends SIGTERM and waits for the end. */
  stop(): Promise<Outcome>;
  /** Waits for the end. */
  ended(): Promise<Outcome>;
}

/** An answer, read to its end. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

/**
 * Starts the executable and waits until it answers: on a free port of 127.0.0.1, unless `args` say where to listen,
 * which has to include 127.0.0.1.
 */
export async function startExecutable(
  args: readonly string[],
  options: StartOptions,
): Promise<ServingExecutable> {
  const given =
    args.filter((argument) => /^--(port|web\.listen-address|web\.systemd-socket)\b/.test(argument))
      .length;
  const isGiven = given > 0 || options.addressIsGiven === true;
  const address = isGiven ? [] : ["--web.listen-address", "127.0.0.1:0"];
  const started = startProcess([...args, ...address], options);
  const { processId, signal, hasEnded, ended, errorOutput } = started;
  let ports: readonly number[] = [];
  const get = async (path: string, request: RequestInit = {}): Promise<HttpAnswer> => {
    try {
      const response = await fetch(`http://127.0.0.1:${ports[0]}${path}`, request);
      return { status: response.status, headers: response.headers, body: await response.text() };
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      // Why there is no answer stands in the cause alone, and whether the process is there at all tells more.
      const state = hasEnded() ? `has ended: ${JSON.stringify(await ended())}` : "is running";
      throw new Error(`No answer to ${path}; the executable ${state}`, { cause: error });
    }
  };
  try {
    await waitUntil("the executable listens", () => {
      if (hasEnded()) throw new Error(`The executable ended at once: ${errorOutput()}`);
      ports = listeningPorts(processId);
      return options.readyWhen === undefined
        ? ports.length >= Math.max(given, 1)
        : errorOutput().includes(options.readyWhen);
    });
    // It listens a moment before it heeds signals.
    if (options.readyWhen === undefined) await get("/is-it-there");
  } catch (error) {
    signal("SIGKILL");
    await ended();
    throw error;
  }
  return {
    processId,
    ports,
    errorOutput,
    get,
    async scrape(): Promise<Families> {
      const { status, body } = await get("/metrics");
      assert.equal(status, 200, body);
      return parsePage(body);
    },
    signal,
    stop(): Promise<Outcome> {
      signal("SIGTERM");
      return ended();
    },
    ended,
    async [Symbol.asyncDispose](): Promise<void> {
      signal("SIGKILL");
      await ended();
    },
  };
}

/** Fails when a process that was started here is still there. */
export function assertNothingRuns(): void {
  assert.deepEqual([...running], [], "these processes were not waited for");
}

/** Reads from `/proc` on which ports a process accepts connections. */
function listeningPorts(processId: number): readonly number[] {
  const sockets = new Set(
    readSockets(processId).map((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1]),
  );
  const LISTENING = "0A";
  return ["tcp", "tcp6"].flatMap((table) =>
    Deno.readTextFileSync(`/proc/net/${table}`).split("\n").slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter((columns) => columns[3] === LISTENING && sockets.has(columns[9]))
      .map((columns) => parseInt(columns[1]?.split(":")[1] ?? "", 16))
  );
}

function readSockets(processId: number): readonly string[] {
  try {
    const folder = `/proc/${processId}/fd`;
    return [...Deno.readDirSync(folder)].map(({ name }) => Deno.readLinkSync(`${folder}/${name}`));
  } catch {
    // The process has ended, or a descriptor was closed meanwhile: the next look tells.
    return [];
  }
}
