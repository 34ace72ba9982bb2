import assert from "node:assert/strict";
import { outputOf } from "../../testing/command.ts";
import {
  type AnsweredScrape,
  assertInTime,
  type ExporterProcess,
  startExporterProcess,
} from "../../testing/exporter_process.ts";
import { type Hypervisor, startHypervisor } from "../../testing/libvirt/hypervisor.ts";
import { ensureHypervisorHost } from "../../testing/libvirt/host.ts";
import { pause, waitUntil } from "../../testing/wait_until.ts";

const host = await ensureHypervisorHost();

const NOBODY = { uid: 65534, gid: 65534 };
const MAXIMUM_CLIENTS = 10;
const GUEST = "instance-00000001";

/** Scrapes while libvirt is not there: always an answer in time that says so. */
async function assertDown(exporter: ExporterProcess, scrapes: number): Promise<AnsweredScrape> {
  for (let scrape = 1;; scrape++) {
    const page = await exporter.scrape();
    assert.equal(page.up, 0);
    assert.deepEqual(page.labelValues("libvirt_nova_instance_vcpu_count", "libvirtname"), []);
    assertInTime(page);
    if (scrape === scrapes) return page;
    await pause(100);
  }
}

async function assertUp(exporter: ExporterProcess): Promise<void> {
  const page = await exporter.scrape();
  assert.equal(page.up, 1, exporter.logLines().join("\n"));
  assert.deepEqual(page.labelValues("libvirt_nova_instance_rdbytes", "libvirtname"), [GUEST]);
}

/** What happened had one line when it began and one when it was over, and nothing else was wrong. */
function assertToldOnce(exporter: ExporterProcess): void {
  const unusual = exporter.logLines().filter((line) => !line.includes("message=Started"));
  assert.equal(unusual.length, 2, unusual.join("\n"));
  assert.match(unusual[0] ?? "", BEGUN);
  assert.match(unusual[1] ?? "", OVER);
}

function countLines(exporter: ExporterProcess, pattern: RegExp): number {
  return exporter.logLines().filter((line) => pattern.test(line)).length;
}

const BEGUN = /message="libvirt is not available"/;
const OVER = /message="Over: libvirt is not available"/;

/** Attempts to connect during `action`, by the exporter's own count. */
async function attemptsDuring(
  exporter: ExporterProcess,
  action: () => Promise<unknown>,
): Promise<number> {
  const attempts = async (): Promise<number> =>
    (await exporter.scrape()).value("libvirt_nova_exporter_connection_attempts_total") ?? NaN;
  const before = await attempts();
  await action();
  return await attempts() - before;
}

/** Connections that libvirtd has now, its own count. */
async function countClients(hypervisor: Hypervisor): Promise<number> {
  const uri = `libvirtd:///system?socket=${hypervisor.directory}/sockets/libvirt-admin-sock`;
  const report = await outputOf("virt-admin", ["-c", uri, "client-list", "libvirtd"]);
  return [...report.matchAll(/^\s*\d+\s+unix/gm)].length;
}

