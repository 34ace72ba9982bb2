import assert from "node:assert/strict";
import { type AnsweredScrape, startExporterProcess } from "../../testing/exporter_process.ts";
import { valuesBySeries } from "./expected_samples.ts";
import { assertBackInTwoScrapes, pageWithAll, pausedGuests } from "./fault_watch.ts";
import { ensureHypervisorHost } from "../../testing/libvirt/host.ts";
import { type ModularDaemons, startModularDaemons } from "./modular_daemons.ts";

const host = await ensureHypervisorHost();

const GUESTS = pausedGuests(4);
const NAMES = GUESTS.map(({ name }) => name);
const FLAGS = ["--collector.storage_pool", "--collector.storage_volume", "--collector.network"];

/** A pool with a volume, and a network. */
async function furnish({ hypervisor, virsh }: ModularDaemons): Promise<void> {
  const { directory } = hypervisor;
  const folder = `${directory}/images`;
  Deno.mkdirSync(folder);
  await virsh("virtstoraged", "pool-create-as", "images", "dir", "--target", folder);
  await virsh("virtstoraged", "vol-create-as", "images", "volume", "1M", "--format", "raw");
  const document = `${directory}/network.xml`;
  Deno.writeTextFileSync(
    document,
    `<network><name>bridged</name><forward mode="bridge"/><bridge name="br-bridged"/></network>`,
  );
  await virsh("virtnetworkd", "net-define", document);
  await virsh("virtnetworkd", "net-start", "bridged");
}

/** The series about pools, volumes and networks. */
function hostSeries(page: AnsweredScrape): readonly string[] {
  const isOfHost = (family: string): boolean =>
    /^libvirt_nova_(storage|network)_/.test(family) &&
    // Of a bridge that is not its own, libvirt has leases only until it restarts.
    family !== "libvirt_nova_network_dhcp_leases";
  return [...valuesBySeries(page, isOfHost).keys()].sort();
}

/** How often a way is tried when a daemon breaks. */
const MAXIMUM_ATTEMPTS = 5;

type Way = "virtproxyd" | "virtqemud";

/** Restarts each daemon behind an exporter's connection, and says what was wrong with the pages after that. */
async function restartEach(daemons: ModularDaemons, way: Way): Promise<readonly string[]> {
  const { hypervisor } = daemons;
  await furnish(daemons);
  const uri = way === "virtproxyd" ? daemons.proxyUri : hypervisor.readOnlyUri;
  await using exporter = await startExporterProcess(uri, FLAGS);
  const reference = await pageWithAll(exporter, NAMES);
  assert.ok(hostSeries(reference).some((series) => series.includes("images")));
  assert.ok(hostSeries(reference).some((series) => series.includes("bridged")));
  const restarts = [
    ["virtqemud", hypervisor.restartLibvirtd],
    ["virtstoraged", () => daemons.restart("virtstoraged")],
    ["virtnetworkd", () => daemons.restart("virtnetworkd")],
  ] as const;
  const failures: string[] = [];
  for (const [name, restart] of restarts) {
    try {
      await restart();
      await assertBackInTwoScrapes({ exporter, reference }, NAMES, (page) => {
        assert.deepEqual(hostSeries(page), hostSeries(reference));
      });
    } catch (error) {
      failures.push(`after ${name} restarted: ${error}`, ...exporter.logLines());
      break;
    }
  }
  return failures;
}

if (host.available) {
  for (const way of ["virtproxyd", "virtqemud"] as const) {
    Deno.test(`a daemon that restarts costs nothing after two scrapes on a connection to ${way}`, async () => {
      for (let attempt = 1;; attempt++) {
        await using daemons = await startModularDaemons(GUESTS);
        const failures = await restartEach(daemons, way);
        if (failures.length === 0) return;
        // A daemon of libvirt 9.0 whose own connection to another ends may write where it must not. It crashes then, or a
        // thread spins in GLib (g_source_attach) for ever, with the lock of that connection.
        const broken = await daemons.broken();
        if (broken.length === 0 || attempt === MAXIMUM_ATTEMPTS) {
          assert.fail([...failures, `broken: ${broken.join(", ")}`].join("\n"));
        }
      }
    });
  }
}
