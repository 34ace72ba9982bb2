import { startCommand } from "../../testing/command.ts";
import { ROOT } from "../../testing/set_up.ts";
import { getText } from "../../testing/prometheus/service.ts";
import type { FleetSettings, FleetStatistics } from "./simulator_program.ts";

/** Simulated hypervisors that are being served. They end when this is disposed of, and also when this process dies. */
export interface SimulatedFleet extends AsyncDisposable {
  readonly processId: number;
  /** Host and port of each hypervisor. */
  readonly targets: readonly string[];
  statistics(): Promise<FleetStatistics>;
}

/**
 * Starts the simulator.
 *
 * @throws {Error} when it does not start
 */
export async function startFleet(settings: FleetSettings): Promise<SimulatedFleet> {
  const child = startCommand(Deno.execPath(), [
    "run",
    "--no-check",
    "-A",
    `${ROOT}/bench/fleet/simulator_program.ts`,
    JSON.stringify(settings),
  ], { stdin: "piped", stdout: "piped" });
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let line = "";
  while (!line.includes("\n")) {
    const { done, value } = await reader.read();
    if (done) throw new Error("The simulator of hypervisors ended at once");
    line += value;
  }
  const targets = (JSON.parse(line) as readonly number[]).map((port) => `127.0.0.1:${port}`);
  return {
    processId: child.pid,
    targets,
    statistics: async () => JSON.parse((await getText(`http://${targets[0]}/statistics`)).text),
    async [Symbol.asyncDispose](): Promise<void> {
      await child.stdin.close();
      await child.status;
      await reader.cancel();
    },
  };
}
