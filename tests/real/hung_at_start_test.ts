import { startExporterProcess } from "../../testing/exporter_process.ts";
import {
  assertBackInTwoScrapes,
  eachSecond,
  pageWithAll,
  pausedGuests,
  scrapeInFault,
} from "./fault_watch.ts";
import { ensureHypervisorHost } from "../../testing/libvirt/host.ts";
import { startHypervisor } from "../../testing/libvirt/hypervisor.ts";

const host = await ensureHypervisorHost();

const HUNG = 4;
const GUESTS = pausedGuests(16);
const NAMES = GUESTS.map(({ name }) => name);

if (host.available) {
  Deno.test("guests that hang as the exporter starts cost the others no more than the first page", async () => {
    await using hypervisor = await startHypervisor({ guests: GUESTS });
    await using earlier = await startExporterProcess(hypervisor.readOnlyUri);
    const reference = await pageWithAll(earlier, NAMES);
    await earlier.stop();
    const processes = NAMES.slice(0, HUNG).map((name) => hypervisor.guestPid(name));
    const signal = (name: Deno.Signal): void => processes.forEach((one) => Deno.kill(one, name));
    signal("SIGSTOP");
    try {
      await using exporter = await startExporterProcess(hypervisor.readOnlyUri);
      const watch = { hypervisor, exporter, reference, uninvolved: NAMES.slice(HUNG) };
      await scrapeInFault({ ...watch, uninvolved: [] });
      await eachSecond(5, () => scrapeInFault(watch));
      signal("SIGCONT");
      await assertBackInTwoScrapes(watch, NAMES);
    } finally {
      signal("SIGCONT");
    }
  });
}
