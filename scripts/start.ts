/**
 * Sets up, builds, and serves the demo hypervisor, from the source, since the executable knows no demo. Arguments go to the
 * exporter, after the demo's own: `npm start -- --port 9200`.
 */
import { main, say, StepError } from "../testing/progress.ts";
import { ROOT, setUpFor } from "../testing/set_up.ts";

const DEMO = `${ROOT}/contrib/demo/hypervisor.xml`;
const DEFAULT_PORT = 9100;
/** Ports that the demo tries: a node_exporter often has the first. */
const PORTS_TO_TRY = 20;
const START_PATIENCE_MILLISECONDS = 10_000;

await main(async () => {
  // Whoever only wants to look need not wait for a linker.
  await setUpFor("executable", "quick");
  const own = Deno.args.some((argument) => /^--(port|web\.listen-address)\b/.test(argument));
  const port = own ? undefined : findFreePort();
  const args = [
    "run",
    "--no-check",
    "-A",
    `${ROOT}/scripts/demo.ts`,
    "--uri",
    `test://${encodeURI(DEMO)}`,
    "--log",
    "-",
    ...(port === undefined ? [] : ["--port", `${port}`]),
    ...Deno.args,
  ];
  const exporter = new Deno.Command(Deno.execPath(), { args, stdin: "null" }).spawn();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    // A terminal's Ctrl-C reaches the exporter by itself as well; a second signal would cut its end short.
    Deno.addSignalListener(signal, () => {
      if (signal === "SIGTERM") exporter.kill("SIGTERM");
    });
  }
  const ended = new AbortController();
  const told = port === undefined ? Promise.resolve() : tellWhenReady(port, ended.signal);
  const { code } = await exporter.status;
  // One that prints its help, or that is told something wrong, never listens.
  ended.abort();
  await told;
  return code;
});

function findFreePort(): number {
  for (let port = DEFAULT_PORT; port < DEFAULT_PORT + PORTS_TO_TRY; port++) {
    try {
      Deno.listen({ hostname: "0.0.0.0", port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
  throw new StepError("No free port from 9100 to 9119: give one, as in npm start -- --port 9200");
}

async function tellWhenReady(port: number, ended: AbortSignal): Promise<void> {
  const site = `http://localhost:${port}/`;
  const address = `${site}metrics`;
  const patience = Date.now() + START_PATIENCE_MILLISECONDS;
  while (Date.now() < patience && !ended.aborted) {
    const isReady = await fetch(address).then((response) => response.text()).then(
      () => true,
      () => false,
    );
    if (isReady) {
      say(`
Serving a demo hypervisor. Open ${site} in a browser (Ctrl-C ends it). Try next:
  curl -s ${address} | grep cpu_time
  curl -s ${address} | grep 'novaproject="webshop"'
  dist/libvirt_nova_exporter --help
`);
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
