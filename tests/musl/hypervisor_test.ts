import assert from "node:assert/strict";
import { request } from "node:https";
import { outputOf } from "../../testing/command.ts";
import {
  type AnsweredScrape,
  assertInTime,
  type ExporterProcess,
  startExporterProcess,
} from "../../testing/exporter_process.ts";
import { ensureHypervisorHost } from "../../testing/libvirt/host.ts";
import { type Hypervisor, startHypervisor } from "../../testing/libvirt/hypervisor.ts";
import { startNetworkRelay } from "../real/network_relay.ts";
import { BUSY, furnish, furnishHost, GUESTS, knownGuests } from "../real/furnished_guests.ts";
import {
  ALL_ON,
  assertCountersTold,
  assertGuestsTold,
  assertHostTold,
  assertNothingFailed,
} from "../real/told_values.ts";
import { startVirshShell } from "../../testing/libvirt/virsh_shell.ts";
import { waitUntil } from "../../testing/wait_until.ts";
import { makeCertificate } from "../../testing/certificates.ts";
import { createTestFolder, startExecutable } from "../../testing/executable.ts";
import { createMuslRoot, EXECUTABLE_INSIDE, type MuslRoot } from "./musl_root.ts";
import { ensureMuslSystem } from "./musl_system.ts";
import { assertAlike } from "./page_comparison.ts";

const host = await ensureHypervisorHost();
if (!host.available) throw new Error(host.reason);
const system = await ensureMuslSystem();

const TLS_PORT = 16514;
const NAMES = GUESTS.map(({ name }) => name);

function startOnMusl(
  root: MuslRoot,
  uri: string,
  args: readonly string[] = [],
): Promise<ExporterProcess> {
  return startExporterProcess(uri, args, {
    through: root.through(),
    executable: EXECUTABLE_INSIDE,
  });
}

/** Which guests are complete, by their names. */
function completeGuests(page: AnsweredScrape): readonly string[] {
  const samples = page.families.get("libvirt_nova_instance_scrape_success")?.samples ?? [];
  return samples.filter(({ value }) => value === 1)
    .map(({ labels }) => labels["libvirtname"] ?? "").sort();
}

/** Fails unless the next page is one of libvirt's, and one soon has all of every guest: a call may be late on a busy machine. */
async function assertEverybodyIsThere(exporter: ExporterProcess): Promise<void> {
  assert.equal((await exporter.scrape()).up, 1, exporter.logLines().join("\n"));
  await waitUntil(
    "all guests to be complete",
    async () => completeGuests(await exporter.scrape()).length === NAMES.length,
  );
}

/** Makes what a daemon and its client show each other, in the folder that the client looks into. */
async function makeCertificates(folder: string): Promise<Readonly<Record<string, string>>> {
  const authority = await makeCertificate(folder, "authority");
  const names = "DNS:localhost,IP:127.0.0.1";
  const daemon = await makeCertificate(folder, "daemon", { authority, names });
  const client = await makeCertificate(folder, "client", { authority });
  for (
    const [from, to] of [
      [authority.certificateFile, "cacert.pem"],
      [client.certificateFile, "clientcert.pem"],
      [client.keyFile, "clientkey.pem"],
    ] as const
  ) await Deno.copyFile(from, `${folder}/${to}`);
  return {
    "ca_file": authority.certificateFile,
    "cert_file": daemon.certificateFile,
    "key_file": daemon.keyFile,
  };
}

/** Gets a page by HTTPS; the server has to have a certificate of this authority. */
function getSecurely(port: number, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    request({ port, host: "127.0.0.1", path: "/metrics", ca, agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => body += chunk);
      response.on("end", () => resolve(body));
    }).on("error", reject).end();
  });
}

/** Lets the next libvirtd listen: the one that has started before the guests could, when no interface had an address. */
async function openNetwork({ firstProcess }: Hypervisor): Promise<void> {
  const inside = [`--target=${firstProcess}`, "--net", "ip"];
  await outputOf("nsenter", [...inside, "link", "set", "lo", "up"]);
  // The guests' network cards have addresses of IPv6, and without this one libvirtd would take nothing else for possible.
  await outputOf("nsenter", [...inside, "address", "add", "192.0.2.1/32", "dev", "lo"]);
}

