import assert from "node:assert/strict";
import { type Visitor, WaitingRoom } from "../src/web/waiting_room.ts";

interface Guest extends Visitor {
  readonly name: string;
}

const guest = (client: string, name: string, preferred = false): Guest => ({
  client,
  name,
  preferred,
});

function drain(room: WaitingRoom<Guest>): string[] {
  const names: string[] = [];
  for (let next = room.next(); next !== undefined; next = room.next()) names.push(next.name);
  return names;
}

Deno.test("WaitingRoom lets clients take turns, each in the order of its guests", () => {
  const room = new WaitingRoom<Guest>({ total: 10, perClient: 10 });
  for (const name of ["a1", "a2", "a3", "b1", "c1", "c2"]) room.enter(guest(name[0] ?? "", name));
  assert.equal(room.size, 6);
  assert.deepEqual(drain(room), ["a1", "b1", "c1", "a2", "c2", "a3"]);
  assert.equal(room.size, 0);
});

Deno.test("WaitingRoom takes a client's preferred guests first", () => {
  const room = new WaitingRoom<Guest>({ total: 10, perClient: 10 });
  for (const [name, preferred] of [["a1", false], ["a2", true], ["a3", true]] as const) {
    room.enter(guest("a", name, preferred));
  }
  assert.deepEqual(drain(room), ["a2", "a3", "a1"]);
});

Deno.test("WaitingRoom has one of the same client leave, by lot, when it has too many", () => {
  const room = new WaitingRoom<Guest>({ total: 10, perClient: 2 }, () => 0.5);
  const others = guest("b", "b1");
  room.enter(others);
  for (const name of ["a1", "a2"]) assert.equal(room.enter(guest("a", name)), undefined);
  assert.equal(room.enter(guest("a", "a3"))?.name, "a2");
  assert.deepEqual(drain(room), ["b1", "a1", "a3"]);
});

Deno.test("WaitingRoom has one of those with the most guests leave when it is full", () => {
  const room = new WaitingRoom<Guest>({ total: 3, perClient: 3 }, () => 0);
  for (const name of ["a1", "a2", "b1"]) room.enter(guest(name[0] ?? "", name));
  assert.equal(room.enter(guest("c", "c1"))?.name, "a1");
  assert.deepEqual(drain(room), ["a2", "b1", "c1"]);
});

Deno.test("WaitingRoom keeps preferred guests as long as there are others", () => {
  const room = new WaitingRoom<Guest>({ total: 10, perClient: 2 }, () => 0);
  room.enter(guest("a", "a1", true));
  room.enter(guest("a", "a2"));
  assert.equal(room.enter(guest("a", "a3"))?.name, "a2");
  assert.equal(room.enter(guest("a", "a4", true))?.name, "a3");
  assert.equal(room.enter(guest("a", "a5", true))?.name, "a1");
});

Deno.test("WaitingRoom lets a guest leave, and takes no notice of one that is not there", () => {
  const room = new WaitingRoom<Guest>({ total: 10, perClient: 10 });
  const first = guest("a", "a1");
  room.enter(first);
  room.leave(guest("a", "a1"));
  room.leave(first);
  room.leave(first);
  assert.equal(room.size, 0);
  assert.equal(room.next(), undefined);
});