/** What may be behind a socket that is not libvirt's. */
const STRANGERS: Readonly<Record<string, (connection: Deno.Conn) => Promise<unknown>>> = {
  "closes at once": (connection) => Promise.resolve(connection.close()),
  "speaks another protocol": (connection) =>
    connection.write(new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n".repeat(1_000))),
  "announces a message that never comes": (connection) =>
    connection.write(Uint8Array.of(0, 0, 1, 0, 0x20, 0, 0x80, 0x86)),
  "sends bytes without end": async (connection) => {
    while (true) await connection.write(crypto.getRandomValues(new Uint8Array(65_536)));
  },
};

/** Listens on a socket in libvirtd's place. */
function startStranger(
  path: string,
  behaviour: (connection: Deno.Conn) => Promise<unknown>,
): { close(): void; isGone(): boolean } {
  const listener = Deno.listen({ transport: "unix", path });
  const connections: Deno.Conn[] = [];
  (async (): Promise<void> => {
    for await (const connection of listener) {
      connections.push(connection);
      // It may find that the exporter has gone.
      behaviour(connection).catch(() => {});
    }
  })().catch(() => {});
  return {
    close(): void {
      listener.close();
      for (const connection of connections) closeIfOpen(connection);
    },
    isGone: () => !exists(path),
  };
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

/** What stands between a TCP port and libvirtd's socket; while it is broken, nothing arrives, as TCP would try again. */
interface Network {
  readonly port: number;
  isBroken: boolean;
  close(): void;
}

function startNetwork(path: string): Network {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connections: Deno.Conn[] = [];
  const relay = async (from: Deno.Conn, to: Deno.Conn): Promise<void> => {
    const buffer = new Uint8Array(65_536);
    for (let count = await from.read(buffer); count !== null; count = await from.read(buffer)) {
      while (network.isBroken) await pause(20);
      for (let start = 0; start < count;) start += await to.write(buffer.subarray(start, count));
    }
    closeIfOpen(to);
  };
  (async (): Promise<void> => {
    for await (const client of listener) {
      const daemon = await Deno.connect({ transport: "unix", path });
      connections.push(client, daemon);
      for (const [from, to] of [[client, daemon], [daemon, client]] as const) {
        relay(from, to).catch(() => closeIfOpen(to));
      }
    }
  })().catch(() => {});
  const network: Network = {
    port: listener.addr.port,
    isBroken: false,
    close(): void {
      listener.close();
      for (const connection of connections) closeIfOpen(connection);
    },
  };
  return network;
}

function closeIfOpen(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // Its other side was quicker.
  }
}

if (host.available) {
  Deno.test("what happens to libvirtd never costs an answer, and is over at the next scrape", async (context) => {
    await using hypervisor = await startHypervisor({
      guests: [{ name: GUEST, start: "paused", disks: [{ target: "vda" }] }],
      // Few and soon, so that a test need not open hundreds of connections nor wait for half a minute.
      libvirtdSettings: {
        "max_clients": MAXIMUM_CLIENTS,
        "max_anonymous_clients": MAXIMUM_CLIENTS,
        "keepalive_interval": 2,
        "keepalive_count": 2,
      },
    });
    const { readOnlyUri } = hypervisor;

    await context.step("stopped (SIGSTOP) for a while", async () => {
      await using exporter = await startExporterProcess(readOnlyUri);
      await assertUp(exporter);
      await hypervisor.killLibvirtd("SIGSTOP");
      const page = await assertDown(exporter, 4).finally(() => hypervisor.killLibvirtd("SIGCONT"));
      assert.ok(
        (page.value("libvirt_nova_exporter_connection_attempts_total") ?? NaN) <= 3,
        "an attempt that hangs is waited for, not repeated",
      );
      await assertUp(exporter);
      assertToldOnce(exporter);
    });

    await context.step("stopped for so long that the connection is given up", async () => {
      await using exporter = await startExporterProcess(readOnlyUri, [
        "--libvirt.timeout",
        "500ms",
      ]);
      await assertUp(exporter);
      await hypervisor.killLibvirtd("SIGSTOP");
      try {
        const attempts = await attemptsDuring(exporter, async () => {
          for (let second = 0; second < 25; second++) {
            assert.equal((await exporter.scrape()).up, 0);
            await pause(500);
          }
        });
        assert.ok(attempts <= 25, `${attempts} attempts`);
      } finally {
        await hypervisor.killLibvirtd("SIGCONT");
      }
      await assertUp(exporter);
      await waitUntil(
        "calls that were given up to be over",
        async () =>
          (await exporter.scrape()).value("libvirt_nova_exporter_quarantined") === 0 || undefined,
        10_000,
      );
    });

    await context.step("killed, absent for a while, and started again", async () => {
      await using exporter = await startExporterProcess(readOnlyUri);
      await assertUp(exporter);
      await hypervisor.killLibvirtd("SIGKILL");
      const started = performance.now();
      const attempts = await attemptsDuring(exporter, () => assertDown(exporter, 6));
      const seconds = (performance.now() - started) / 1_000;
      assert.ok(attempts <= seconds + 1, `${attempts} attempts in ${seconds} s`);
      await hypervisor.startLibvirtd();
      await assertUp(exporter);
      assertToldOnce(exporter);
    });

    await context.step("restarted again and again while being scraped", async () => {
      await using exporter = await startExporterProcess(readOnlyUri);
      let restarting = true;
      const scraping = (async (): Promise<number> => {
        let scrapes = 0;
        for (; restarting; scrapes++) {
          assertInTime(await exporter.scrape());
          await pause(20);
        }
        return scrapes;
      })();
      for (let restart = 0; restart < 5; restart++) {
        await hypervisor.restartLibvirtd();
        await pause(300);
      }
      restarting = false;
      assert.ok(await scraping > 2);
      await assertUp(exporter);
      const outages = countLines(exporter, BEGUN);
      assert.ok(outages <= 5, `${outages} lines for five restarts`);
      assert.equal(countLines(exporter, OVER), outages);
      assert.equal(countLines(exporter, /Internal error/), 0);
    });

    await context.step("absent when the exporter starts", async () => {
      await hypervisor.killLibvirtd("SIGTERM");
      await using exporter = await startExporterProcess(readOnlyUri);
      await assertDown(exporter, 2);
      await hypervisor.startLibvirtd();
      await assertUp(exporter);
      assertToldOnce(exporter);
    });

    await context.step(
      "killed while a guest hangs: what was asked counts until the guest answers",
      async () => {
        await using exporter = await startExporterProcess(readOnlyUri);
        await assertUp(exporter);
        const guest = hypervisor.guestPid(GUEST);
        Deno.kill(guest, "SIGSTOP");
        try {
          assert.equal((await exporter.scrape()).up, 1);
          await hypervisor.killLibvirtd("SIGKILL");
          await assertDown(exporter, 1);
        } finally {
          Deno.kill(guest, "SIGCONT");
        }
        await hypervisor.startLibvirtd();
        await assertUp(exporter);
        const page = await exporter.scrape();
        assert.equal(page.value("libvirt_nova_exporter_quarantined"), 0);
      },
    );

    await context.step("a socket that is not there, with what to do about it", async () => {
      const socket = `${hypervisor.directory}/sockets/missing`;
      await using exporter = await startExporterProcess(`qemu+unix:///system?socket=${socket}`);
      const started = performance.now();
      const attempts = await attemptsDuring(exporter, () => assertDown(exporter, 20));
      const seconds = (performance.now() - started) / 1_000;
      assert.ok(attempts <= seconds + 1, `${attempts} attempts in ${seconds} s`);
      assert.equal(countLines(exporter, /No such file.*correct the path after/), 1);
      Deno.symlinkSync("libvirt-sock-ro", socket);
      await assertUp(exporter);
      assertToldOnce(exporter);
    });

    await context.step("a socket that may not be opened, with the group to join", async () => {
      const socket = `${hypervisor.directory}/sockets/libvirt-sock`;
      const [, group] = /^libvirt:[^:]*:(\d+):/m.exec(Deno.readTextFileSync("/etc/group")) ?? [];
      Deno.chownSync(socket, null, Number(group));
      Deno.chmodSync(socket, 0o770);
      await using exporter = await startExporterProcess(
        `qemu+unix:///system?socket=${socket}`,
        [],
        { user: NOBODY },
      );
      await assertDown(exporter, 2);
      assert.equal(countLines(exporter, BEGUN), 1);
      assert.equal(
        countLines(exporter, /Permission denied.*add the exporter's user to the group .*libvirt/),
        1,
      );
      Deno.chmodSync(socket, 0o777);
      try {
        await assertUp(exporter);
      } finally {
        Deno.chmodSync(socket, 0o700);
      }
      assertToldOnce(exporter);
    });

    await context.step("a socket on which something else answers", async () => {
      const socket = `${hypervisor.directory}/sockets/other`;
      for (const [name, behaviour] of Object.entries(STRANGERS)) {
        const stranger = startStranger(`${hypervisor.directory}/sockets/stranger`, behaviour);
        Deno.symlinkSync("stranger", socket);
        await using exporter = await startExporterProcess(`qemu+unix:///system?socket=${socket}`);
        try {
          await assertDown(exporter, 3);
        } finally {
          stranger.close();
          Deno.removeSync(socket);
        }
        assert.equal(countLines(exporter, BEGUN), 1, name);
        // Its listener takes its socket away when it is closed, which may be later.
        await waitUntil("the stranger to be gone", () => stranger.isGone() || undefined, 10_000);
        Deno.symlinkSync("libvirt-sock-ro", socket);
        await assertUp(exporter);
        assertToldOnce(exporter);
        Deno.removeSync(socket);
      }
    });

    await context.step("a network that takes everything and delivers nothing", async () => {
      const network = startNetwork(`${hypervisor.directory}/sockets/libvirt-sock-ro`);
      try {
        const uri = `qemu+tcp://127.0.0.1:${network.port}/system`;
        await using exporter = await startExporterProcess(uri);
        await assertUp(exporter);
        network.isBroken = true;
        await assertDown(exporter, 3);
        network.isBroken = false;
        await assertUp(exporter);
        assertToldOnce(exporter);
      } finally {
        network.close();
      }
    });

    await context.step("an exporter that is stopped until libvirtd gives it up", async () => {
      await using exporter = await startExporterProcess(readOnlyUri);
      await assertUp(exporter);
      const before = await countClients(hypervisor);
      exporter.kill("SIGSTOP");
      try {
        await waitUntil(
          "libvirtd to close the connection",
          async () => await countClients(hypervisor) < before || undefined,
          20_000,
        );
      } finally {
        exporter.kill("SIGCONT");
      }
      await assertUp(exporter);
      assert.deepEqual(exporter.logLines().filter((line) => !line.includes("level=info")), []);
    });

    await context.step("a daemon that has as many clients as it takes", async () => {
      await using exporter = await startExporterProcess(readOnlyUri, ["--libvirt.timeout", "1s"]);
      await assertUp(exporter);
      const clients: Deno.Conn[] = [];
      try {
        await hypervisor.killLibvirtd("SIGKILL");
        await assertDown(exporter, 1);
        await hypervisor.startLibvirtd();
        const path = `${hypervisor.directory}/sockets/libvirt-sock-ro`;
        for (let client = 0; client < MAXIMUM_CLIENTS + 5; client++) {
          clients.push(await Deno.connect({ transport: "unix", path }));
        }
        await assertDown(exporter, 3);
      } finally {
        for (const client of clients) client.close();
      }
      await assertUp(exporter);
      assertToldOnce(exporter);
    });

    await context.step(
      "an exporter that is killed and started again leaves nothing behind",
      async () => {
        const before = await countClients(hypervisor);
        for (let restart = 0; restart < 5; restart++) {
          await using exporter = await startExporterProcess(readOnlyUri);
          const scrapes = [exporter.scrape(), exporter.scrape()].map((one) => one.catch(() => {}));
          await assertUp(exporter);
          exporter.kill("SIGKILL");
          await Promise.all(scrapes);
        }
        await waitUntil(
          "libvirtd to notice",
          async () => await countClients(hypervisor) === before || undefined,
          10_000,
        );
      },
    );
  });
}
