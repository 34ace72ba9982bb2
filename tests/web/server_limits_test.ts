// Runs the same scenarios against the web server under Deno and under Bun, which the executable is made of.
import assert from "node:assert/strict";
import { BIG_PAGE_BYTES, getMetrics, type Scenario, withClients } from "./server_scenarios.ts";
import { waitUntil } from "../../testing/wait_until.ts";
import { HEADERS, METRICS } from "./raw_requests.ts";
import type { Client } from "../../testing/web_client.ts";
import { RUNTIMES, type ServerProcess, withServer } from "../../testing/web_server.ts";

/** Asks for a big page and reads nothing of it until the server has given up. */
async function stopReadingUntilCutOff(
  client: Client,
  state: ServerProcess["state"],
): Promise<void> {
  client.socket.pause();
  client.send(`GET /big HTTP/1.1\r\n${HEADERS}`);
  await waitUntil(
    "the server gives up",
    async () => (await state()).debugMessages.includes("Could not send an answer: client too slow"),
  );
}

const SCENARIOS: readonly Scenario[] = [
  {
    name: "cuts off a client that stops reading its answer",
    setup: { limits: { stallMilliseconds: 300 } },
    async check({ port, state }): Promise<void> {
      await withClients(1, port, async ([client]) => {
        assert.ok(client);
        await stopReadingUntilCutOff(client, state);
        client.socket.resume();
        const { answers } = await client.receiveUntilClosed();
        assert.deepEqual(answers, []);
      });
    },
  },
  {
    name: "cuts off a client that reads its answer for longer than allowed",
    setup: { limits: { answerMilliseconds: 300 } },
    async check({ port, state }): Promise<void> {
      await withClients(1, port, async ([client]) => {
        assert.ok(client);
        await stopReadingUntilCutOff(client, state);
      });
    },
  },
  {
    name: "holds no copies of the page for clients that stop reading",
    async check({ port, state, url }): Promise<void> {
      await (await fetch(`${url}/big`)).arrayBuffer();
      const before = (await state()).residentBytes;
      await withClients(30, port, async (clients) => {
        for (const { socket, send } of clients) {
          const begun = new Promise((resolve) => socket.once("data", resolve));
          send(`GET /big HTTP/1.1\r\n${HEADERS}`);
          await begun;
          socket.pause();
        }
        const grown = (await state()).residentBytes - before;
        assert.ok(grown < 10 * BIG_PAGE_BYTES, `Grew by ${grown} bytes`);
      });
    },
  },
  {
    name: "closes the connection idle for longest, and never a busy one, when there are too many",
    setup: { limits: { maximumConnections: 10, maximumRequestsInFlight: 8 } },
    async check(server): Promise<void> {
      await withClients(2, server.port, async (busy) => {
        for (const client of busy) client.send(`GET /slow HTTP/1.1\r\n${HEADERS}`);
        await waitUntil(
          "both are busy",
          async () => (await server.state()).slow === 2,
        );
        await withClients(40, server.port, async (idle) => {
          for (const client of idle) client.send("G");
          assert.equal(await getMetrics(server), METRICS);
          await Promise.all(idle.slice(0, 30).map((client) => client.receiveUntilClosed()));
          assert.equal(await getMetrics(server), METRICS);
        });
        for (const client of busy) {
          assert.deepEqual((await client.receive(1)).answers.map(({ body }) => body), ["slow\n"]);
        }
      });
      assert.deepEqual((await server.state()).log, [
        "Too many connections, closed the one idle for longest " +
        '{"maximumConnections":10,"maximumRequestsInFlight":8}',
      ]);
    },
  },
  {
    name: "answers 503 when too many requests are being answered",
    setup: { limits: { maximumRequestsInFlight: 2 } },
    async check({ port, url }): Promise<void> {
      await withClients(2, port, async (busy) => {
        for (const client of busy) client.send(`GET /hold HTTP/1.1\r\n${HEADERS}`);
        await waitUntil("both places are taken", async () => {
          const response = await fetch(`${url}/metrics`);
          await response.body?.cancel();
          return response.status === 503;
        });
        busy[0]?.close();
        await waitUntil("one is free again", async () => {
          const response = await fetch(`${url}/metrics`);
          await response.body?.cancel();
          return response.status === 200;
        });
      });
    },
  },
  {
    name: "cuts off clients that stop reading when they would keep others out",
    setup: { limits: { maximumConnections: 8, maximumRequestsInFlight: 4 } },
    async check(server): Promise<void> {
      await withClients(20, server.port, async (clients) => {
        for (const { socket, send } of clients) {
          socket.pause();
          send(`GET /big HTTP/1.1\r\n${HEADERS}`);
        }
        await waitUntil(
          "a page is sent nevertheless",
          async () => await getMetrics(server) === METRICS,
        );
        await waitUntil("that is logged", async () => {
          const response = await fetch(`${server.url}/state`);
          return (await response.text()).includes("slowest to read");
        });
      });
    },
  },
  {
    name: "cuts off a client that sends too many requests ahead",
    async check(server): Promise<void> {
      await withClients(1, server.port, async ([client]) => {
        assert.ok(client);
        client.send(`GET /slow HTTP/1.1\r\n${HEADERS}`.repeat(50_000));
        assert.deepEqual((await client.receiveUntilClosed()).answers, []);
      });
      assert.equal(await getMetrics(server), METRICS);
    },
  },
  {
    name: "answers while hundreds of clients are slow to send their headers",
    setup: { limits: { headersMilliseconds: 2_000 } },
    async check(server): Promise<void> {
      await withClients(300, server.port, async (slow) => {
        for (const client of slow) client.send("GET /metrics HTTP/1.1\r\nHo");
        assert.equal(await getMetrics(server), METRICS);
        const ends = await Promise.all(slow.map((client) => client.receiveUntilClosed()));
        const statuses = ends.flatMap(({ answers }) => answers.map(({ status }) => status));
        assert.deepEqual(statuses, slow.map(() => 408));
      });
    },
  },
];

for (const runtime of RUNTIMES) {
  for (const { name, setup, check } of SCENARIOS) {
    Deno.test(
      `startWebServer() under ${runtime.name} ${name}`,
      async () => await withServer(runtime, setup ?? {}, check),
    );
  }
}
