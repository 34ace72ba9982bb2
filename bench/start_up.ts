import { startCommand } from "../testing/command.ts";
import { EXECUTABLE } from "../testing/set_up.ts";
import { deployedEnvironment } from "../testing/deployed_environment.ts";
import { connectKeepAlive } from "./keep_alive.ts";
import { median } from "./statistics.ts";
import { freePort } from "../testing/free_port.ts";

/** How long the executable takes until it has answered its first scrape. */
export interface StartUpResult {
  readonly hypervisor: string;
  /** The median of several starts. */
  readonly medianMilliseconds: number;
}

const STARTS = 10;
const PATIENCE_MILLISECONDS = 10_000;

/** Starts the executable again and again for each hypervisor, given by what it is called and its URI. */
export async function measureStartUp(
  hypervisors: readonly (readonly [name: string, uri: string])[],
): Promise<readonly StartUpResult[]> {
  const results: StartUpResult[] = [];
  for (const [hypervisor, uri] of hypervisors) {
    const milliseconds: number[] = [];
    for (let start = 0; start < STARTS; start++) milliseconds.push(await startOnce(uri));
    results.push({ hypervisor, medianMilliseconds: median(milliseconds) });
  }
  return results;
}

/** Milliseconds from the start of the process to the last byte of the first answer. */
async function startOnce(uri: string): Promise<number> {
  const port = freePort();
  const listen = ["--web.listen-address", `127.0.0.1:${port}`];
  const started = performance.now();
  const exporter = startCommand(
    EXECUTABLE,
    ["--uri", uri, "--log", "-", "--log.level", "error", ...listen],
    { env: deployedEnvironment() },
  );
  try {
    while (performance.now() - started < PATIENCE_MILLISECONDS) {
      if (await isAnswered(port)) return performance.now() - started;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    throw new Error(`The exporter answers nothing for ${PATIENCE_MILLISECONDS} ms`);
  } finally {
    exporter.kill("SIGTERM");
    await exporter.status;
  }
}

async function isAnswered(port: number): Promise<boolean> {
  try {
    using connection = await connectKeepAlive(port);
    await connection.get("/metrics");
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) return false;
    throw error;
  }
}
