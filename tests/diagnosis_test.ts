import assert from "node:assert/strict";
import {
  countIncomplete,
  definitionConditions,
  failureCondition,
  isFailure,
  NOTHING_INCOMPLETE,
  verdictConditions,
} from "../src/diagnosis.ts";
import { type CallFailure, Verdict } from "../src/libvirt/hypervisor.ts";
import { domainRecord } from "./support/domain_record.ts";

const FAILURE: CallFailure = {
  call: "virDomainGetCPUStats",
  code: 55,
  origin: 10,
  message: "not valid",
  count: 3,
};

Deno.test("countIncomplete() counts each verdict but complete and gone by its reason", () => {
  const { complete, failed, busy, withheld, quarantined, late, gone } = Verdict;
  const verdicts = Uint8Array.of(complete, failed, busy, busy, withheld, quarantined, late, gone);
  assert.deepEqual(countIncomplete({ verdicts }, 4), {
    failed: 1,
    busy: 2,
    withheld: 1,
    quarantined: 1,
    late: 1,
    unread: 4,
  });
  assert.deepEqual(countIncomplete({ verdicts: Uint8Array.of(gone) }, 0), NOTHING_INCOMPLETE);
});

Deno.test("isFailure() takes the end of a domain for none", () => {
  assert.ok(isFailure(FAILURE));
  assert.ok(isFailure({ ...FAILURE, code: 0 }));
  assert.ok(!isFailure({ ...FAILURE, code: 42 }));
});

Deno.test("failureCondition() has one key for each function and code, whichever instance it concerns", () => {
  const [key, condition] = failureCondition(FAILURE, "instance-1");
  assert.equal(failureCondition({ ...FAILURE, message: "else" }, "instance-2")[0], key);
  assert.notEqual(failureCondition({ ...FAILURE, code: 38 }, "instance-1")[0], key);
  assert.deepEqual(condition.fields, {
    call: "virDomainGetCPUStats",
    code: 55,
    count: 3,
    instance: "instance-1",
    reason: "not valid",
  });
});

Deno.test("verdictConditions() names instances that do not answer, and counts those that are not asked", () => {
  const { complete, late, quarantined, withheld } = Verdict;
  const records = [1, 2, 3, 4, 5].map(domainRecord);
  const verdicts = Uint8Array.of(complete, late, quarantined, withheld, withheld);
  const conditions = verdictConditions(records, { verdicts });
  assert.deepEqual([...conditions.keys()], ["unanswered 2", "unanswered 3", "withheld"]);
  assert.deepEqual(conditions.get("withheld")?.fields, { instances: 2 });
  assert.deepEqual(conditions.get("unanswered 2")?.fields, {
    instance: "instance-2",
    uuid: "uuid-2",
  });
  assert.equal(verdictConditions(records.slice(0, 1), { verdicts: Uint8Array.of(0) }).size, 0);
});

Deno.test("definitionConditions() has one condition for each definition that is not understood", () => {
  const conditions = definitionConditions([{ record: domainRecord(7), problem: "broken" }]);
  assert.deepEqual([...conditions.keys()], ["definition 7"]);
  assert.equal(conditions.get("definition 7")?.fields?.["reason"], "broken");
});
