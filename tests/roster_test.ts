import assert from "node:assert/strict";
import { parseDomainXml } from "../src/libvirt/domain_xml.ts";
import type { Survey } from "../src/libvirt/hypervisor.ts";
import { Roster } from "../src/libvirt/roster.ts";
import { novaDomainXml } from "./support/nova_domain.ts";

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
  };
}

/** Which of the first hundred domains have to be read. */
function stale(roster: Roster, now: number): number[] {
  return roster.stale(Array.from({ length: 100 }, (_, handle) => handle), now);
}

Deno.test("Roster asks for the definition of domains that appeared, until it has been read", () => {
  const roster = new Roster(AGE);
  roster.enrol(survey([1, 2], [1, 2]));
  assert.deepEqual(stale(roster, 0), [1, 2]);
  roster.describe(1, undefined, undefined, 0);
  assert.deepEqual(stale(roster, 1), [2]);
  roster.enrol(survey([1, 2]));
  assert.deepEqual(stale(roster, 1), [2]);
});

Deno.test("Roster asks again when an event or the caller says so, and at the latest at its age", () => {
  const roster = new Roster(AGE);
  roster.enrol(survey([1, 2, 3], [1, 2, 3]));
  for (const handle of [1, 2, 3]) roster.describe(handle, undefined, undefined, 0);
  roster.enrol(survey([1, 2, 3], [], [2]));
  roster.expire(3);
  assert.deepEqual(stale(roster, 1), [2, 3]);
  assert.deepEqual(stale(roster, AGE), [1, 2, 3]);
});

Deno.test("Roster has those read first that have never been read", () => {
  const roster = new Roster(AGE);
  roster.enrol(survey([1, 2, 3], [1, 2, 3]));
  for (const handle of [1, 2]) roster.describe(handle, undefined, undefined, 0);
  roster.enrol(survey([1, 2, 3, 4], [4], [1, 2]));
  assert.deepEqual(stale(roster, 1), [3, 4, 1, 2]);
});

Deno.test("Roster lets definitions that were read together expire at different times", () => {
  const roster = new Roster(AGE);
  const handles = Array.from({ length: 100 }, (_, handle) => handle);
  roster.enrol(survey(handles, handles));
  for (const handle of handles) roster.describe(handle, undefined, undefined, 0);
  assert.deepEqual(stale(roster, AGE / 2 - 1), []);
  const half = stale(roster, AGE * 3 / 4).length;
  assert.ok(half > 30 && half < 70, `${half} of 100 expired half-way`);
  assert.equal(stale(roster, AGE).length, 100);
});

Deno.test("Roster forgets domains that are gone, with what was the matter with them", () => {
  const roster = new Roster(AGE);
  roster.enrol(survey([1, 2], [1, 2]));
  roster.describe(2, undefined, "broken", 0);
  assert.deepEqual(roster.problems().map(({ record, problem }) => [record.name, problem]), [
    ["instance-2", "broken"],
  ]);
  roster.enrol(survey([1]));
  assert.deepEqual(roster.problems(), []);
  roster.describe(2, undefined, "too late", 0);
  assert.throws(() => roster.record(2), RangeError);
});

Deno.test("Roster makes a new record when the definition changes, so that caches keyed by it expire", () => {
  const roster = new Roster(AGE);
  roster.enrol(survey([1], [1]));
  const before = roster.record(1);
  roster.describe(1, undefined, undefined, 0);
  assert.notEqual(roster.record(1), before);
});

Deno.test("Roster calls a domain by the name of its present definition: one that is shut off can be renamed", () => {
  const roster = new Roster(AGE);
  const { appeared, ...rest } = survey([1], [1]);
  roster.enrol({ ...rest, appeared: appeared.map((one) => ({ ...one, id: -1 })) });
  const xml = novaDomainXml({ name: "renamed", uuid: "uuid-1" });
  roster.describe(1, parseDomainXml(xml), undefined, 0);
  assert.equal(roster.record(1).name, "renamed");
  roster.describe(1, parseDomainXml("<domain/>"), undefined, 0);
  assert.equal(roster.record(1).name, "renamed");
});

Deno.test("Roster asks once when an active domain was started, and never for one that is shut off", () => {
  const asked: string[] = [];
  const roster = new Roster(AGE, (name) => asked.push(name));
  const [active, inactive] = [1, 2];
  const { appeared, ...rest } = survey([active, inactive], [active, inactive]);
  roster.enrol({
    ...rest,
    appeared: appeared.map((one) => one.handle === 2 ? { ...one, id: -1 } : one),
  });
  roster.enrol(survey([active, inactive]));
  assert.deepEqual(asked, ["instance-1"]);
  assert.equal(roster.record(active).startSeconds, 1);
  assert.equal(roster.record(inactive).startSeconds, undefined);
  roster.describe(active, undefined, undefined, 0);
  assert.equal(roster.record(active).startSeconds, 1);
});

Deno.test("Roster refuses a survey that names a domain without introducing it", () => {
  assert.throws(() => new Roster(AGE).enrol(survey([7])), RangeError);
});

Deno.test("Roster knows whether a definition was given, refused, or not read yet", () => {
  const roster = new Roster(AGE);
  roster.enrol(survey([1], [1]));
  const definition = (): string | undefined => roster.record(1).definition;
  assert.equal(definition(), "unread");
  roster.refuse(1);
  assert.equal(definition(), "refused");
  assert.deepEqual(stale(roster, 0), [1]);
  roster.describe(1, undefined, "broken", 0);
  assert.equal(definition(), "given");
  roster.refuse(1);
  assert.equal(definition(), "given");
});
