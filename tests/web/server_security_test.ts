// TLS and logins of the web server, under Deno and under Bun, which the executable is made of.
import assert from "node:assert/strict";
import { RUNTIMES } from "../../testing/web_server.ts";
import { startCommand } from "../../testing/command.ts";
import { waitUntil } from "../../testing/wait_until.ts";
import { openClient } from "../../testing/web_client.ts";
import { exchange, GET, RIGHT, stateRequest, TLS, USERS, withScene } from "./secure_server.ts";

for (const runtime of RUNTIMES) {
  Deno.test(`the server under ${runtime.name} switches TLS and logins on while it runs`, async () => {
    await withScene(runtime, "", async ({ server, write, status }) => {
      const plain = await openClient(server.port);
      plain.send(GET);
      assert.equal((await plain.receive(1)).answers[0]?.status, 200);
      await write(`${TLS}${USERS}`);
      assert.equal((await plain.receiveUntilClosed()).answers.length, 1);
      assert.equal(await status(), 401);
    });
  });
}

for (const runtime of RUNTIMES) {
  Deno.test(`the server under ${runtime.name} holds its limits with TLS and logins`, async (test) => {
    const impatient = {
      headersMilliseconds: 300,
      requestMilliseconds: 600,
      idleMilliseconds: 700,
      stallMilliseconds: 300,
      maximumConnections: 20,
      maximumRequestsInFlight: 10,
    };
    const authorized = `Host: h\r\nAuthorization: ${RIGHT}\r\n`;
    await withScene(runtime, `${TLS}${USERS}`, async ({ server, connect }) => {
      const first = await exchange(await connect(), `GET /metrics HTTP/1.1\r\n${authorized}\r\n`);
      assert.equal(first.answers[0]?.status, 200);
      const cases: readonly (readonly [name: string, text: string, statuses: readonly number[]])[] =
        [
          ["no request at all", "", [408]],
          ["headers that stop", "GET /metrics HTTP/1.1\r\nHost: h\r\n", [408]],
          ["headers that are too large", `GET / HTTP/1.1\r\nA: ${"x".repeat(40_000)}\r\n\r\n`, [
            431,
          ]],
          ["a path that is too long", `GET /${"x".repeat(9_000)} HTTP/1.1\r\n${authorized}\r\n`, [
            414,
            408,
          ]],
          [
            "a body that is too large",
            `POST / HTTP/1.1\r\n${authorized}Content-Length: 99999999\r\n\r\n`,
            [413],
          ],
          ["a body that stops", `POST / HTTP/1.1\r\n${authorized}Content-Length: 10\r\n\r\nabc`, [
            408,
          ]],
          ["no HTTP", "\u0001\u0002\r\n\r\n", [400]],
          ["no host", "GET /metrics HTTP/1.1\r\n\r\n", [400]],
          ["no login", `GET /hold HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`, [401]],
          [
            "a wrong login",
            `GET /hold HTTP/1.1\r\nHost: h\r\nAuthorization: Basic ${
              btoa("alice:x")
            }\r\nConnection: close\r\n\r\n`,
            [401],
          ],
          [
            "a page that is not there, without a login",
            `GET /nowhere HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`,
            [401],
          ],
        ];
      for (const [name, text, statuses] of cases) {
        await test.step(name, async () => {
          const client = await connect();
          if (text !== "") client.send(text);
          const { answers } = await client.receiveUntilClosed();
          const got = answers.map(({ status }) => status);
          assert.deepEqual(got, statuses.slice(0, got.length));
          assert.ok(got.length > 0);
        });
      }
      await test.step("a client that does not read", async () => {
        // The client of Deno reads on when it is told to pause.
        const client = startCommand(
          "openssl",
          ["s_client", "-quiet", "-connect", `127.0.0.1:${server.port}`],
          { stdin: "piped", stdout: "piped", stderr: "null" },
        );
        const input = client.stdin.getWriter();
        await input.write(new TextEncoder().encode(`GET /big HTTP/1.1\r\n${authorized}\r\n`));
        await waitUntil("the server has given it up", async () => {
          const { answers } = await exchange(await connect(), stateRequest(authorized));
          return JSON.parse(answers[0]?.body ?? "").debugMessages
            .includes("Could not send an answer: client too slow");
        });
        client.kill("SIGKILL");
        await Promise.all([client.stdout.cancel(), input.close().catch(() => {}), client.status]);
      });
      await test.step("a client that speaks no TLS, and one that says nothing", async () => {
        const speaker = await openClient(server.port);
        speaker.send(GET);
        const { answers } = await speaker.receiveUntilClosed();
        // Deno does not tell what such a client has sent.
        assert.deepEqual(answers.map(({ status }) => status), runtime.name === "Deno" ? [] : [400]);
        const silent = await openClient(server.port);
        assert.deepEqual((await silent.receiveUntilClosed()).answers, []);
      });
      await test.step("a client whose handshake never ends, byte after byte", async () => {
        const client = await openClient(server.port);
        // A ClientHello that is announced as longer than what will ever come.
        client.send("\u0016\u0003\u0001\u0040\u0000\u0001\u0000\u003f\u00fc\u0003\u0003");
        const drip = setInterval(() => client.send("\u0000"), 20);
        try {
          assert.deepEqual((await client.receiveUntilClosed()).answers, []);
        } finally {
          clearInterval(drip);
        }
      });
      await test.step("more connections than the server takes, none of which finishes its handshake", async () => {
        const idle = await Promise.all(Array.from({ length: 60 }, () => openClient(server.port)));
        const { answers } = await exchange(await connect(), stateRequest(authorized));
        const state = JSON.parse(answers[0]?.body ?? "");
        assert.equal(state.held, 0, "no page was made without a login");
        assert.ok(await server.openFiles() < 60);
        for (const client of idle) client.close();
      });
    }, { limits: impatient });
  });
}
