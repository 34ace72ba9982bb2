import assert from "node:assert/strict";
import { LoginQueue, type QueuedLogin } from "../../../src/web/admission/login_queue.ts";

interface Login extends QueuedLogin {
  readonly name: string;
}

const login = (client: string, name: string, preferred = false): Login => ({
  client,
  name,
  preferred,
});

function drain(queue: LoginQueue<Login>): string[] {
  const names: string[] = [];
  for (let next = queue.next(); next !== undefined; next = queue.next()) names.push(next.name);
  return names;
}

Deno.test("LoginQueue lets clients take turns, each in the order of its logins", () => {
  const queue = new LoginQueue<Login>({ total: 10, perClient: 10 });
  for (const name of ["a1", "a2", "a3", "b1", "c1", "c2"]) queue.add(login(name[0] ?? "", name));
  assert.equal(queue.size, 6);
  assert.deepEqual(drain(queue), ["a1", "b1", "c1", "a2", "c2", "a3"]);
  assert.equal(queue.size, 0);
});

Deno.test("LoginQueue takes a client's preferred logins first", () => {
  const queue = new LoginQueue<Login>({ total: 10, perClient: 10 });
  for (const [name, preferred] of [["a1", false], ["a2", true], ["a3", true]] as const) {
    queue.add(login("a", name, preferred));
  }
  assert.deepEqual(drain(queue), ["a2", "a3", "a1"]);
});

Deno.test("LoginQueue drops one login of the same client at random when that has too many", () => {
  const queue = new LoginQueue<Login>({ total: 10, perClient: 2 }, () => 0.5);
  const others = login("b", "b1");
  queue.add(others);
  for (const name of ["a1", "a2"]) assert.equal(queue.add(login("a", name)), undefined);
  assert.equal(queue.add(login("a", "a3"))?.name, "a2");
  assert.deepEqual(drain(queue), ["b1", "a1", "a3"]);
});

Deno.test("LoginQueue drops a login of the client with the most when it is full", () => {
  const queue = new LoginQueue<Login>({ total: 3, perClient: 3 }, () => 0);
  for (const name of ["a1", "a2", "b1"]) queue.add(login(name[0] ?? "", name));
  assert.equal(queue.add(login("c", "c1"))?.name, "a1");
  assert.deepEqual(drain(queue), ["a2", "b1", "c1"]);
});

Deno.test("LoginQueue keeps preferred logins as long as there are others", () => {
  const queue = new LoginQueue<Login>({ total: 10, perClient: 2 }, () => 0);
  queue.add(login("a", "a1", true));
  queue.add(login("a", "a2"));
  assert.equal(queue.add(login("a", "a3"))?.name, "a2");
  assert.equal(queue.add(login("a", "a4", true))?.name, "a3");
  assert.equal(queue.add(login("a", "a5", true))?.name, "a1");
});

Deno.test("LoginQueue removes a login, and takes no notice of one that is not there", () => {
  const queue = new LoginQueue<Login>({ total: 10, perClient: 10 });
  const first = login("a", "a1");
  queue.add(first);
  queue.remove(login("a", "a1"));
  queue.remove(first);
  queue.remove(first);
  assert.equal(queue.size, 0);
  assert.equal(queue.next(), undefined);
});
