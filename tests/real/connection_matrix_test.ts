// The part of the fault matrix (tests/faults) in which connections are lost, over libvirt's test driver in a libvirtd.
import { cellsOf, SOCKET_HAPPENINGS } from "../faults/cells.ts";
import { buildStandIn } from "../faults/stand_in.ts";
import { testMatrix } from "../faults/test_matrix.ts";
import { requireExecutable } from "../../testing/executable.ts";
import { ensureHypervisorHost } from "../../testing/libvirt/host.ts";
import { type Hypervisor, startHypervisor } from "../../testing/libvirt/hypervisor.ts";

const host = await ensureHypervisorHost();

if (host.available) {
  requireExecutable();
  const folder = await Deno.makeTempDir({ prefix: "faults_" });
  globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
  testMatrix("a connection that is lost during any call is back within two scrapes", {
    library: await buildStandIn(folder),
    cells: cellsOf(SOCKET_HAPPENINGS),
    daemon: async () => {
      const hypervisor = await startHypervisor();
      let starts = Promise.resolve(1);
      return {
        socket: `${hypervisor.directory}/sockets/libvirt-sock-ro`,
        // One after the other, as several exporters may find at the same time that it has crashed.
        starts: () => starts = starts.then((count) => startAgain(hypervisor, count)),
        [Symbol.asyncDispose]: () => hypervisor.stop(),
      };
    },
  });
}

async function startAgain(hypervisor: Hypervisor, starts: number): Promise<number> {
  if (isRunning(hypervisor)) return starts;
  await hypervisor.startLibvirtd();
  return starts + 1;
}

function isRunning(hypervisor: Hypervisor): boolean {
  try {
    return hypervisor.libvirtdPid() > 0;
  } catch {
    return false;
  }
}
