import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { type SlowClientWatch, watchSlowClients } from "../../src/runtime/slow_client_watch.ts";
import { type Connection } from "../../src/web/connection_table.ts";
import { goneQuirk, HANDED_CONNECTIONS, runUnder } from "../../testing/run_under.ts";
import { waitUntil } from "../../testing/wait_until.ts";

const SOON = 20;
const NEVER = 1_000_000;

interface FakeConnection extends Connection {
  pending: number;
  readonly socket: Socket & { bytesRead: number };
}

interface Fixture {
  readonly watch: SlowClientWatch;
  readonly told: string[];
  add(name: string, parser?: unknown): FakeConnection;
}

async function withWatch(
  limits: { readonly headersMilliseconds: number; readonly idleMilliseconds: number },
  use: (fixture: Fixture) => Promise<void>,
): Promise<void> {
  const names = new Map<Socket, string>();
  const connections: FakeConnection[] = [];
  const told: string[] = [];
  const tell = (what: string) => (connection: Connection): void => {
    told.push(`${names.get(connection.socket)} ${what}`);
    connections.splice(connections.findIndex(({ socket }) => socket === connection.socket), 1);
  };
  const watch = watchSlowClients({
    connections: { idle: () => [...connections] },
    limits,
    onLate: tell("is late"),
    onUnused: tell("is unused"),
  });
  try {
    await use({
      watch,
      told,
      add(name, parser): FakeConnection {
        const socket = { bytesRead: 0, parser } as unknown as FakeConnection["socket"];
        const connection: FakeConnection = {
          socket,
          pending: 0,
          busy: false,
          signal: new AbortController().signal,
        };
        names.set(socket, name);
        connections.push(connection);
        return connection;
      },
    });
  } finally {
    watch.stop();
  }
}

const happens = (told: readonly string[], what: string): Promise<unknown> =>
  waitUntil(what, () => told.includes(what));

Deno.test("watchSlowClients() tells of a new connection whose first request does not come", async () => {
  await withWatch(
    { headersMilliseconds: SOON, idleMilliseconds: NEVER },
    async ({ watch, told, add }) => {
      const waiting = add("a request that waits for its turn");
      waiting.pending = 1;
      watch.opened(waiting.socket);
      watch.answered(add("one at rest").socket);
      watch.opened(add("a new one").socket);
      await happens(told, "a new one is late");
      assert.deepEqual(told, ["a new one is late"]);
    },
  );
});

Deno.test("watchSlowClients() tells of a request that begins and does not go on", async () => {
  await withWatch(
    { headersMilliseconds: SOON, idleMilliseconds: NEVER },
    async ({ watch, told, add }) => {
      const begun = add("one that begins");
      begun.socket.bytesRead = 100;
      watch.answered(begun.socket);
      watch.answered(add("one at rest").socket);
      begun.socket.bytesRead += 1;
      await happens(told, "one that begins is late");
      assert.deepEqual(told, ["one that begins is late"]);
    },
  );
});

Deno.test("watchSlowClients() tells of a request whose beginning came with the one before", async () => {
  await withWatch(
    { headersMilliseconds: SOON, idleMilliseconds: NEVER },
    async ({ watch, told, add }) => {
      watch.answered(add("one at rest", { duration: () => 0 }).socket);
      watch.answered(add("one in a message", { duration: () => 5 }).socket);
      await happens(told, "one in a message is late");
      assert.deepEqual(told, ["one in a message is late"]);
    },
  );
});

Deno.test("watchSlowClients() tells of a connection that is not used any more", async () => {
  await withWatch(
    { headersMilliseconds: SOON, idleMilliseconds: SOON },
    async ({ watch, told, add }) => {
      add("one that nobody spoke of");
      watch.answered(add("one at rest").socket);
      await happens(told, "one at rest is unused");
      assert.deepEqual(told, ["one at rest is unused"]);
    },
  );
});

Deno.test("Bun has no timeouts for connections that its HTTP server has not accepted itself", async () => {
  const closed = await runUnder(
    "Bun",
    `${HANDED_CONNECTIONS}
    const options = {
      headersTimeout: 100,
      requestTimeout: 200,
      keepAliveTimeout: 100,
      connectionsCheckingInterval: 50,
    };
    const handed = createHttpServer(options, (request, response) => response.end("x"));
    Object.defineProperty(handed, "listening", { value: true });
    handed.emit("listening");
    const unfinished = "GET / HT";
    let isClosed = false;
    open(await behind(handed), unfinished).resume().on("close", () => isClosed = true);
    // Three connections of a server that listens, one after the other, are closed meanwhile.
    const port = await listen(createHttpServer(options, (request, response) => response.end("x")));
    for (let count = 0; count < 3; count++) {
      await new Promise((resolve) => open(port, unfinished).resume().on("close", resolve));
    }
    console.log(isClosed);
    process.exit(0);
  `,
  );
  assert.equal(
    closed,
    "false",
    goneQuirk("Bun", "leaves such connections open", "slow_client_watch.ts"),
  );
});
