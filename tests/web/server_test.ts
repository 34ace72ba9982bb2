// Runs the same scenarios against the web server under Deno and under Bun, which the executable is made of.
import assert from "node:assert/strict";
import { BIG_PAGE_BYTES, getMetrics, type Scenario, withClients } from "./server_scenarios.ts";
import { networkInterfaces } from "node:os";
import { waitUntil } from "../../testing/wait_until.ts";
import { openClient } from "../../testing/web_client.ts";
import { GET, HEADERS, METRICS } from "./raw_requests.ts";
import { RUNTIMES, withServer } from "../../testing/web_server.ts";

const SCENARIOS: readonly Scenario[] = [
  {
    name: "sends the page with its type and length, and HEAD the same headers",
    async check({ url }): Promise<void> {
      const got = await fetch(`${url}/metrics`);
      const head = await fetch(`${url}/metrics`, { method: "HEAD" });
      assert.equal(await got.text(), METRICS);
      assert.equal(await head.text(), "");
      const headersOf = (response: Response): Record<string, string> => {
        const { date: _, ...others } = Object.fromEntries(response.headers);
        return others;
      };
      assert.deepEqual(headersOf(head), headersOf(got));
      const { connection: _, "keep-alive": __, ...own } = headersOf(got);
      assert.deepEqual(own, {
        "content-length": String(METRICS.length),
        "content-type": "text/plain; version=0.0.4; charset=utf-8",
        "x-content-type-options": "nosniff",
      });
    },
  },
  {
    name: "hands method, query and headers to the handler",
    async check({ port }): Promise<void> {
      await withClients(1, port, async ([client]) => {
        assert.ok(client);
        client.send(
          "GET http://h/request?a=%20&b?c HTTP/1.1\r\nHost: h\r\nX-Test: 1\r\nx-test: 2\r\n\r\n",
        );
        const { answers } = await client.receive(1);
        assert.deepEqual(JSON.parse(answers[0]?.body ?? ""), {
          method: "GET",
          query: "a=%20&b?c",
          test: "1, 2",
        });
      });
    },
  },
  {
    name: "names the known paths to whom asks for another one",
    async check({ url }): Promise<void> {
      const response = await fetch(`${url}/`);
      assert.equal(response.status, 404);
      assert.match(await response.text(), /^Not found, this exporter answers on \/metrics, /);
    },
  },
  {
    name: "sends a page of many megabytes whole",
    async check({ url }): Promise<void> {
      const response = await fetch(`${url}/big`);
      assert.equal(response.headers.get("content-length"), String(BIG_PAGE_BYTES));
      const bytes = new Uint8Array(await response.arrayBuffer());
      assert.equal(bytes.byteLength, BIG_PAGE_BYTES);
      const starts = Array.from({ length: 15 }, (_, index) => bytes[index * 1024 * 1024]);
      assert.deepEqual(starts, Array.from({ length: 15 }, (_, index) => 65 + index));
    },
  },
  {
    name: "answers 100 requests at once",
    async check(server): Promise<void> {
      const texts = await Promise.all(Array.from({ length: 100 }, () => getMetrics(server)));
      assert.deepEqual(new Set(texts), new Set([METRICS]));
    },
  },
  {
    name: "answers 500 without the reason and logs that in one line when a handler throws",
    async check({ url, state }): Promise<void> {
      const response = await fetch(`${url}/throws`);
      assert.equal(response.status, 500);
      assert.equal(await response.text(), "Internal error\n");
      assert.deepEqual((await state()).log, [
        'Could not make a page {"path":"/throws","error":"a secret of two lines"}',
      ]);
    },
  },
  {
    name: "cuts the connection and logs one line when a page cannot be sent",
    async check({ port, state }): Promise<void> {
      await withClients(1, port, async ([client]) => {
        assert.ok(client);
        client.send(`GET /invalid HTTP/1.1\r\n${HEADERS}`);
        assert.deepEqual((await client.receiveUntilClosed()).answers, []);
      });
      const { log } = await state();
      assert.equal(log.length, 1);
      assert.match(log[0] ?? "", /^Could not send an answer /);
    },
  },
  {
    name: "aborts the signal of a request whose client has gone and logs nothing",
    async check({ port, state }): Promise<void> {
      await withClients(5, port, async (clients) => {
        for (const client of clients) client.send(`GET /hold HTTP/1.1\r\n${HEADERS}`);
        await waitUntil(
          "the handlers run",
          async () => (await state()).held === 5,
        );
        for (const client of clients) client.close();
        await waitUntil(
          "their signals abort",
          async () => (await state()).gone === 5,
        );
        assert.deepEqual((await state()).log, []);
      });
    },
  },
  {
    name: "closes a connection that sends nonsense behind a request and aborts that request",
    async check({ port, state }): Promise<void> {
      await withClients(1, port, async ([client]) => {
        assert.ok(client);
        client.send(`GET /hold HTTP/1.1\r\n${HEADERS}hello\r\n\r\n`);
        const { answers } = await client.receiveUntilClosed();
        // The runtimes differ in whether the request has begun to be answered by then.
        assert.ok(answers.every(({ status }) => status === 400));
        await waitUntil("it ends", async () => {
          const { held, gone } = await state();
          return held === gone;
        });
        assert.deepEqual((await state()).log, []);
      });
    },
  },
  {
    name: "keeps no file open and logs nothing for clients that leave in the middle of an answer",
    async check(server): Promise<void> {
      await getMetrics(server);
      const before = await server.openFiles();
      for (let round = 0; round < 20; round += 1) {
        await withClients(10, server.port, async (clients) => {
          for (const { socket, send } of clients) {
            const begun = new Promise((resolve) => socket.once("data", resolve));
            send(`GET /big HTTP/1.1\r\n${HEADERS}`);
            await begun;
            socket.destroy();
          }
        });
      }
      await waitUntil(
        "all is closed",
        async () => await server.openFiles() <= before + 1,
      );
      assert.deepEqual((await server.state()).log, []);
    },
  },
  {
    name: "outlives clients that reset their connections at any point",
    async check({ port, state }): Promise<void> {
      const requests = [
        "G",
        "hello\r\n\r\n",
        `CONNECT h:1 HTTP/1.1\r\n${HEADERS}`,
        `GET /big HTTP/1.1\r\n${HEADERS}`,
        `GET /hold HTTP/1.1\r\n${HEADERS}`,
        "POST /metrics HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\na",
      ];
      for (const request of requests) {
        for (let round = 0; round < 100; round += 1) {
          const { socket, send } = await openClient(port);
          send(request);
          await new Promise((resolve) => setTimeout(resolve, 1));
          const closed = new Promise((resolve) => socket.once("close", resolve));
          socket.resetAndDestroy();
          if (!socket.closed) await closed;
        }
      }
      await waitUntil("all requests have ended", async () => {
        const { held, gone } = await state();
        return held === gone;
      });
      assert.deepEqual((await state()).log, []);
    },
  },
  {
    name: "answers open requests and closes idle connections when it closes",
    async check({ port, state, terminate }): Promise<void> {
      await withClients(4, port, async ([busy, pipelining, used, unused]) => {
        assert.ok(busy && pipelining && used && unused);
        used.send(GET);
        await used.receive(1);
        unused.send("G");
        busy.send(`GET /slow HTTP/1.1\r\n${HEADERS}`);
        pipelining.send(`GET /slow HTTP/1.1\r\n${HEADERS}`.repeat(2));
        await waitUntil(
          "the slow pages are under way",
          async () => (await state()).slow === 2,
        );
        const end = terminate();
        assert.deepEqual((await used.receiveUntilClosed()).answers.length, 1);
        assert.deepEqual((await unused.receiveUntilClosed()).answers, []);
        for (const client of [busy, pipelining]) {
          const { answers } = await client.receiveUntilClosed();
          assert.deepEqual(answers.map(({ body }) => body), ["slow\n"]);
        }
        assert.deepEqual(await end, { output: "closed", code: 0 });
        const late = await openClient(port);
        assert.equal((await late.receiveUntilClosed()).closed, true);
      });
    },
  },
  {
    name: "cuts off requests that are open at the deadline when it closes",
    setup: { closeMilliseconds: 200 },
    async check({ port, state, terminate }): Promise<void> {
      await withClients(1, port, async ([client]) => {
        assert.ok(client);
        client.send(`GET /hold HTTP/1.1\r\n${HEADERS}`);
        await waitUntil(
          "the request is under way",
          async () => (await state()).held === 1,
        );
        assert.deepEqual(await terminate(), { output: "closed", code: 0 });
        assert.deepEqual((await client.receiveUntilClosed()).answers, []);
      });
    },
  },
  {
    name: "listens on several addresses",
    setup: { listenAddresses: [{ host: "127.0.0.1", port: 0 }, { host: "localhost", port: 0 }] },
    async check({ addresses }): Promise<void> {
      assert.equal(addresses.length, 2);
      for (const { host, port } of addresses) {
        const name = host.includes(":") ? `[${host}]` : host;
        assert.equal(await (await fetch(`http://${name}:${port}/metrics`)).text(), METRICS);
      }
    },
  },
  {
    name: "listens on all addresses of both families",
    setup: { listenAddresses: [{ host: null, port: 0 }] },
    async check(server): Promise<void> {
      assert.equal(await getMetrics(server), METRICS);
      const hasIpv6 = Object.values(networkInterfaces()).flat().some((own) =>
        own?.address === "::1"
      );
      assert.equal(server.addresses[0]?.host, hasIpv6 ? "::" : server.addresses[0]?.host);
      if (!hasIpv6) return;
      const response = await fetch(`http://[::1]:${server.port}/metrics`);
      assert.equal(await response.text(), METRICS);
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
