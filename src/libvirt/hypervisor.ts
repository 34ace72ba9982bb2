/**
 * The seam to libvirt: what the exporter asks of a hypervisor. The shim in `native/` implements it, and so does the
 * fake of the tests; one conformance suite holds for both.
 *
 * A scrape asks in three steps: `survey` (which domains are there?), `describe` (definitions of those that are new
 * or have changed) and `measure` (the values). Promises are never rejected by what libvirt does: failures are part of the
 * answers.
 */

/** Groups of libvirt's bulk statistics, `virDomainStatsTypes`. Source: libvirt-domain.h of libvirt 9.0. */
export const StatisticsGroup = {
  state: 1 << 0,
  cpu: 1 << 1,
  balloon: 1 << 2,
  vcpu: 1 << 3,
  interface: 1 << 4,
  block: 1 << 5,
  perf: 1 << 6,
  iothread: 1 << 7,
  memory: 1 << 8,
  dirtyrate: 1 << 9,
  vm: 1 << 10,
} as const;

/** How to reach a hypervisor. */
export interface HypervisorOptions {
  /** libvirt's connection URI. */
  readonly uri: string;
  /** How many domains are asked at the same time. */
  readonly concurrency: number;
  /** How many calls that hold a worker of libvirt's daemon may be out, running and abandoned ones together. */
  readonly maximumAbandoned: number;
}

/** The bounds of a question. */
export interface Question {
  /** How long the answer may take. */
  readonly timeoutMilliseconds: number;
  /** How long one libvirt call of it may take before it is abandoned. */
  readonly callTimeoutMilliseconds: number;
  /** Values of {@link StatisticsGroup}, added. */
  readonly groups: number;
}

/** Calls that failed alike. */
export interface CallFailure {
  /** The libvirt function, for example `virDomainGetXMLDesc`. */
  readonly call: string;
  /** `virErrorNumber`; 0 when libvirt said nothing (a deadline). Source: virterror.h. */
  readonly code: number;
  /** `virErrorDomain`, the part of libvirt that raised it. */
  readonly origin: number;
  readonly message: string;
  /** How many there were. */
  readonly count: number;
  /** One of the domains that it concerned. */
  readonly handle?: number;
}

/** A domain that the survey before did not have. */
export interface AppearedDomain {
  /** Stands for this one run of this domain from now on; never used for another. */
  readonly handle: number;
  readonly uuid: string;
  /** libvirt's id of this run. */
  readonly id: number;
  /** libvirt's name. */
  readonly name: string;
}

/** Which domains there are. */
export interface Survey {
  /** Set when libvirt gave no list; the rest is empty then. */
  readonly failure?: CallFailure;
  /** The active domains (running, paused, …). */
  readonly handles: Uint32Array;
  readonly appeared: readonly AppearedDomain[];
  /** Domains whose definition may have changed since the survey before, as far as libvirt's events tell. */
  readonly changed: Uint32Array;
}

/** A domain's definition: `xml`, or the `failure` that kept it. */
export interface Description {
  readonly handle: number;
  readonly xml?: string;
  readonly failure?: CallFailure;
}

/** How complete a domain's values are. */
export const Verdict = {
  /** All that was asked was answered. */
  complete: 0,
  /** libvirt refused a call. */
  failed: 1,
  /** Somebody else was asking this guest, so libvirt left out what needs its monitor. */
  busy: 2,
  /** Not asked: the bound of abandoned calls, or the deadline, was reached before. */
  withheld: 3,
  /** Not asked: an earlier call is still out. */
  quarantined: 4,
  /** It did not answer in time. */
  late: 5,
  /** It is no longer there. */
  gone: 6,
} as const;

/**
 * The values of the surveyed domains as columns. The domain at position `i` of the survey has the fields and values at
 * `offsets[i]` up to `offsets[i + 1]`, ascending by field; texts likewise. Fields and texts are numbers of a dictionary
 * that grows from measurement to measurement: `dictionaryStrings` follow the first `dictionaryBase` ones known so far.
 */
export interface Measurement {
  /** A value of {@link Verdict} for each domain. */
  readonly verdicts: Uint8Array;
  readonly offsets: Uint32Array;
  readonly fields: Uint32Array;
  readonly values: Float64Array;
  readonly textOffsets: Uint32Array;
  readonly textFields: Uint32Array;
  readonly texts: Uint32Array;
  readonly dictionaryBase: number;
  readonly dictionaryStrings: readonly string[];
  readonly failures: readonly CallFailure[];
}

/** The state of the connection; counts are since the start. */
export interface HypervisorStatus {
  readonly connected: boolean;
  readonly connectionAttempts: number;
  readonly connectionsOpened: number;
  readonly connectionsFailed: number;
  /** Connections that were lost or given up. */
  readonly connectionsLost: number;
  /** Abandoned calls that hold a worker of libvirt's daemon. */
  readonly abandonedMonitorCalls: number;
  readonly abandonedOtherCalls: number;
  /** Domains (and connections) that are not asked until their last call returns. */
  readonly quarantined: number;
}

/** See the module. Questions are answered in the order in which they were put. */
export interface Hypervisor {
  survey(question: Question): Promise<Survey>;
  /** Definitions of domains of the last survey, in any order. */
  describe(question: Question, handles: Uint32Array): Promise<readonly Description[]>;
  /** The values of the domains of the last survey, in its order. */
  measure(question: Question): Promise<Measurement>;
  /** Says which devices a domain has, by target name, for calls that need it. */
  setDevices(handle: number, disks: readonly string[], interfaces: readonly string[]): void;
  status(): Promise<HypervisorStatus>;
  /** Closes the connection; kept when libvirt has closed it, which may be never. */
  close(): Promise<void>;
}
