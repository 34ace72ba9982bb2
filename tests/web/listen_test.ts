import assert from "node:assert/strict";
import { createServer } from "node:net";
import { LOOPBACK, RUNTIMES, startProcess } from "../../testing/web_server.ts";

for (const runtime of RUNTIMES) {
  Deno.test(`startWebServer() under ${runtime.name} says why it cannot listen`, async (t) => {
    const occupied = createServer();
    await new Promise<void>((resolve) => occupied.listen(0, "127.0.0.1", resolve));
    const address = occupied.address();
    const port = typeof address === "object" ? address?.port ?? 0 : 0;
    const cases = [
      [{ host: "127.0.0.1", port }, `"127.0.0.1:${port}": the port is in use`],
      [{ host: null, port }, `"*:${port}": the port is in use`],
      [{ host: "203.0.113.77", port: 0 }, '"203.0.113.77:0": no network interface'],
      [{ host: "no-such-host.invalid", port: 0 }, '"no-such-host.invalid:0": the host name'],
    ] as const;
    try {
      for (const [listenAddress, message] of cases) {
        await t.step(message, async () => {
          const { report, end } = await startProcess(runtime, {
            listenAddresses: [...LOOPBACK, listenAddress],
          });
          // The process only ends by itself once the address bound before is let go.
          assert.deepEqual(await end(), { output: "", code: 0 });
          assert.ok("error" in report, `It started: ${JSON.stringify(report)}`);
          assert.equal(report.name, "WebServerError");
          assert.equal(report.error.split("\n").length, 1);
          assert.ok(report.error.startsWith(`Cannot listen on ${message}`), report.error);
        });
      }
    } finally {
      await new Promise((resolve) => occupied.close(resolve));
    }
  });
}
