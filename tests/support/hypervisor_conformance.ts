import assert from "node:assert/strict";
import { Dictionary } from "../../src/libvirt/dictionary.ts";
import { type Hypervisor, type Question, StatisticsGroup } from "../../src/libvirt/hypervisor.ts";
import { takeSnapshot } from "../../src/libvirt/snapshot.ts";

/** The domains that every implementation under test must have. */
export const CONFORMANCE_DOMAINS = [
  { name: "instance-00000001", disks: ["vda", "vdb"], interfaces: ["tap0"] },
  { name: "instance-00000002", disks: ["vda"], interfaces: [] },
  { name: "instance-00000003", disks: [], interfaces: ["tap3"] },
] as const;

const ALL_GROUPS = Object.values(StatisticsGroup).reduce((sum, group) => sum | group, 0);

const question = (changes: Partial<Question> = {}): Question => ({
  timeoutMilliseconds: 10_000,
  callTimeoutMilliseconds: 5_000,
  groups: ALL_GROUPS,
  ...changes,
});

/**
 * Registers the tests that every implementation of {@link Hypervisor} must pass. `open` gives one with
 * {@link CONFORMANCE_DOMAINS}, `openUnreachable` one whose libvirt refuses.
 */
export function testHypervisorConformance(
  implementation: string,
  open: () => Promise<Hypervisor>,
  openUnreachable: () => Promise<Hypervisor>,
): void {
  const test = (name: string, body: (hypervisor: Hypervisor) => Promise<void>): void =>
    Deno.test({
      name: `${implementation} hypervisor: ${name}`,
      sanitizeOps: false,
      async fn(): Promise<void> {
        const hypervisor = await open();
        try {
          await body(hypervisor);
        } finally {
          await hypervisor.close();
        }
      },
    });

  test("a survey introduces each domain once and keeps its handle", async (hypervisor) => {
    const first = await hypervisor.survey(question());
    assert.equal(first.failure, undefined);
    assert.deepEqual(
      first.appeared.map(({ name }) => name).sort(),
      CONFORMANCE_DOMAINS.map(({ name }) => name),
    );
    assert.deepEqual([...first.handles], first.appeared.map(({ handle }) => handle));
    assert.equal(new Set(first.handles).size, CONFORMANCE_DOMAINS.length);
    for (const { uuid, id } of first.appeared) {
      assert.match(uuid, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
      assert.ok(id > 0);
    }
    const second = await hypervisor.survey(question());
    assert.deepEqual([...second.handles], [...first.handles]);
    assert.deepEqual(second.appeared, []);
    assert.deepEqual([...second.changed], []);
  });

  test("describes exactly the domains it is asked for", async (hypervisor) => {
    const { appeared } = await hypervisor.survey(question());
    const wanted = appeared.find(({ name }) => name === "instance-00000002");
    assert.ok(wanted !== undefined);
    const unknown = 4_000_000_000;
    const descriptions = await hypervisor.describe(
      question(),
      Uint32Array.of(wanted.handle, unknown),
    );
    assert.equal(descriptions.length, 1);
    assert.equal(descriptions[0]?.handle, wanted.handle);
    assert.match(descriptions[0]?.xml ?? "", /<name>instance-00000002<\/name>/);
    assert.ok(descriptions[0]?.xml?.includes(wanted.uuid));
  });

  test("a measurement's columns are in order and all in its dictionary", async (hypervisor) => {
    await introduce(hypervisor);
    const measurement = await hypervisor.measure(question());
    const { offsets, fields, values, textOffsets, textFields, texts } = measurement;
    const dictionary = new Dictionary();
    dictionary.add(measurement.dictionaryBase, measurement.dictionaryStrings);
    assert.equal(measurement.verdicts.length, CONFORMANCE_DOMAINS.length);
    for (const [columnOffsets, column] of [[offsets, fields], [textOffsets, textFields]] as const) {
      assert.equal(columnOffsets.length, CONFORMANCE_DOMAINS.length + 1);
      assert.equal(columnOffsets[0], 0);
      assert.equal(columnOffsets.at(-1), column.length);
      for (let domain = 0; domain < CONFORMANCE_DOMAINS.length; domain++) {
        const own = [...column.subarray(columnOffsets[domain], columnOffsets[domain + 1])];
        assert.deepEqual(own, [...new Set(own)].sort((left, right) => left - right));
      }
    }
    assert.equal(values.length, fields.length);
    assert.equal(texts.length, textFields.length);
    for (const number of [...fields, ...textFields, ...texts]) {
      assert.notEqual(dictionary.string(number), undefined);
    }
  });

  test("gives the values of each domain under libvirt's bulk names", async (hypervisor) => {
    const names = await introduce(hypervisor);
    const measurement = await hypervisor.measure(question());
    const dictionary = new Dictionary();
    dictionary.add(measurement.dictionaryBase, measurement.dictionaryStrings);
    const snapshot = takeSnapshot(
      names.map((name, handle) => ({
        handle,
        uuid: "",
        id: 1,
        name,
        description: undefined,
        definition: "given" as const,
      })),
      measurement,
      dictionary,
    );
    assert.equal(snapshot.domains.length, CONFORMANCE_DOMAINS.length);
    snapshot.domains.forEach(({ name }, domain) => {
      assert.ok(snapshot.isComplete(domain));
      for (const field of ["cpu.time", "balloon.available", "balloon.unused", "balloon.usable"]) {
        const value = snapshot.value(domain, dictionary.number(field) ?? -1);
        assert.ok(value !== undefined && value >= 0, `${name} has ${field}`);
      }
      const expected = CONFORMANCE_DOMAINS.find((one) => one.name === name);
      for (const [group, key] of [["block", "rd.bytes"], ["net", "rx.bytes"]] as const) {
        const devices = snapshot.devices(group).filter((device) => device.domain === domain);
        const wanted = group === "block" ? expected?.disks : expected?.interfaces;
        assert.deepEqual(devices.map(({ target }) => target), [...wanted ?? []]);
        for (const { index } of devices) {
          const field = dictionary.deviceFields(group, key)[index];
          assert.ok(snapshot.value(domain, field ?? -1) !== undefined);
        }
      }
    });
  });

  test("groups that nobody asked for are absent", async (hypervisor) => {
    await introduce(hypervisor);
    const measurement = await hypervisor.measure(question({ groups: StatisticsGroup.cpu }));
    const used = new Set(
      [...measurement.fields].map((field) => measurement.dictionaryStrings[field]?.split(".")[0]),
    );
    assert.ok(used.has("cpu"));
    for (const group of ["balloon", "block", "net"]) assert.ok(!used.has(group), group);
  });

  test("the dictionary continues from measurement to measurement", async (hypervisor) => {
    await introduce(hypervisor);
    const first = await hypervisor.measure(question());
    await hypervisor.survey(question());
    const second = await hypervisor.measure(question());
    assert.equal(first.dictionaryBase, 0);
    assert.equal(second.dictionaryBase, first.dictionaryStrings.length);
    assert.deepEqual(second.dictionaryStrings, []);
    assert.deepEqual([...second.fields], [...first.fields]);
  });

  test("a measurement without a survey is empty", async (hypervisor) => {
    const measurement = await hypervisor.measure(question());
    assert.deepEqual([...measurement.verdicts], []);
    assert.deepEqual([...measurement.offsets], [0]);
  });

  test("a question without time is answered with a failure at once", async (hypervisor) => {
    const survey = await hypervisor.survey(question({ timeoutMilliseconds: 0 }));
    assert.equal(survey.failure?.code, 0);
    assert.deepEqual([...survey.handles], []);
  });

  test("tells the state of its connection and opens another after a close", async (hypervisor) => {
    assert.equal((await hypervisor.status()).connected, false);
    await hypervisor.survey(question());
    const status = await hypervisor.status();
    assert.equal(status.connected, true);
    assert.equal(status.connectionsOpened, 1);
    assert.equal(status.quarantined, 0);
    await hypervisor.close();
    assert.equal((await hypervisor.status()).connected, false);
    const survey = await hypervisor.survey(question());
    assert.equal(survey.handles.length, CONFORMANCE_DOMAINS.length);
  });

  Deno.test(`${implementation} hypervisor: a refused connection is a failure, not an error`, async () => {
    const hypervisor = await openUnreachable();
    const { failure, handles } = await hypervisor.survey(question());
    assert.equal(failure?.call, "virConnectOpenReadOnly");
    assert.ok(failure.code > 0);
    assert.notEqual(failure.message, "");
    assert.deepEqual([...handles], []);
    assert.equal((await hypervisor.status()).connected, false);
    assert.deepEqual([...(await hypervisor.measure(question())).verdicts], []);
  });

  async function introduce(hypervisor: Hypervisor): Promise<string[]> {
    const { appeared } = await hypervisor.survey(question());
    for (const { handle, name } of appeared) {
      const domain = CONFORMANCE_DOMAINS.find((one) => one.name === name);
      hypervisor.setDevices(handle, domain?.disks ?? [], domain?.interfaces ?? []);
    }
    return appeared.map(({ name }) => name);
  }
}
