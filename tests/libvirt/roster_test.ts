import assert from "node:assert/strict";
import { parseDomainXml } from "../../src/libvirt/domain_xml.ts";
import type { Survey } from "../../src/libvirt/hypervisor.ts";
import { Roster } from "../../src/libvirt/roster.ts";
import { novaDomainXml } from "../../testing/nova_domain.ts";

const AGE = 1_000;

function survey(handles: number[], appeared: number[] = [], changed: number[] = []): Survey {
  return {
    handles: Uint32Array.from(handles),
    appeared: appeared.map((handle) => ({
      handle,
      uuid: `uuid-${handle}`,
      id: handle,
      name: `instance-${handle}`,
    })),
    changed: Uint32Array.from(changed),
    listAgeSeconds: 0,
  };
}

/** Notes what a definition says; its text is like no other unless it is given. */
function describe(
  roster: Roster,
  handle: number,
  said: Partial<Parameters<Roster["setDescription"]>[1]>,
  now: number,
): void {
  const digest = said.digest ?? crypto.randomUUID();
  roster.setDescription(
    handle,
    { description: undefined, problem: undefined, ...said, digest },
    now,
  );
}

/** Which of the first hundred domains have to be read. */
function stale(roster: Roster, now: number): number[] {
  return roster.stale(Array.from({ length: 100 }, (_, handle) => handle), now);
}

Deno.test("Roster asks for the definition of domains that appeared, until it has been read", () => {
  const roster = new Roster(AGE);
  roster.update(survey([1, 2], [1, 2]));
  assert.deepEqual(stale(roster, 0), [1, 2]);
  describe(roster, 1, {}, 0);
  assert.deepEqual(stale(roster, 1), [2]);
  roster.update(survey([1, 2]));
  assert.deepEqual(stale(roster, 1), [2]);
});

Deno.test("Roster asks again when an event or the caller says so, and at the latest at its age", () => {
  const roster = new Roster(AGE);
  roster.update(survey([1, 2, 3], [1, 2, 3]));
  for (const handle of [1, 2, 3]) describe(roster, handle, {}, 0);
  roster.update(survey([1, 2, 3], [], [2]));
  roster.expire(3);
  assert.deepEqual(stale(roster, 1), [2, 3]);
  assert.deepEqual(stale(roster, AGE), [1, 2, 3]);
});

Deno.test("Roster has those read first that have never been read", () => {
  const roster = new Roster(AGE);
  roster.update(survey([1, 2, 3], [1, 2, 3]));
  for (const handle of [1, 2]) describe(roster, handle, {}, 0);
  roster.update(survey([1, 2, 3, 4], [4], [1, 2]));
  assert.deepEqual(stale(roster, 1), [3, 4, 1, 2]);
});

Deno.test("Roster lets definitions that were read together expire at different times", () => {
  const roster = new Roster(AGE);
  const handles = Array.from({ length: 100 }, (_, handle) => handle);
  roster.update(survey(handles, handles));
  for (const handle of handles) describe(roster, handle, {}, 0);
  assert.deepEqual(stale(roster, AGE / 2 - 1), []);
  const half = stale(roster, AGE * 3 / 4).length;
  assert.ok(half > 30 && half < 70, `${half} of 100 expired half-way`);
  assert.equal(stale(roster, AGE).length, 100);
});

Deno.test("Roster forgets domains that are gone, with what was the matter with them", () => {
  const roster = new Roster(AGE);
  roster.update(survey([1, 2], [1, 2]));
  describe(roster, 2, { problem: "broken" }, 0);
  assert.deepEqual(roster.problems().map(({ record, problem }) => [record.name, problem]), [
    ["instance-2", "broken"],
  ]);
  roster.update(survey([1]));
  assert.deepEqual(roster.problems(), []);
  describe(roster, 2, { problem: "too late" }, 0);
  assert.throws(() => roster.record(2), RangeError);
});

Deno.test("Roster makes a new record when the definition changes, so that caches keyed by it expire", () => {
  const roster = new Roster(AGE);
  roster.update(survey([1], [1]));
  const before = roster.record(1);
  describe(roster, 1, {}, 0);
  assert.notEqual(roster.record(1), before);
});

Deno.test("Roster calls a domain by the name of its present definition: one that is shut off can be renamed", () => {
  const roster = new Roster(AGE);
  const { appeared, ...rest } = survey([1], [1]);
  roster.update({ ...rest, appeared: appeared.map((one) => ({ ...one, id: -1 })) });
  const xml = novaDomainXml({ name: "renamed", uuid: "uuid-1" });
  describe(roster, 1, { description: parseDomainXml(xml) }, 0);
  assert.equal(roster.record(1).name, "renamed");
  describe(roster, 1, { description: parseDomainXml("<domain/>") }, 0);
  assert.equal(roster.record(1).name, "renamed");
});

