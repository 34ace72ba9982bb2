import {
  type CallFailure,
  type CallTime,
  type Description,
  DomainCall,
  HostCall,
  type HostEntity,
  type Hypervisor,
  type HypervisorStatus,
  type Measurement,
  type Question,
  StatisticsGroup,
  type Survey,
  Verdict,
} from "../src/libvirt/hypervisor.ts";

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
  /** Why there is no list of this scrape, and how old the last one is. */
  listFailure: CallFailure | undefined;
  listAgeSeconds = 0;
  /** Set to fail calls of measurements. */
  failures: CallFailure[] = [];
  /** What the host's calls give. */
  entities: HostEntity[] = [];
  /** What calls took. */
  callTimes: CallTime[] = [];
  /** Changed domains that the next survey tells, by UUID. */
  changed = new Set<string>();
  /** What was asked, in order. */
  readonly calls: string[] = [];
  /** Domains that have ended, by reason; undefined for a hypervisor that does not count them. */
  endedInstances: Record<string, number> | undefined = {};
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
      return {
        failure,
        handles: new Uint32Array(),
        appeared: [],
        changed: new Uint32Array(),
        listAgeSeconds: 0,
      };
    }
    if (!this.#isOpen) {
      this.#counts.attempts++;
      this.#counts.opened++;
      this.#isOpen = true;
    }
    const before = this.#handles;
    this.#handles = new Map();
    const listed = this.domains.filter(({ id }) => question.inactive || id >= 0);
    for (const domain of listed) {
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
      listAgeSeconds: this.listAgeSeconds,
      ...(this.listFailure === undefined ? {} : { listFailure: this.listFailure }),
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

  measure(question: Question, handles: Uint32Array): Promise<Measurement> {
    this.calls.push(`measure ${handles.length}`);
    const asked = Array.from(
      handles,
      (handle) => this.#surveyed.find((one) => one.handle === handle)?.domain,
    );
    const columns = {
      offsets: [0],
      fields: [] as number[],
      values: [] as number[],
      textOffsets: [0],
      textFields: [] as number[],
      texts: [] as number[],
    };
    for (const domain of asked) {
      const isWanted = wantedFields(question, domain);
      const numbers = this.#wanted(domain?.numbers ?? {}, isWanted, (value) => value);
      const texts = this.#wanted(domain?.texts ?? {}, isWanted, (text) => this.#number(text));
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
        asked,
        (domain) => domain === undefined ? Verdict.gone : domain.verdict ?? Verdict.complete,
      ),
      offsets: Uint32Array.from(columns.offsets),
      fields: Uint32Array.from(columns.fields),
      values: Float64Array.from(columns.values),
      textOffsets: Uint32Array.from(columns.textOffsets),
      textFields: Uint32Array.from(columns.textFields),
      texts: Uint32Array.from(columns.texts),
      dictionaryBase,
      dictionaryStrings: this.#strings.slice(dictionaryBase),
      entities: this.entities.filter(({ kind }) => (question.hostCalls & HOST_CALLS[kind]) !== 0),
      failures: this.failures,
      callTimes: this.callTimes,
      status: this.#status(),
    });
  }

  setDevices(): void {}

  /** Starts the dictionary anew, as the shim does when it has grown too large. */
  forgetStrings(): void {
    this.#strings = [];
    this.#delivered = 0;
  }

  status(): Promise<HypervisorStatus> {
    return Promise.resolve(this.#status());
  }

  #status(): HypervisorStatus {
    return {
      connected: this.#isOpen,
      connectionAttempts: this.#counts.attempts,
      connectionsOpened: this.#counts.opened,
      connectionsFailed: this.#counts.failed,
      connectionsLost: this.#counts.lost,
      abandonedMonitorCalls: 0,
      abandonedOtherCalls: 0,
      quarantined: 0,
      ...(this.endedInstances === undefined ? {} : { endedInstances: this.endedInstances }),
    };
  }

  close(): Promise<void> {
    this.#isOpen = false;
    this.#surveyed = [];
    return Promise.resolve();
  }

  /** The fields that were asked for, by number, ascending. */
  #wanted<T>(
    fields: Readonly<Record<string, T>>,
    isWanted: (field: string) => boolean,
    convert: (value: T) => number,
  ): [number, number][] {
    return Object.entries(fields)
      .filter(([field]) => isWanted(field))
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

const HOST_CALLS: Readonly<Record<HostEntity["kind"], number>> = {
  node: HostCall.node,
  cell: HostCall.node,
  "storage_pool": HostCall.storagePools,
  "storage_volume": HostCall.storageVolumes,
  network: HostCall.networks,
};

/** Which fields of a domain a question asks for; the survey has the state in any case. */
function wantedFields(
  { groups, domainCalls }: Question,
  domain: FakeDomain | undefined,
): (field: string) => boolean {
  const byCall: readonly (readonly [RegExp, number])[] = [
    [/^cpu\.(time|user|system)$/, DomainCall.cpuTime],
    [/^block\.\d+\.(name|(rd|wr)\.(bytes|reqs)|errors)/, DomainCall.blockCounters],
    [/^block\.\d+\.(name|rd|wr|fl|errors)/, DomainCall.blockTimes],
    [/^vcpu\.\d+\.cpu$/, DomainCall.vcpuPlacement],
    [/^job\./, DomainCall.job],
    [/^snapshot\./, DomainCall.snapshots],
    [/^checkpoint\./, DomainCall.checkpoints],
  ];
  return (field) => {
    if (field.startsWith("state.")) return true;
    if (domain?.id === -1) return false;
    if ((groups & groupOf(field)) !== 0) return true;
    return byCall.some(([form, call]) => (domainCalls & call) !== 0 && form.test(field));
  };
}

function groupOf(field: string): number {
  const prefix = field.split(".", 1)[0] ?? "";
  const groups: Readonly<Record<string, number>> = {
    ...StatisticsGroup,
    net: StatisticsGroup.interface,
  };
  return groups[prefix] ?? 0;
}
