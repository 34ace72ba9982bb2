import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { type Connection, ConnectionTable, type Overflow } from "../../src/web/connection_table.ts";

/** The part of a socket that the table uses; closes at once. */
interface FakeSocket extends EventEmitter {
  destroyed: boolean;
  sent: string;
}

function createFakeSocket(): FakeSocket & Socket {
  const socket = Object.assign(new EventEmitter(), { destroyed: false, sent: "" });
  const destroy = (): void => {
    if (socket.destroyed) return;
    socket.destroyed = true;
    socket.emit("close");
  };
  const end = (text: string, done: () => void): void => {
    socket.sent += text;
    done();
  };
  return Object.assign(socket, { destroy, destroySoon: destroy, end }) as unknown as
    & FakeSocket
    & Socket;
}

interface Fixture {
  readonly table: ConnectionTable;
  readonly overflows: Overflow[];
  add(): FakeSocket & Socket;
  addBusy(): FakeSocket & Socket;
  find(socket: Socket): Connection;
}

function createFixture(maximumConnections: number, maximumBusy: number): Fixture {
  const overflows: Overflow[] = [];
  const table = new ConnectionTable({
    maximumConnections,
    maximumBusy,
    onOverflow: (overflow) => overflows.push(overflow),
  });
  const find = (socket: Socket): Connection => {
    const connection = table.find(socket);
    assert.ok(connection);
    return connection;
  };
  const add = (): FakeSocket & Socket => {
    const socket = createFakeSocket();
    table.add(socket);
    return socket;
  };
  const addBusy = (): FakeSocket & Socket => {
    const socket = add();
    assert.equal(table.begin(find(socket)), true);
    return socket;
  };
  return { table, overflows, add, addBusy, find };
}

Deno.test("add() closes the connection idle for longest when there are too many", () => {
  const { table, overflows, add, addBusy, find } = createFixture(3, 2);
  const [busy, usedLater, oldest] = [addBusy(), add(), add()];
  assert.equal(table.begin(find(usedLater)), true);
  table.end(find(usedLater));
  const newest = add();
  assert.deepEqual(overflows, ["idle"]);
  assert.deepEqual(
    [busy, usedLater, oldest, newest].map(({ destroyed }) => destroyed),
    [false, false, true, false],
  );
  assert.equal(table.find(oldest), undefined);
});

Deno.test("add() closes the connection stalled for longest when none is idle", () => {
  const { table, overflows, addBusy, add, find } = createFixture(3, 3);
  const [progressing, stalled, working] = [addBusy(), addBusy(), addBusy()];
  table.setStalled(find(progressing), true);
  table.setStalled(find(stalled), true);
  table.setStalled(find(progressing), false);
  table.setStalled(find(progressing), true);
  add();
  assert.deepEqual(overflows, ["stalled"]);
  assert.deepEqual(
    [progressing, stalled, working].map(({ destroyed }) => destroyed),
    [false, true, false],
  );
});

Deno.test("add() refuses the new connection when all others are busy", () => {
  const { overflows, addBusy, add } = createFixture(2, 2);
  const [first, second, refused] = [addBusy(), addBusy(), add()];
  assert.deepEqual(overflows, ["new"]);
  assert.deepEqual([first, second, refused].map(({ destroyed }) => destroyed), [
    false,
    false,
    true,
  ]);
});

Deno.test("begin() refuses a request when too many connections are busy and none is stalled", () => {
  const { table, overflows, addBusy, add, find } = createFixture(9, 1);
  const first = addBusy();
  const second = add();
  assert.equal(table.begin(find(second)), false);
  assert.deepEqual(overflows, ["request"]);
  table.end(find(first));
  assert.equal(table.begin(find(second)), true);
});

Deno.test("begin() closes the connection stalled for longest when too many are busy", () => {
  const { table, overflows, addBusy, add, find } = createFixture(9, 1);
  const stalled = addBusy();
  table.setStalled(find(stalled), true);
  assert.equal(table.begin(find(add())), true);
  assert.deepEqual(overflows, ["stalled"]);
  assert.equal(stalled.destroyed, true);
});

