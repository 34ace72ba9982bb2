import { startExporterProcess } from "../../testing/exporter_process.ts";
import { eachSecond, pageWithAll, pausedGuests, scrapeInFault } from "./fault_watch.ts";
import { pause } from "../../testing/wait_until.ts";
import { ensureHypervisorHost } from "../../testing/libvirt/host.ts";
import { startHypervisor } from "../../testing/libvirt/hypervisor.ts";
import { startVirshShell } from "../../testing/libvirt/virsh_shell.ts";

const host = await ensureHypervisorHost();

/** So few that whoever asks one of them after the other is at each of them for a fifth of the time. */
const GUESTS = pausedGuests(4);
const NAMES = GUESTS.map(({ name }) => name);

/** Between two polls: nobody's monitoring asks without end. */
const PAUSE_MILLISECONDS = 30;

if (host.available) {
  Deno.test("guests that others ask at the same time are complete on every page", async (context) => {
    await using hypervisor = await startHypervisor({ guests: GUESTS });

    await context.step("two exporters that are scraped at the same moments", async () => {
      await using stack = new AsyncDisposableStack();
      const watches = await Promise.all([1, 2].map(async () => {
        const exporter = stack.use(await startExporterProcess(hypervisor.readOnlyUri));
        const reference = await pageWithAll(exporter, NAMES);
        return { hypervisor, exporter, reference, uninvolved: NAMES, othersWorkers: 7 };
      }));
      await eachSecond(10, () => Promise.all(watches.map(scrapeInFault)));
    });

    await context.step("somebody who asks one after the other all the time", async () => {
      await using exporter = await startExporterProcess(hypervisor.readOnlyUri);
      const reference = await pageWithAll(exporter, NAMES);
      const watch = { hypervisor, exporter, reference, uninvolved: NAMES, othersWorkers: 1 };
      let isDone = false;
      const poll = async (): Promise<void> => {
        await using shell = startVirshShell(hypervisor.readWriteUri);
        while (!isDone) {
          await shell.run("domstats");
          await pause(PAUSE_MILLISECONDS);
        }
      };
      const polling = poll();
      try {
        for (let page = 0; page < 40; page++) await scrapeInFault(watch);
      } finally {
        isDone = true;
        await polling;
      }
    });
  });
}
