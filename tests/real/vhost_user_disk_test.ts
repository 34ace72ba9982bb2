import assert from "node:assert/strict";
import { parsePage } from "../../testing/parse_page.ts";
import { type ExporterProcess, startExporterProcess } from "../../testing/exporter_process.ts";
import { ensureHypervisorHost } from "../../testing/libvirt/host.ts";
import { startHypervisor } from "../../testing/libvirt/hypervisor.ts";
import { SHARED_MEMORY } from "./open_vswitch.ts";
import { startVhostUserPeer } from "./vhost_user_peer.ts";
import { waitUntil } from "../../testing/wait_until.ts";

const host = await ensureHypervisorHost();

const MIXED = "instance-000mixed";
const ALONE = "instance-000alone";
const PLAIN = "instance-000plain";

/** A disk whose other end is a process such as SPDK; QEMU has no statistics of it. */
function vhostUserDisk(socket: string): string {
  return `<disk type="vhostuser" device="disk" snapshot="no"><driver name="qemu" type="raw"/>` +
    `<source type="unix" path="${socket}"/><target dev="vda" bus="virtio"/></disk>`;
}

/** The values of two families, by guest. */
async function valuesOf(exporter: ExporterProcess, query: string): Promise<{
  readonly success: Readonly<Record<string, number>>;
  readonly disks: readonly string[];
}> {
  const response = await fetch(`http://${exporter.target}/metrics${query}`);
  const page = parsePage(await response.text());
  const samplesOf = (family: string) => page.get(`libvirt_nova_instance_${family}`)?.samples ?? [];
  return {
    success: Object.fromEntries(
      samplesOf("scrape_success").map(({ labels, value }) => [labels["libvirtname"], value]),
    ),
    disks: samplesOf("block_read_bytes_total")
      .map(({ labels }) => `${labels["libvirtname"]} ${labels["target_device"]}`).sort(),
  };
}

const EXPECTED = {
  success: { [MIXED]: 1, [ALONE]: 1, [PLAIN]: 1 },
  disks: [`${MIXED} vdb`, `${PLAIN} vda`],
};

if (host.available) {
  Deno.test("a first disk without statistics costs the others nothing", async (context) => {
    await using hypervisor = await startHypervisor();
    using stack = new DisposableStack();
    for (const [name, disks] of [[MIXED, [{ target: "vdb" }]], [ALONE, []]] as const) {
      const socket = `${hypervisor.directory}/${name}.sock`;
      stack.use(startVhostUserPeer(socket));
      await hypervisor.defineGuest({
        name,
        disks,
        additionalDomainXml: SHARED_MEMORY,
        additionalDeviceXml: vhostUserDisk(socket),
      });
    }
    await hypervisor.defineGuest({ name: PLAIN, disks: [{ target: "vda" }] });
    for (const name of [MIXED, ALONE, PLAIN]) await hypervisor.startGuest(name, { paused: true });

    const cases: readonly (readonly [name: string, flags: readonly string[], query: string])[] = [
      ["on the usual page", [], ""],
      ["on a page of disks alone", [], "?collect[]=block"],
      ["without the memory's monitor calls", ["--no-collector.memory"], ""],
      ["with disks as the only collector", ["--no-collector.memory", "--no-collector.seed"], ""],
    ];
    for (const [name, flags, query] of cases) {
      await context.step(name, async () => {
        await using exporter = await startExporterProcess(hypervisor.readOnlyUri, flags);
        await waitUntil("the guests to be on the page", async () => {
          const { success } = await valuesOf(exporter, query);
          return Object.keys(success).length === 3 || undefined;
        }, 20_000);
        assert.deepEqual(await valuesOf(exporter, query), EXPECTED);
        assert.deepEqual(exporter.logLines().filter((line) => !line.includes("level=info")), []);
      });
    }
  });
}
