// How the executable ends. It is built by `npm run build`.
import assert from "node:assert/strict";
import {
  assertNothingRuns,
  createTestFolder,
  requireExecutable,
  startExecutable,
} from "../../testing/executable.ts";
import { DEFAULT_URI } from "../../testing/hypervisor_files.ts";
import { parsePage, valueOf } from "../../testing/parse_page.ts";
import { startSilentDaemon } from "../../testing/silent_daemon.ts";
import { waitUntil } from "../../testing/wait_until.ts";
import { type Client, openClient } from "../../testing/web_client.ts";

requireExecutable();

/** Asks for a page and waits until the exporter is at it. */
async function beginScrape(port: number): Promise<Client> {
  const client = await openClient(port);
  client.send("GET /metrics HTTP/1.1\r\nHost: exporter\r\n\r\n");
  const later = await openClient(port);
  later.send("GET /other HTTP/1.1\r\nHost: exporter\r\n\r\n");
  assert.equal((await later.receive(1)).answers[0]?.status, 404);
  later.close();
  return client;
}

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.test(`${signal} ends it with 0 and nothing left but its unpacked shim`, async () => {
    await using folder = await createTestFolder();
    await using exporter = await startExecutable(["--uri", DEFAULT_URI, "--log", "-"], { folder });
    const idle = await openClient(exporter.ports[0] ?? 0);
    idle.send("GET /metrics HTTP/1.1\r\nHost: exporter\r\n\r\n");
    assert.equal((await idle.receive(1)).answers[0]?.status, 200);
    const halfway = await openClient(exporter.ports[0] ?? 0);
    halfway.send("GET /metrics HTTP/1.1\r\nHost: ");
    exporter.signal(signal);
    const { code, output, errorOutput } = await exporter.ended();
    assert.deepEqual([code, output], [0, ""], errorOutput);
    assert.match(
      errorOutput,
      new RegExp(`message=Stopping reason=${signal}\\n.*message=Stopped\\n$`),
    );
    await idle.receiveUntilClosed();
    await halfway.receiveUntilClosed();
    const left = (path: string): readonly string[] =>
      Array.from(Deno.readDirSync(path), ({ name }) => name);
    const [directory = "", ...others] = left(folder.temporary);
    assert.match(directory, /^libvirt_nova_exporter-\d+$/);
    assert.deepEqual([others, left(`${folder.temporary}/${directory}`)], [[], ["shim.node"]]);
  });

  Deno.test(`${signal} lets a running scrape end`, async () => {
    await using folder = await createTestFolder();
    using daemon = startSilentDaemon(folder);
    const args = ["--uri", daemon.uri, "--log", "-", "--libvirt.timeout", "1s"];
    await using exporter = await startExecutable(args, { folder });
    const client = await beginScrape(exporter.ports[0] ?? 0);
    exporter.signal(signal);
    const { answers, closed } = await client.receiveUntilClosed();
    assert.deepEqual([answers.map(({ status }) => status), closed], [[200], true]);
    assert.equal(valueOf(parsePage(answers[0]?.body ?? ""), "libvirt_nova_up"), 0);
    assert.equal((await exporter.ended()).code, 0);
  });
}

Deno.test("a second SIGINT ends it at once, whatever it waits for", async () => {
  await using folder = await createTestFolder();
  using daemon = startSilentDaemon(folder);
  const args = ["--uri", daemon.uri, "--log", "-", "--libvirt.timeout", "10m"];
  await using exporter = await startExecutable(args, { folder });
  const client = await beginScrape(exporter.ports[0] ?? 0);
  exporter.signal("SIGINT");
  await waitUntil(
    "it is stopping",
    () => /Stopping/.test(exporter.errorOutput()),
  );
  exporter.signal("SIGINT");
  const { code, errorOutput } = await exporter.ended();
  assert.equal(code, 1);
  assert.doesNotMatch(errorOutput, /message=Stopped/);
  client.close();
});

Deno.test("all these tests leave no process behind", () => assertNothingRuns());
