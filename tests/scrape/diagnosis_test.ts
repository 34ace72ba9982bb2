import assert from "node:assert/strict";
import {
  countIncomplete,
  definitionConditions,
  failureConditions,
  filterConditions,
  isOfEndedDomain,
  verdictConditions,
} from "../../src/scrape/diagnosis.ts";
import { type CallFailure, type HostEntity, Verdict } from "../../src/libvirt/hypervisor.ts";
import { domainRecord } from "../../testing/domain_record.ts";
import { NOTHING_INCOMPLETE } from "../../src/metrics/findings.ts";
import { ALL_DOMAINS } from "../../src/config/config.ts";

const FAILURE: CallFailure = {
  call: "virDomainGetCPUStats",
  code: 55,
  origin: 10,
  message: "not valid",
  count: 3,
};

const explain = ({ message }: CallFailure): string => message;

Deno.test("countIncomplete() counts each verdict but complete and gone by its reason", () => {
  const { complete, failed, busy, withheld, quarantined, late, locked, suspended, gone } = Verdict;
  const verdicts = Uint8Array.from([
    ...[complete, failed, busy, busy, withheld, quarantined, late],
    ...[locked, locked, locked, suspended, suspended, gone],
  ]);
  assert.deepEqual(countIncomplete({ verdicts }, 4), {
    failed: 1,
    busy: 2,
    withheld: 1,
    quarantined: 1,
    late: 1,
    locked: 3,
    suspended: 2,
    unread: 4,
  });
  assert.deepEqual(countIncomplete({ verdicts: Uint8Array.of(gone) }, 0), NOTHING_INCOMPLETE);
});

Deno.test("isOfEndedDomain() tells a domain that has ended from calls that fail or are late", () => {
  assert.ok(!isOfEndedDomain(FAILURE));
  assert.ok(!isOfEndedDomain({ ...FAILURE, code: 0 }));
  assert.ok(isOfEndedDomain({ ...FAILURE, code: 42 }));
});

const NOTHING_MEASURED = { verdicts: new Uint8Array(), entities: [] };
const nameOf = (handle: number): string => `instance-${handle}`;

/** Whom the conditions of these failures concern, by key. */
function concernedBy(
  failures: Partial<Parameters<typeof failureConditions>[0]>,
): Readonly<Record<string, readonly [kind: string | undefined, names: readonly string[]]>> {
  const nothing = { described: [], measured: [], records: [], measurement: NOTHING_MEASURED };
  const conditions = failureConditions({ ...nothing, ...failures }, nameOf, explain);
  return Object.fromEntries(
    Array.from(
      conditions,
      ([key, { affected }]) => [key, [affected?.kind, affected?.names ?? []]] as const,
    ),
  );
}

Deno.test("failureConditions() has one condition for each function and code, with the calls that failed", () => {
  const alike = { ...FAILURE, handle: 1 };
  const conditions = failureConditions(
    {
      described: [{ ...alike, call: "virDomainGetXMLDesc", count: 1 }, {
        ...alike,
        call: "virDomainGetXMLDesc",
        count: 1,
        handle: 2,
      }],
      measured: [alike, { ...alike, code: 38 }, { ...alike, code: 42 }],
      records: [],
      measurement: NOTHING_MEASURED,
    },
    nameOf,
    explain,
  );
  assert.deepEqual([...conditions.keys()], [
    "call virDomainGetXMLDesc 55",
    "call virDomainGetCPUStats 55",
    "call virDomainGetCPUStats 38",
  ]);
  const definition = conditions.get("call virDomainGetXMLDesc 55");
  assert.deepEqual(definition?.fields, {
    call: "virDomainGetXMLDesc",
    code: 55,
    count: 2,
    reason: "not valid",
  });
  assert.deepEqual(definition?.affected, {
    kind: "instance",
    names: ["instance-1", "instance-2"],
  });
});

