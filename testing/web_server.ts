// Runs a web server as a process of its own, under Deno and under Bun, which the executable is made of.
import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import {
  type WebServerReport,
  type WebServerSetup,
  type WebServerState,
} from "./web_server_process.ts";
import { startCommand } from "./command.ts";

/** What runs the server. */
export interface Runtime {
  readonly name: string;
  readonly command: readonly string[];
}

/** A server that answers. */
export interface ServerProcess {
  readonly processId: number;
  readonly port: number;
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
  readonly url: string;
  state(): Promise<WebServerState>;
  openFiles(): Promise<number>;
  /** Sends SIGTERM and waits for the process to end. */
  terminate(): Promise<ProcessEnd>;
}

/** What a process left. */
export interface ProcessEnd {
  /** Lines printed after the report. */
  readonly output: string;
  readonly code: number;
}

/** All that the source runs under. */
export const RUNTIMES: readonly Runtime[] = [
  { name: "Deno", command: [Deno.execPath(), "run", "-A"] },
  { name: "Bun", command: [new URL("../node_modules/.bin/bun", import.meta.url).pathname] },
];
const SERVER_SCRIPT = new URL("./web_server_process.ts", import.meta.url).pathname;
/** A free port of 127.0.0.1. */
export const LOOPBACK: WebServerSetup["listenAddresses"] = [{ host: "127.0.0.1", port: 0 }];
/** Ends a server process that a test waits for in vain; far beyond what any test takes. */
const LONGEST_PROCESS_MILLISECONDS = 60_000;

/** A process that has printed its report. */
export interface StartedProcess {
  readonly processId: number;
  readonly report: WebServerReport;
  /** Sends a signal, if one is given, and waits for the process to end. */
  end(signal?: Deno.Signal): Promise<ProcessEnd>;
}

/** Starts a server; it may not have been able to. */
export async function startProcess(
  { command: [program = "", ...programArguments] }: Runtime,
  setup: Partial<WebServerSetup>,
): Promise<StartedProcess> {
  const wholeSetup = {
    listenAddresses: LOOPBACK,
    limits: {},
    closeMilliseconds: 10_000,
    ...setup,
  };
  const child = startCommand(program, [
    ...programArguments,
    SERVER_SCRIPT,
    JSON.stringify(wholeSetup),
  ], {
    stdout: "piped",
  });
  const guard = setTimeout(() => child.kill("SIGKILL"), LONGEST_PROCESS_MILLISECONDS);
  const lines = readLines(child.stdout);
  const first = await lines.next();
  return {
    processId: child.pid,
    report: JSON.parse(first.value),
    end: async (signal) => {
      if (signal !== undefined) child.kill(signal);
      const output: string[] = [];
      for (let line = await lines.next(); !line.done; line = await lines.next()) {
        output.push(line.value);
      }
      const { code } = await child.status;
      clearTimeout(guard);
      return { output: output.join("\n"), code };
    },
  };
}

async function* readLines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  return rest;
}

/** Starts a server for a test, and ends it whatever becomes of that. */
export async function withServer(
  runtime: Runtime,
  setup: Partial<WebServerSetup>,
  use: (server: ServerProcess) => Promise<void>,
): Promise<void> {
  const { processId, report, end } = await startProcess(runtime, setup);
  let ended: Promise<ProcessEnd> | undefined;
  try {
    assert.ok("addresses" in report, `The server did not start: ${JSON.stringify(report)}`);
    const port = report.addresses[0]?.port ?? 0;
    const url = `http://127.0.0.1:${port}`;
    await use({
      processId,
      port,
      addresses: report.addresses,
      url,
      state: async () => await (await fetch(`${url}/state`)).json(),
      openFiles: async () => (await readdir(`/proc/${processId}/fd`)).length,
      terminate: () => ended ??= end("SIGTERM"),
    });
  } finally {
    await (ended ??= end("SIGKILL"));
  }
}
