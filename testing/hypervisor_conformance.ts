import assert from "node:assert/strict";
import { Dictionary } from "../src/libvirt/dictionary.ts";
import {
  DomainCall,
  HostCall,
  type HostEntity,
  type Hypervisor,
  type Measurement,
  type Question,
  StatisticsGroup,
  Verdict,
} from "../src/libvirt/hypervisor.ts";
import { takeSnapshot } from "../src/libvirt/snapshot.ts";

/** The active domains that every implementation under test must have. */
export const CONFORMANCE_DOMAINS = [
  { name: "instance-00000001", disks: ["vda", "vdb"], interfaces: ["tap0"] },
  { name: "instance-00000002", disks: ["vda"], interfaces: [] },
  { name: "instance-00000003", disks: [], interfaces: ["tap3"] },
] as const;

/** The one that is shut off. */
export const SHUT_OFF_DOMAIN = "instance-00000004";

/** What of the host every implementation under test must have, by kind: texts and the numbers that it has at least. */
export const CONFORMANCE_HOST: Readonly<
  Record<
    "node" | "storage_pool" | "storage_volume" | "network",
    { readonly texts: Readonly<Record<string, string>>; readonly numbers: readonly string[] }
  >
> = {
  node: {
    texts: { type: "TEST", model: "i686" },
    numbers: [
      ...["cpus", "memory", "megahertz", "nodes", "sockets", "cores", "threads"],
      ...["cpu.user", "cpu.kernel", "cpu.idle", "cpu.iowait"],
      ...["version.hypervisor", "version.daemon", "version.client"],
    ],
  },
  "storage_pool": {
    texts: { name: "pool-1", uuid: "00000000-0000-4000-8000-0000000000f1" },
    numbers: [
      ...["state", "capacity", "allocation", "available"],
      ...["volumes", "autostart", "persistent"],
    ],
  },
  "storage_volume": {
    texts: { pool: "pool-1", name: "volume-1" },
    numbers: ["type", "capacity", "allocation"],
  },
  network: {
    texts: {
      name: "network-1",
      uuid: "00000000-0000-4000-8000-0000000000f2",
      bridge: "virbr7",
    },
    numbers: ["active", "autostart", "persistent"],
  },
};

const ALL_GROUPS = Object.values(StatisticsGroup).reduce((sum, group) => sum | group, 0);

const question = (changes: Partial<Question> = {}): Question => ({
  timeoutMilliseconds: 10_000,
  callTimeoutMilliseconds: 5_000,
  groups: ALL_GROUPS,
  domainCalls: 0,
  hostCalls: 0,
  inactive: false,
  ...changes,
});

const ALL_DOMAIN_CALLS = Object.values(DomainCall).reduce((sum, call) => sum | call, 0);
const ALL_HOST_CALLS = Object.values(HostCall).reduce((sum, call) => sum | call, 0);

/** `VIR_DOMAIN_SHUTOFF` */
const SHUT_OFF = 5;

/** The numbers of the domain at a position of a measurement that is the first of its hypervisor. */
function valuesOf(measurement: Measurement, position: number): ReadonlyMap<string, number> {
  assert.equal(measurement.dictionaryBase, 0);
  const { fields, values, offsets, dictionaryStrings } = measurement;
  const [start, end] = [offsets[position], offsets[position + 1]];
  const names = [...fields.subarray(start, end)].map((field) => dictionaryStrings[field] ?? "");
  const numbers = values.subarray(start, end);
  return new Map(names.map((name, index) => [name, numbers[index] ?? NaN]));
}