Deno.test("failureConditions() names all instances that a failure concerns, as far as it can be told", () => {
  const records = [1, 2, 3, 4].map(domainRecord);
  const { failed, complete } = Verdict;
  const measurement = {
    ...NOTHING_MEASURED,
    verdicts: Uint8Array.of(failed, complete, failed, failed),
  };
  const first = { ...FAILURE, handle: 3 };
  const other = { ...FAILURE, code: 38, handle: 1 };
  const host = { ...FAILURE, call: "virNodeGetInfo", code: 1 };
  // The only call of instances that fails is that of all which failed.
  assert.deepEqual(concernedBy({ records, measurement, measured: [first, host] }), {
    "call virDomainGetCPUStats 55": ["instance", ["instance-3", "instance-1", "instance-4"]],
    "call virNodeGetInfo 1": ["instance", []],
  });
  // Of several each names one, and which of them failed for the rest is not known.
  assert.deepEqual(concernedBy({ records, measurement, measured: [first, other] }), {
    "call virDomainGetCPUStats 55": ["instance", ["instance-3"]],
    "call virDomainGetCPUStats 38": ["instance", ["instance-1"]],
    failed: ["instance", ["instance-4"]],
  });
  const all = [
    { ...first, handles: [3, 4] },
    { ...other, handles: [1, 3] },
  ];
  assert.deepEqual(concernedBy({ records, measurement, measured: all }), {
    "call virDomainGetCPUStats 55": ["instance", ["instance-3", "instance-4"]],
    "call virDomainGetCPUStats 38": ["instance", ["instance-1", "instance-3"]],
  });
});

Deno.test("failureConditions() names what of the host a failure concerns", () => {
  const entity = (
    kind: HostEntity["kind"],
    name: string,
    numbers: Readonly<Record<string, number>> = {},
  ): HostEntity => ({ kind, texts: { name }, numbers });
  const entities: readonly HostEntity[] = [
    entity("storage_pool", "well", { state: 2, volumes: 1 }),
    entity("storage_pool", "broken", { volumes: 1 }),
    { kind: "storage_volume", texts: { pool: "well", name: "a" }, numbers: {} },
    entity("network", "default", { active: 1 }),
  ];
  const measurement = { ...NOTHING_MEASURED, entities };
  const of = (call: string, more: Partial<CallFailure> = {}): unknown =>
    Object.values(concernedBy({ measurement, measured: [{ ...FAILURE, call, ...more }] }))[0];
  assert.deepEqual(of("virStoragePoolGetInfo"), ["pool", ["broken"]]);
  assert.deepEqual(of("virStoragePoolGetInfo", { subjects: ["told"] }), ["pool", ["told"]]);
  assert.deepEqual(of("virStorageVolGetInfo"), ["volume", ["well/a"]]);
  assert.deepEqual(of("virNetworkGetAutostart"), ["network", ["default"]]);
  assert.deepEqual(of("virStoragePoolListAllVolumes"), ["pool", []]);
});

Deno.test("verdictConditions() names instances that do not answer, and those that are not asked", () => {
  const { complete, late, quarantined, withheld, suspended } = Verdict;
  const records = [1, 2, 3, 4, 5, 6].map(domainRecord);
  const verdicts = Uint8Array.of(complete, late, quarantined, withheld, withheld, suspended);
  const conditions = verdictConditions(records, { verdicts });
  assert.deepEqual([...conditions.keys()], [
    "unanswered 2",
    "unanswered 3",
    "withheld",
    "suspended",
  ]);
  const namesOf = (key: string): unknown => conditions.get(key)?.affected?.names;
  assert.deepEqual(namesOf("withheld"), ["instance-4", "instance-5"]);
  assert.deepEqual(namesOf("suspended"), ["instance-6"]);
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

Deno.test("filterConditions() finds filters that leave out all instances that there are, and no others", () => {
  const filter = { ...ALL_DOMAINS, exclude: /./u };
  const conditions = filterConditions(filter, { exported: 0, filtered: 3 });
  assert.deepEqual(conditions.get("filters")?.fields, {
    instances: 3,
    reason: "3 left out by --domain.exclude",
  });
  assert.equal(filterConditions(filter, { exported: 0, filtered: 0 }).size, 0);
  assert.equal(filterConditions(filter, { exported: 1, filtered: 3 }).size, 0);
});
