import {
  type CallFailure,
  type Description,
  type Hypervisor,
  type HypervisorStatus,
  type Measurement,
  type Question,
  StatisticsGroup,
  type Survey,
  Verdict,
} from "../../src/libvirt/hypervisor.ts";

/** A domain of the fake: what libvirt would say about it. */
export interface FakeDomain {
  readonly uuid: string;
  readonly id: number;
  readonly name: string;
  readonly xml: string;
  /** Fields in libvirt's bulk vocabulary; devices are named by texts like `block.0.name`. */
  readonly numbers: Readonly<Record<string, number>>;
  readonly texts?: Readonly<Record<string, string>>;
  /** What became of asking it; complete unless said. */
  readonly verdict?: number;
}

/** A hypervisor in memory, which a test changes between questions. */
export class FakeHypervisor implements Hypervisor {
  domains: FakeDomain[];
  /** Set to refuse surveys. */
  refusal: CallFailure | undefined;
  /** Set to fail calls of measurements. */
  failures: CallFailure[] = [];
  /** Changed domains that the next survey tells, by UUID. */
  changed = new Set<string>();
  /** What was asked, in order. */
  readonly calls: string[] = [];
  /** While set, surveys wait for it. */
  gate: Promise<void> | undefined;

  #handles = new Map<string, number>();
  #next = 0;
  #surveyed: { readonly handle: number; readonly domain: FakeDomain }[] = [];
  #strings: string[] = [];
  #delivered = 0;
  #isOpen = false;
  #counts = { attempts: 0, opened: 0, failed: 0, lost: 0 };

  constructor(domains: readonly FakeDomain[]) {
    this.domains = [...domains];
  }

  async survey(question: Question): Promise<Survey> {
    this.calls.push("survey");
    await this.gate;
    this.#surveyed = [];
    const failure = this.refusal ?? (question.timeoutMilliseconds > 0 ? undefined : LATE);
    if (failure !== undefined) {
      this.#counts.attempts++;
      this.#counts.failed++;
      return { failure, handles: new Uint32Array(), appeared: [], changed: new Uint32Array() };
    }
    if (!this.#isOpen) {
      this.#counts.attempts++;
      this.#counts.opened++;
      this.#isOpen = true;
    }
    const before = this.#handles;
    this.#handles = new Map();
    for (const domain of this.domains) {
      const key = `${domain.uuid} ${domain.id}`;
      const handle = before.get(key) ?? this.#next++;
      this.#handles.set(key, handle);
      this.#surveyed.push({ handle, domain });
    }
    const isNew = ({ domain }: { domain: FakeDomain }): boolean =>
      !before.has(`${domain.uuid} ${domain.id}`);
    const changed = this.#surveyed.filter((one) =>
      !isNew(one) && this.changed.has(one.domain.uuid)
    );
    this.changed = new Set();
    return {
      handles: Uint32Array.from(this.#surveyed, ({ handle }) => handle),
      appeared: this.#surveyed.filter(isNew).map(({ handle, domain: { uuid, id, name } }) => ({
        handle,
        uuid,
        id,
        name,
      })),
      changed: Uint32Array.from(changed, ({ handle }) => handle),
    };
  }

  describe(_question: Question, handles: Uint32Array): Promise<readonly Description[]> {
    this.calls.push(`describe ${handles.length}`);
    const wanted = new Set(handles);
    return Promise.resolve(
      this.#surveyed.filter(({ handle }) => wanted.has(handle)).map(({ handle, domain }) => ({
        handle,
        xml: domain.xml,
      })),
    );
  }

  measure(question: Question): Promise<Measurement> {
    this.calls.push("measure");
    const columns = {
      offsets: [0],
      fields: [] as number[],
      values: [] as number[],
      textOffsets: [0],
      textFields: [] as number[],
      texts: [] as number[],
    };
    for (const { domain } of this.#surveyed) {
      const numbers = this.#wanted(domain.numbers, question.groups, (value) => value);
      const texts = this.#wanted(domain.texts ?? {}, question.groups, (text) => this.#number(text));
      for (const [field, value] of numbers) {
        columns.fields.push(field);
        columns.values.push(value);
      }
      for (const [field, text] of texts) {
        columns.textFields.push(field);
        columns.texts.push(text);
      }
      columns.offsets.push(columns.fields.length);
      columns.textOffsets.push(columns.textFields.length);
    }
    const dictionaryBase = this.#delivered;
    this.#delivered = this.#strings.length;
    return Promise.resolve({
      verdicts: Uint8Array.from(
        this.#surveyed,
        ({ domain }) => domain.verdict ?? Verdict.complete,
      ),
      offsets: Uint32Array.from(columns.offsets),
      fields: Uint32Array.from(columns.fields),
      values: Float64Array.from(columns.values),
      textOffsets: Uint32Array.from(columns.textOffsets),
      textFields: Uint32Array.from(columns.textFields),
      texts: Uint32Array.from(columns.texts),
      dictionaryBase,
      dictionaryStrings: this.#strings.slice(dictionaryBase),
      failures: this.failures,
    });
  }

  setDevices(): void {}

  status(): Promise<HypervisorStatus> {
    return Promise.resolve({
      connected: this.#isOpen,
      connectionAttempts: this.#counts.attempts,
      connectionsOpened: this.#counts.opened,
      connectionsFailed: this.#counts.failed,
      connectionsLost: this.#counts.lost,
      abandonedMonitorCalls: 0,
      abandonedOtherCalls: 0,
      quarantined: 0,
    });
  }

  close(): Promise<void> {
    this.#isOpen = false;
    this.#surveyed = [];
    return Promise.resolve();
  }

  /** The fields of the asked groups, by number, ascending. */
  #wanted<T>(
    fields: Readonly<Record<string, T>>,
    groups: number,
    convert: (value: T) => number,
  ): [number, number][] {
    return Object.entries(fields)
      .filter(([field]) => (groups & groupOf(field)) !== 0)
      .map(([field, value]): [number, number] => [this.#number(field), convert(value)])
      .sort(([left], [right]) => left - right);
  }

  #number(string: string): number {
    const known = this.#strings.indexOf(string);
    return known >= 0 ? known : this.#strings.push(string) - 1;
  }
}

const LATE: CallFailure = {
  call: "virConnectGetAllDomainStats",
  code: 0,
  origin: 0,
  message: "libvirt did not answer before the deadline",
  count: 1,
};

function groupOf(field: string): number {
  const prefix = field.split(".", 1)[0] ?? "";
  const groups: Readonly<Record<string, number>> = {
    ...StatisticsGroup,
    net: StatisticsGroup.interface,
  };
  return groups[prefix] ?? 0;
}