/** What each call about a domain gives: a field that must be there, or may, and the form of all its fields. */
const DOMAIN_CALLS: readonly (readonly [
  call: keyof typeof DomainCall,
  required: string | undefined,
  allowed: RegExp,
])[] = [
  ["cpuTime", "cpu.time", /^cpu\.(time|user|system)$/],
  ["blockCounters", "block.0.rd.bytes", /^block\.\d+\./],
  ["blockTimes", "block.0.rd.bytes", /^block\.\d+\./],
  ["vcpuPlacement", "vcpu.0.cpu", /^vcpu\.\d+\.cpu$/],
  ["job", undefined, /^job\./],
  ["snapshots", "snapshot.count", /^snapshot\.count$/],
  ["checkpoints", undefined, /^checkpoint\.count$/],
];

async function handlesOf(hypervisor: Hypervisor): Promise<Uint32Array> {
  return (await hypervisor.survey(question())).handles;
}

async function introduce(hypervisor: Hypervisor): Promise<string[]> {
  const { appeared } = await hypervisor.survey(question());
  for (const { handle, name } of appeared) {
    const domain = CONFORMANCE_DOMAINS.find((one) => one.name === name);
    hypervisor.setDevices(handle, domain?.disks ?? [], domain?.interfaces ?? [], []);
  }
  return appeared.map(({ name }) => name);
}

/** What holds for every implementation, and how that is tested on one with {@link CONFORMANCE_DOMAINS}. */
type ConformanceTest = readonly [name: string, body: (hypervisor: Hypervisor) => Promise<void>];

