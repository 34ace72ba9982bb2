import assert from "node:assert/strict";
import type { Socket } from "node:net";
import type { Connection } from "../src/web/connection_table.ts";
import { type SlowClientWatch, watchSlowClients } from "../src/web/slow_client_watch.ts";
import { eventually } from "./web_client.ts";

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

const happens = (told: readonly string[], what: string): Promise<void> =>
  eventually(what, () => Promise.resolve(told.includes(what)));

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