Deno.test("end() makes a connection count as neither busy nor stalled", () => {
  const { table, overflows, addBusy, add, find } = createFixture(9, 1);
  const first = addBusy();
  table.setStalled(find(first), true);
  table.end(find(first));
  assert.equal(find(first).busy, false);
  assert.equal(table.begin(find(add())), true);
  assert.deepEqual(overflows, []);
  assert.equal(first.destroyed, false);
});

Deno.test("enqueue() runs the tasks of a connection one after another and counts them", async () => {
  const { table, add, find } = createFixture(9, 9);
  const connection = find(add());
  const events: string[] = [];
  const gate = Promise.withResolvers<void>();
  const last = Promise.withResolvers<void>();
  table.enqueue(connection, async () => {
    events.push("first begins");
    await gate.promise;
    events.push("first ends");
  });
  table.enqueue(connection, () => {
    events.push("second begins");
    last.resolve();
    return Promise.resolve();
  });
  assert.equal(connection.pending, 2);
  gate.resolve();
  await last.promise;
  assert.deepEqual(events, ["first begins", "first ends", "second begins"]);
});

Deno.test("a connection's signal aborts when it closes and when it is abandoned", () => {
  const { table, add, find } = createFixture(9, 9);
  const [closing, abandoned] = [add(), add()];
  const signals = [find(closing).signal, find(abandoned).signal];
  assert.deepEqual(signals.map(({ aborted }) => aborted), [false, false]);
  closing.destroy();
  table.abandon(find(abandoned), "farewell");
  assert.deepEqual(signals.map(({ aborted }) => aborted), [true, true]);
  assert.equal(abandoned.sent, "farewell");
  assert.deepEqual([table.find(closing), table.find(abandoned)], [undefined, undefined]);
});

Deno.test("drain() closes idle connections at once, new ones too, and busy ones when they end", async () => {
  const { table, addBusy, add, find } = createFixture(9, 9);
  const [busy, idle] = [addBusy(), add()];
  table.drain();
  const empty = table.whenEmpty();
  assert.equal(table.draining, true);
  assert.deepEqual([busy, idle, add()].map(({ destroyed }) => destroyed), [false, true, true]);
  table.end(find(busy));
  await empty;
  assert.equal(busy.destroyed, true);
});

Deno.test("destroyAll() closes every connection", async () => {
  const { table, addBusy, add } = createFixture(9, 9);
  const sockets = [addBusy(), add()];
  table.destroyAll();
  await table.whenEmpty();
  assert.deepEqual(sockets.map(({ destroyed }) => destroyed), [true, true]);
});

Deno.test("secure() puts the encrypted socket in the place of the bare one", () => {
  const { table, add, find } = createFixture(2, 1);
  const bare = add();
  const encrypted = createFakeSocket();
  const { signal } = find(bare);
  table.secure(bare, encrypted);
  assert.equal(table.find(bare), undefined);
  assert.equal(find(encrypted).busy, false);
  assert.ok(signal.aborted);
  assert.equal(bare.destroyed, false);
  assert.equal(encrypted.destroyed, false);
  assert.deepEqual([...table.idle()].map(({ socket }) => socket), [encrypted]);
});

Deno.test("secure() closes the encrypted socket when the bare one is no longer there", () => {
  const { table, add } = createFixture(2, 1);
  const bare = add();
  bare.destroy();
  const encrypted = createFakeSocket();
  table.secure(bare, encrypted);
  assert.ok(encrypted.destroyed);
  assert.equal(table.find(encrypted), undefined);
});

Deno.test("retire() closes idle connections at once, busy ones when they become idle, and no new ones", () => {
  const { table, add, addBusy, find } = createFixture(4, 2);
  const idle = add();
  const busy = addBusy();
  const connection = find(busy);
  table.retire();
  assert.deepEqual([idle.destroyed, busy.destroyed], [true, false]);
  const fresh = add();
  table.end(connection);
  assert.deepEqual([busy.destroyed, fresh.destroyed], [true, false]);
  assert.equal(table.draining, false);
});