const CONFORMANCE_TESTS: readonly ConformanceTest[] = [
  [
    "a survey introduces each domain once and keeps its handle",
    async (hypervisor): Promise<void> => {
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
    },
  ],

  ["describes exactly the domains it is asked for", async (hypervisor): Promise<void> => {
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
  }],

  [
    "a measurement's columns are in order and all in its dictionary",
    async (hypervisor): Promise<void> => {
      await introduce(hypervisor);
      const measurement = await hypervisor.measure(question(), await handlesOf(hypervisor));
      const { offsets, fields, values, textOffsets, textFields, texts } = measurement;
      const dictionary = new Dictionary();
      dictionary.add(measurement.dictionaryBase, measurement.dictionaryStrings);
      assert.equal(measurement.verdicts.length, CONFORMANCE_DOMAINS.length);
      for (
        const [columnOffsets, column] of [[offsets, fields], [textOffsets, textFields]] as const
      ) {
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
    },
  ],

  [
    "gives the values of each domain under libvirt's bulk names",
    async (hypervisor): Promise<void> => {
      const names = await introduce(hypervisor);
      const measurement = await hypervisor.measure(question(), await handlesOf(hypervisor));
      const dictionary = new Dictionary();
      dictionary.add(measurement.dictionaryBase, measurement.dictionaryStrings);
      const snapshot = takeSnapshot(
        names.map((name, handle) => ({
          handle,
          uuid: "",
          id: 1,
          name,
          startSeconds: undefined,
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
        for (const [group, key] of [["block.N", "rd.bytes"], ["net.N", "rx.bytes"]] as const) {
          const devices = snapshot.namedDevices(group).filter((device) => device.domain === domain);
          const wanted = group === "block.N" ? expected?.disks : expected?.interfaces;
          assert.deepEqual(devices.map((device) => device.name), [...wanted ?? []]);
          for (const { slot } of devices) {
            const field = dictionary.deviceFields(group, key)[slot];
            assert.ok(snapshot.value(domain, field ?? -1) !== undefined);
          }
        }
      });
    },
  ],

  ["groups that nobody asked for are absent", async (hypervisor): Promise<void> => {
    await introduce(hypervisor);
    const cpu = question({ groups: StatisticsGroup.cpu });
    const { handles } = await hypervisor.survey(cpu);
    const measurement = await hypervisor.measure(cpu, handles);
    const used = new Set(
      [...measurement.fields].map((field) => measurement.dictionaryStrings[field]?.split(".")[0]),
    );
    assert.ok(used.has("cpu"));
    for (const group of ["balloon", "block", "net"]) assert.ok(!used.has(group), group);
  }],

  [
    "the dictionary continues from measurement to measurement",
    async (hypervisor): Promise<void> => {
      await introduce(hypervisor);
      const { handles } = await hypervisor.survey(question());
      const first = await hypervisor.measure(question(), handles);
      await hypervisor.survey(question());
      const second = await hypervisor.measure(question(), handles);
      assert.equal(first.dictionaryBase, 0);
      assert.equal(second.dictionaryBase, first.dictionaryStrings.length);
      assert.deepEqual(second.dictionaryStrings, []);
      assert.deepEqual([...second.fields], [...first.fields]);
    },
  ],

  ["a measurement without a survey is empty", async (hypervisor): Promise<void> => {
    const measurement = await hypervisor.measure(
      question({ hostCalls: ALL_HOST_CALLS }),
      new Uint32Array(),
    );
    assert.deepEqual([...measurement.verdicts], []);
    assert.deepEqual([...measurement.offsets], [0]);
  }],

  [
    "measures the domains that it is asked for, in their order",
    async (hypervisor): Promise<void> => {
      await introduce(hypervisor);
      const { handles } = await hypervisor.survey(question());
      const whole = await hypervisor.measure(question(), handles);
      const asked = [handles[2] ?? 0, 4_000_000_000, handles[0] ?? 0];
      const part = await hypervisor.measure(question(), Uint32Array.from(asked));
      const { complete, gone } = Verdict;
      assert.deepEqual([...part.verdicts], [complete, gone, complete]);
      const fieldsOf = ({ fields, offsets }: Measurement, position: number): number[] => [
        ...fields.subarray(offsets[position], offsets[position + 1]),
      ];
      assert.deepEqual(fieldsOf(part, 0), fieldsOf(whole, 2));
      assert.deepEqual(fieldsOf(part, 1), []);
      assert.deepEqual(fieldsOf(part, 2), fieldsOf(whole, 0));
      assert.equal(part.offsets.length, 4);
      assert.equal(part.textOffsets.length, 4);
    },
  ],

  [
    "lists domains that are shut off when it is asked to, with their state alone",
    async (hypervisor): Promise<void> => {
      const active = await hypervisor.survey(question());
      const all = question({ inactive: true, domainCalls: ALL_DOMAIN_CALLS });
      const { appeared, handles } = await hypervisor.survey(all);
      assert.deepEqual(appeared.map(({ name, id }) => [name, id]), [[SHUT_OFF_DOMAIN, -1]]);
      assert.equal(handles.length, active.handles.length + 1);
      const handle = Uint32Array.of(appeared[0]?.handle ?? -1);
      const descriptions = await hypervisor.describe(all, handle);
      assert.match(descriptions[0]?.xml ?? "", /<name>instance-00000004<\/name>/);
      hypervisor.setDevices(handle[0] ?? -1, ["vda"], ["tap4"], []);
      const measurement = await hypervisor.measure(all, handle);
      assert.deepEqual([...measurement.verdicts], [Verdict.complete]);
      const values = valuesOf(measurement, 0);
      assert.equal(values.get("state.state"), SHUT_OFF);
      assert.deepEqual([...values.keys()].filter((field) => !field.startsWith("state.")), []);
      const again = await hypervisor.survey(question());
      assert.deepEqual([...again.handles], [...active.handles]);
    },
  ],

  ...DOMAIN_CALLS.map(([call, required, allowed]): ConformanceTest => [
    `the call ${call} gives its own fields and no others`,
    async (hypervisor): Promise<void> => {
      const position = (await introduce(hypervisor)).indexOf(CONFORMANCE_DOMAINS[0].name);
      const only = question({ groups: 0, domainCalls: DomainCall[call] });
      const { handles } = await hypervisor.survey(only);
      const measurement = await hypervisor.measure(only, handles.subarray(position, position + 1));
      assert.deepEqual([...measurement.verdicts], [Verdict.complete]);
      assert.deepEqual(measurement.failures, []);
      const fields = [...valuesOf(measurement, 0).keys()]
        .filter((field) => !field.startsWith("state."));
      if (required !== undefined) assert.ok(fields.includes(required), `${fields}`);
      for (const field of fields) assert.match(field, allowed);
    },
  ]),

  [
    "gives what each call about the host asks for, and nothing unasked",
    async (hypervisor): Promise<void> => {
      const { handles } = await hypervisor.survey(question());
      const ask = async (hostCalls: number): Promise<readonly HostEntity[]> => {
        const measurement = await hypervisor.measure(question({ groups: 0, hostCalls }), handles);
        assert.deepEqual(measurement.failures, []);
        return measurement.entities;
      };
      assert.deepEqual(await ask(0), []);
      for (
        const [call, kind] of [
          [HostCall.node, "node"],
          [HostCall.storagePools, "storage_pool"],
          [HostCall.storageVolumes, "storage_volume"],
          [HostCall.networks, "network"],
        ] as const
      ) {
        const [entity, ...others] = (await ask(call)).filter(({ kind }) => kind !== "cell");
        assert.deepEqual(others, [], kind);
        assert.equal(entity?.kind, kind);
        assert.deepEqual(entity.texts, CONFORMANCE_HOST[kind].texts);
        for (const field of CONFORMANCE_HOST[kind].numbers) {
          assert.ok(Number.isFinite(entity.numbers[field]), `${kind} has ${field}`);
        }
      }
      const kinds = new Set((await ask(ALL_HOST_CALLS)).map(({ kind }) => kind));
      for (const kind of Object.keys(CONFORMANCE_HOST) as (keyof typeof CONFORMANCE_HOST)[]) {
        assert.ok(kinds.has(kind), kind);
      }
    },
  ],

  ["tells what the calls of survey and measurement took", async (hypervisor): Promise<void> => {
    const { handles } = await hypervisor.survey(question());
    const { callTimes } = await hypervisor.measure(question(), handles);
    const calls = callTimes.map(({ call }) => call);
    assert.equal(new Set(calls).size, calls.length);
    const survey = callTimes.find(({ call }) => call === "virConnectGetAllDomainStats");
    assert.equal(survey?.count, 1);
    for (const { call, count, seconds } of callTimes) {
      assert.match(call, /^vir[A-Z]/);
      assert.ok(count > 0 && seconds >= 0 && seconds < 10, `${call} ${count} ${seconds}`);
    }
  }],

  [
    "a question without time is answered with a failure at once",
    async (hypervisor): Promise<void> => {
      const survey = await hypervisor.survey(question({ timeoutMilliseconds: 0 }));
      assert.equal(survey.failure?.code, 0);
      assert.deepEqual([...survey.handles], []);
    },
  ],

  [
    "tells the state of its connection and opens another after a close",
    async (hypervisor): Promise<void> => {
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
    },
  ],
];

/**
 * Registers the tests that every implementation of {@link Hypervisor} must pass. `open` gives one with
 * {@link CONFORMANCE_DOMAINS}, `openUnreachable` one whose libvirt refuses.
 */
export function testHypervisorConformance(
  implementation: string,
  open: () => Promise<Hypervisor>,
  openUnreachable: () => Promise<Hypervisor>,
): void {
  for (const [name, body] of CONFORMANCE_TESTS) {
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
  }

  Deno.test(`${implementation} hypervisor: a refused connection is a failure, not an error`, async () => {
    const hypervisor = await openUnreachable();
    const { failure, handles } = await hypervisor.survey(question());
    assert.equal(failure?.call, "virConnectOpenAuth");
    assert.ok(failure.code > 0);
    assert.notEqual(failure.message, "");
    assert.deepEqual([...handles], []);
    assert.equal((await hypervisor.status()).connected, false);
    const measurement = await hypervisor.measure(
      question({ hostCalls: HostCall.node }),
      Uint32Array.of(0),
    );
    assert.deepEqual([...measurement.verdicts], [Verdict.gone]);
  });
}
