import { outputOf } from "./command.ts";

const BUN = decodeURIComponent(new URL("../node_modules/.bin/bun", import.meta.url).pathname);

/** The beginning of the command that runs a program, which follows as a text. */
export const RUNTIME_COMMANDS = {
  Deno: [Deno.execPath(), "eval"],
  Bun: [BUN, "-e"],
} as const;

/** What the source runs under. */
export type RuntimeName = keyof typeof RUNTIME_COMMANDS;

/** Ends a program that a test waits for in vain; far beyond what any takes. */
const LONGEST_MILLISECONDS = 60_000;

/** Runs a program under a runtime and returns what it printed, without white space at the end; fails when it does. */
export async function runUnder(runtime: RuntimeName, program: string): Promise<string> {
  const [command, ...options] = RUNTIME_COMMANDS[runtime];
  const output = await outputOf(command, [...options, program], {
    boundMilliseconds: LONGEST_MILLISECONDS,
  });
  return output.trimEnd();
}

/** Code for a program: the absolute address of a module of this project, as a text. */
export function moduleOf(path: string): string {
  return JSON.stringify(new URL(`../${path}`, import.meta.url).href);
}

/** What a test says when a quirk of a runtime is there no more. */
export function goneQuirk(runtime: RuntimeName, quirk: string, file: string): string {
  return `${runtime} no longer ${quirk}: take src/runtime/${file} out, and this test`;
}

/** Code that puts an HTTP server behind a plain one, which hands it the connections. `port` is where that listens. */
export const HANDED_CONNECTIONS = `
  import { createServer as createHttpServer } from "node:http";
  import { connect, createServer as createNetServer } from "node:net";
  import process from "node:process";
  const listen = (server) =>
    new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server.address().port)));
  const behind = (http) =>
    listen(createNetServer((socket) => {
      socket.on("error", () => {});
      http.emit("connection", socket);
    }));
  const open = (port, text) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(text));
    socket.on("error", () => {});
    return socket;
  };
`;