Deno.test("Roster asks again when a domain was started once it may have changed: another run may have its id", () => {
  let start = 100;
  const roster = new Roster(AGE, () => start);
  roster.update(survey([1, 2], [1, 2]));
  const [changed, other] = [roster.record(1), roster.record(2)];
  roster.update(survey([1, 2], [], [1]));
  assert.equal(roster.record(1), changed);
  start = 200;
  roster.update(survey([1, 2], [], [1]));
  assert.deepEqual(roster.record(1), { ...changed, startSeconds: 200 });
  assert.equal(roster.record(2), other);
  // An event may come for one that has ended.
  roster.update(survey([2], [], [1]));
});

Deno.test("Roster asks once when an active domain was started, and never for one that is shut off", () => {
  const asked: string[] = [];
  const roster = new Roster(AGE, (name) => asked.push(name));
  const [active, inactive] = [1, 2];
  const { appeared, ...rest } = survey([active, inactive], [active, inactive]);
  roster.update({
    ...rest,
    appeared: appeared.map((one) => one.handle === 2 ? { ...one, id: -1 } : one),
  });
  roster.update(survey([active, inactive]));
  assert.deepEqual(asked, ["instance-1"]);
  assert.equal(roster.record(active).startSeconds, 1);
  assert.equal(roster.record(inactive).startSeconds, undefined);
  describe(roster, active, {}, 0);
  assert.equal(roster.record(active).startSeconds, 1);
});

Deno.test("Roster refuses a survey that names a domain without introducing it", () => {
  assert.throws(() => new Roster(AGE).update(survey([7])), RangeError);
});

Deno.test("Roster knows whether a definition was given, refused, or not read yet", () => {
  const roster = new Roster(AGE);
  roster.update(survey([1], [1]));
  const definition = (): string | undefined => roster.record(1).definition;
  assert.equal(definition(), "unread");
  roster.markRefused(1);
  assert.equal(definition(), "refused");
  assert.deepEqual(stale(roster, 0), [1]);
  describe(roster, 1, { problem: "broken" }, 0);
  assert.equal(definition(), "given");
  roster.markRefused(1);
  assert.equal(definition(), "given");
});

Deno.test("Roster has a definition read again when statistics say otherwise, once for each difference", () => {
  const roster = new Roster(AGE);
  roster.update(survey([1, 2], [1, 2]));
  for (const handle of [1, 2]) describe(roster, handle, {}, 0);
  /** Whether the definition has to be read after this comparison; it is read then, and says the same. */
  const isRead = (difference: string | undefined, aspect = "vcpu.current"): boolean => {
    roster.compare(1, [{ aspect, difference }]);
    const isStale = stale(roster, 1).includes(1);
    if (isStale) describe(roster, 1, {}, 0);
    return isStale;
  };
  assert.equal(isRead(undefined), false);
  assert.equal(isRead("2, 1"), true);
  // It stays, and reading has not ended it.
  assert.equal(isRead("2, 1"), false);
  assert.equal(isRead("4, 1", "net.count"), true);
  assert.equal(isRead("2, 1"), false);
  assert.equal(isRead("3, 1"), true);
  assert.equal(isRead(undefined), false);
  assert.equal(isRead("3, 1"), true);
  assert.deepEqual(stale(roster, 1), []);
  roster.compare(99, [{ aspect: "vcpu.current", difference: "2, 1" }]);
});

Deno.test("Roster asks until the definition has been read, however often statistics are compared meanwhile", () => {
  const roster = new Roster(AGE);
  roster.update(survey([1], [1]));
  describe(roster, 1, {}, 0);
  const comparisons = [{ aspect: "vcpu.current", difference: "2, 1" }];
  for (let times = 0; times < 3; times++) {
    roster.compare(1, comparisons);
    assert.deepEqual(stale(roster, 1), [1]);
  }
});

Deno.test("Roster keeps its record of a definition whose text is the one it had, with what is the matter with it", () => {
  const roster = new Roster(AGE);
  roster.update(survey([1], [1]));
  assert.equal(roster.confirm(1, "text", 0), false);
  describe(roster, 1, { problem: "broken", digest: "text" }, 0);
  const record = roster.record(1);
  assert.equal(roster.confirm(1, "another text", AGE), false);
  assert.deepEqual(stale(roster, AGE), [1]);
  assert.equal(roster.confirm(1, "text", AGE), true);
  assert.deepEqual(stale(roster, AGE), []);
  assert.deepEqual(stale(roster, 2 * AGE), [1]);
  assert.equal(roster.record(1), record);
  assert.equal(roster.problem(1), "broken");
  roster.update(survey([2], [2]));
  assert.equal(roster.confirm(1, "text", 0), false);
});