Deno.test("the executable for musl against a real libvirtd with QEMU guests", async (context) => {
  await using root = await createMuslRoot(system);
  await using folder = await createTestFolder();
  await using hypervisor = await startHypervisor({
    guests: GUESTS,
    libvirtdSettings: {
      // libvirtd listens to the network for both or for none.
      "listen_tcp": 1,
      "auth_tcp": "none",
      "listen_tls": 1,
      "auth_tls": "none",
      "listen_addr": "127.0.0.1",
      "tls_port": String(TLS_PORT),
      ...await makeCertificates(folder.path),
    },
  });
  await hypervisor.waitForGuestReady(BUSY);
  await furnish(hypervisor);
  await furnishHost(hypervisor);
  // The private libvirtd has its state elsewhere than its sockets; libvirtd's own are neighbours.
  Deno.symlinkSync("../run/libvirt/qemu", `${hypervisor.directory}/sockets/qemu`);
  await openNetwork(hypervisor);
  await using exporter = await startOnMusl(root, hypervisor.readOnlyUri, ALL_ON);
  await assertEverybodyIsThere(exporter);

  const known = await knownGuests(hypervisor);
  await using shell = startVirshShell(hypervisor.readWriteUri);
  const told = { shell, known, scrape: () => exporter.scrape() };

  await context.step(
    "has counters of a running guest between two looks of virsh",
    () => assertCountersTold(told),
  );

  await context.step("has what virsh says of the host", () => assertHostTold(told));

  await context.step(
    "has of guests that stand still what virsh says, and what glibc's has",
    async () => {
      await using glibc = await startExporterProcess(hypervisor.readOnlyUri, ALL_ON);
      await assertEverybodyIsThere(glibc);
      await hypervisor.suspend(BUSY);
      await assertGuestsTold(told, hypervisor, () => startOnMusl(root, hypervisor.readOnlyUri));
      const before = await glibc.scrape();
      const page = await exporter.scrape();
      assertAlike(page, before, await glibc.scrape());
      assertNothingFailed(page, exporter.logLines());
      await hypervisor.resume(BUSY);
    },
  );

  await context.step(
    "goes without what a hung guest alone knows, and has it again afterwards",
    async () => {
      const guest = hypervisor.guestPid(BUSY);
      Deno.kill(guest, "SIGSTOP");
      try {
        for (let scrape = 0; scrape < 10; scrape++) {
          const page = await exporter.scrape();
          assertInTime(page);
          assert.equal(page.up, 1);
          assert.deepEqual(completeGuests(page), NAMES.filter((name) => name !== BUSY));
          const names = page.labelValues("libvirt_nova_instance_cpu_time_total", "libvirtname");
          assert.deepEqual(names.sort(), NAMES);
        }
      } finally {
        Deno.kill(guest, "SIGCONT");
      }
      await waitUntil(
        "the guest to be complete again",
        async () => completeGuests(await exporter.scrape()).length === NAMES.length,
      );
    },
  );

  await context.step(
    "says that a libvirtd is gone, and finds the next one at the next scrape",
    async () => {
      await hypervisor.killLibvirtd("SIGTERM");
      for (let scrape = 0; scrape < 3; scrape++) {
        const page = await exporter.scrape();
        assertInTime(page);
        assert.equal(page.up, 0);
        assert.deepEqual(completeGuests(page), []);
      }
      await hypervisor.startLibvirtd();
      await assertEverybodyIsThere(exporter);
      await hypervisor.killLibvirtd("SIGKILL");
      assert.equal((await exporter.scrape()).up, 0);
      await hypervisor.startLibvirtd();
      await assertEverybodyIsThere(exporter);
    },
  );

  await context.step("reaches a libvirtd by TLS, with certificates on both sides", async () => {
    await using relay = startNetworkRelay(hypervisor.firstProcess, TLS_PORT);
    const uri = `qemu+tls://127.0.0.1:${relay.port}/system?pkipath=${folder.path}`;
    // What virsh can do is what an operator expects.
    await outputOf("virsh", ["-r", "-c", uri, "list"]);
    await using remote = await startOnMusl(root, uri);
    await assertEverybodyIsThere(remote);
    await hypervisor.restartLibvirtd();
    await assertEverybodyIsThere(remote);
    assert.equal(await remote.stop(), 0);
  });

  await context.step("serves the page by TLS", async () => {
    const authority = await Deno.readTextFile(`${folder.path}/authority.crt`);
    const config = await folder.write(
      "web.yml",
      "tls_server_config:\n  cert_file: daemon.crt\n  key_file: daemon.key\n",
    );
    await using secure = await startExecutable(
      ["--uri", hypervisor.readOnlyUri, "--log", "-", "--web.config.file", config],
      {
        folder,
        through: root.through(),
        executable: EXECUTABLE_INSIDE,
        readyWhen: "message=Started",
      },
    );
    const [port = NaN] = secure.ports;
    assert.match(await getSecurely(port, authority), /^libvirt_nova_up 1$/m);
    const foreign = await makeCertificate(folder.path, "foreign");
    await assert.rejects(getSecurely(port, foreign.certificate));
  });

  await context.step("ends with 0 when it is told to", async () => {
    assert.equal(await exporter.stop(), 0);
  });
});
