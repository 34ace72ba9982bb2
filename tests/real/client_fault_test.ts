import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { type ExporterProcess, startExporterProcess } from "../../testing/exporter_process.ts";
import { pause, waitUntil } from "../../testing/wait_until.ts";
import { novaDomainXml, numberedUuid, testDriverFile } from "../../testing/nova_domain.ts";
import { countDescriptors } from "../../testing/processes.ts";

const folder = Deno.makeTempDirSync();
globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));

/** A hypervisor of the test driver whose page is over a megabyte. */
const BIG = `${folder}/big.xml`;
Deno.writeTextFileSync(
  BIG,
  testDriverFile(Array.from({ length: 1_000 }, (_, number) =>
    novaDomainXml({
      name: `instance-${number}`,
      uuid: numberedUuid(number),
      novaName: `web-${number}`,
      disks: [{ target: "vda" }],
      interfaces: [{ target: `tap${number}`, macAddress: "fa:16:3e:00:00:01" }],
    }))),
);

const REQUEST = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

function openSocket({ target }: ExporterProcess): Promise<Socket> {
  const port = Number(target.split(":")[1]);
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => resolve(socket));
    socket.on("error", () => resolve(socket));
  });
}

function readAnswer(socket: Socket): Promise<string> {
  const chunks: Uint8Array[] = [];
  socket.on("data", (chunk: Uint8Array) => chunks.push(chunk));
  return new Promise((resolve) =>
    socket.on("close", () => resolve(chunks.map((one) => new TextDecoder().decode(one)).join("")))
  );
}

async function openSockets(exporter: ExporterProcess, count: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  for (let opened = 0; opened < count; opened++) sockets.push(await openSocket(exporter));
  return sockets;
}

async function withExporter(
  args: readonly string[],
  body: (exporter: ExporterProcess) => Promise<void>,
): Promise<void> {
  await using exporter = await startExporterProcess(`test://${BIG}`, args);
  await waitUntil(
    "all definitions to be read",
    async () =>
      (await exporter.scrape()).labelValues("libvirt_nova_instance_rdbytes", "targetdev").length ===
        1_000 || undefined,
    20_000,
  );
  await body(exporter);
  assert.equal((await exporter.scrape()).up, 1);
  assert.deepEqual(exporter.logLines().filter((line) => /level=error/.test(line)), []);
  assert.equal(await exporter.stop(), 0);
}

const options = { sanitizeOps: false, sanitizeResources: false };

Deno.test(
  "a hundred scrapers at once share collections",
  options,
  () =>
    withExporter([], async (exporter) => {
      const collections = "libvirt_nova_exporter_collections_total";
      const before = (await exporter.scrape()).value(collections) ?? NaN;
      // All are connected before the first asks, so that they ask at the same moment.
      const sockets = await openSockets(exporter, 100);
      const answers = sockets.map(readAnswer);
      for (const socket of sockets) socket.write(REQUEST);
      for (const answer of await Promise.all(answers)) {
        assert.match(answer, /^HTTP\/1\.1 200 OK/);
        assert.match(answer, /\nlibvirt_nova_up 1\n/);
      }
      const after = (await exporter.scrape()).value(collections) ?? NaN;
      assert.ok(after - before - 1 < 20, `${after - before - 1} collections for 100 scrapes`);
    }),
);

Deno.test(
  "a thousand idle connections lock nobody out and hold few descriptors",
  options,
  () =>
    withExporter([], async (exporter) => {
      const sockets = await openSockets(exporter, 1_000);
      assert.equal((await exporter.scrape()).up, 1);
      assert.ok(
        countDescriptors(exporter.processId) < 600,
        `${countDescriptors(exporter.processId)} descriptors`,
      );
      for (const socket of sockets) socket.destroy();
      await waitUntil(
        "the connections to be closed",
        () => Promise.resolve(countDescriptors(exporter.processId) < 60 || undefined),
        10_000,
      );
    }),
);

Deno.test(
  "five hundred clients that send slowly lock nobody out",
  options,
  () =>
    withExporter([], async (exporter) => {
      const sockets = await openSockets(exporter, 500);
      for (const socket of sockets) socket.write("GET /metrics HTTP/1.1\r\nX-Slow: ");
      for (let scrape = 0; scrape < 5; scrape++) {
        assert.equal((await exporter.scrape()).up, 1);
        for (const socket of sockets) if (!socket.destroyed) socket.write("x");
      }
      for (const socket of sockets) socket.destroy();
    }),
);

Deno.test(
  "clients that ask and read nothing, or leave in the middle, leave nothing behind",
  options,
  () =>
    withExporter([], async (exporter) => {
      await exporter.scrape();
      const before = countDescriptors(exporter.processId);
      for (let round = 0; round < 20; round++) {
        const sockets = await openSockets(exporter, 10);
        for (const socket of sockets) {
          socket.pause();
          socket.write(REQUEST);
        }
        await pause(round);
        for (const socket of sockets) socket.destroy();
      }
      assert.equal((await exporter.scrape()).up, 1);
      await waitUntil(
        "the connections to be closed",
        () => Promise.resolve(countDescriptors(exporter.processId) <= before + 2 || undefined),
        10_000,
      );
    }),
);

Deno.test(
  "several Prometheus servers share a collection for as long as --scrape.min-interval says",
  options,
  () =>
    withExporter(["--scrape.min-interval", "1h"], async (exporter) => {
      const [first, second] = [await exporter.scrape(), await exporter.scrape()];
      const collections = "libvirt_nova_exporter_collections_total";
      assert.equal(second.value(collections), first.value(collections));
      const age = "libvirt_nova_exporter_collection_age_seconds";
      assert.ok((second.value(age) ?? NaN) > (first.value(age) ?? NaN));
    }),
);
