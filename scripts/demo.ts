/** The exporter, with motion in what libvirt's test driver measures. `npm start` runs it. */
import { main } from "../mod.ts";
import { readConnectionUri } from "../src/libvirt/connection_uri.ts";
import type { Hypervisor, HypervisorOptions } from "../src/libvirt/hypervisor.ts";
import { openHypervisor } from "../src/shim/native.ts";
import { withMotion } from "./moving_hypervisor.ts";

Deno.exit(await main(Deno.args, openDemo));

/** A hypervisor that `--uri` names instead of the demo's stays as it is. */
async function openDemo(options: HypervisorOptions): Promise<Hypervisor> {
  const hypervisor = await openHypervisor(options);
  if (readConnectionUri(options.uri).driver !== "test") return hypervisor;
  const elapsedSeconds = (): number => performance.now() / 1_000;
  return withMotion(hypervisor, elapsedSeconds, () => Date.now() / 1_000);
}
