/**
 * The interface to libvirt: what the exporter asks of a hypervisor. The shim in `native/` implements it, and so does the
 * fake of the tests; one conformance suite holds for both.
 *
 * A scrape asks in three steps: `survey` (which domains are there?), `describe` (definitions of those that are new
 * or have changed) and `measure` (the values). Promises are never rejected by what libvirt does: failures are part of the
 * answers.
 */

import calls from "../../native/calls.json" with { type: "json" };

/**
 * Groups of libvirt's bulk statistics, `virDomainStatsTypes`. These and the calls below stand in `native/calls.json`,
 * which the shim is built from, too.
 */
export const StatisticsGroup = bitsOf(calls.groups);

/** Calls about one domain besides its bulk statistics. Their values have the names of fields that the table gives. */
export const DomainCall = bitsOf(calls.domainCalls);

/** Calls about the host. Each gives {@link HostEntity entities}, of the kind that the table gives. */
export const HostCall = bitsOf(calls.hostCalls);

/** Something of the host that is no domain, with what libvirt says about it. What it does not say is not there. */
export interface HostEntity {
  readonly kind: "node" | "cell" | "storage_pool" | "storage_volume" | "network";
  readonly texts: Readonly<Record<string, string>>;
  readonly numbers: Readonly<Record<string, number>>;
}

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
  /** Values of {@link DomainCall}, added. */
  readonly domainCalls: number;
  /** Values of {@link HostCall}, added. */
  readonly hostCalls: number;
  /** Whether a survey lists domains that are shut off, too. */
  readonly inactive: boolean;
}

/** The function that opens a connection, as failures name it. */
export const OPENING_CALL = "virConnectOpenAuth";

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
  /** One of the domains that it affected. */
  readonly handle?: number;
  /** All of them, where that is known. */
  readonly handles?: readonly number[];
  /** Names of what it concerned of the host, such as storage pools, where that is known. */
  readonly subjects?: readonly string[];
}

/** A domain that the survey before did not have. */
export interface AppearedDomain {
  /** Stands for this one run of this domain from now on; never used for another. */
  readonly handle: number;
  readonly uuid: string;
  /** libvirt's id of this run; -1 for a domain that is shut off. */
  readonly id: number;
  /** libvirt's name. */
  readonly name: string;
}

/** Which domains there are. */
export interface Survey {
  /** Set when nothing of this scrape was answered, or no list has come yet; the rest is empty then. */
  readonly failure?: CallFailure;
  /** The active domains (running, paused, …), and those that are shut off if they were asked for. */
  readonly handles: Uint32Array;
  readonly appeared: readonly AppearedDomain[];
  /** Domains whose definition may have changed since the survey before, as far as libvirt's events tell. */
  readonly changed: Uint32Array;
  /** How old libvirt's list is that the domains are from; events have kept it up since. */
  readonly listAgeSeconds: number;
  /** Why there is no list of this scrape: each domain was asked by itself then. */
  readonly listFailure?: CallFailure;
}

/** A domain's definition: `xml`, or the `failure` that kept it, or neither when there was no time or place to ask for it. */
export interface Description {
  readonly handle: number;
  readonly xml?: string;
  readonly failure?: CallFailure;
}

/** How complete a domain's values are. */
export const Verdict = {
  /** All that was asked was answered. */
  complete: 0,
  /** As `complete`, but interfaces of a virtual switch (vhost-user) are not asked for a time, since that was late. */
  suspended: 1,
  /** libvirt refused a call. */
  failed: 2,
  /** Somebody else was asking this guest, so libvirt left out what needs its monitor. */
  busy: 3,
  /** Not asked: the bound of abandoned calls, or the deadline, was reached before. */
  withheld: 4,
  /** Not asked: an earlier call is still out. */
  quarantined: 5,
  /** It did not answer in time. */
  late: 6,
  /** The list is late, and so is libvirt's answer to the first question about it: somebody holds the domain's lock. */
  locked: 7,
  /** It is no longer there. */
  gone: 8,
} as const;

/** How often a libvirt function was called for a measurement, with the survey before it, and how long that took in all. */
export interface CallTime {
  readonly call: string;
  readonly count: number;
  /** Calls that did not return in time count with the time until they were given up. */
  readonly seconds: number;
}

/**
 * The values of the asked domains as columns. The domain at position `i` of the handles has the fields and values at
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
  /** What {@link HostCall}s gave, in libvirt's order. */
  readonly entities: readonly HostEntity[];
  readonly failures: readonly CallFailure[];
  readonly callTimes: readonly CallTime[];
  /** As {@link Hypervisor.status} tells it at the end. */
  readonly status: HypervisorStatus;
}

/** The state of the connection; counts are since the start. */
export interface HypervisorStatus {
  readonly connected: boolean;
  readonly connectionAttempts: number;
  readonly connectionsOpened: number;
  readonly connectionsFailed: number;
  /** Connections that were lost or given up. */
  readonly connectionsLost: number;
  /** Instances whose call is abandoned or was lost: each may hold a worker of libvirt's daemon. */
  readonly abandonedMonitorCalls: number;
  readonly abandonedOtherCalls: number;
  /** Domains (and connections) that are not asked until their last call returns. */
  readonly quarantined: number;
  /**
   * How many active domains have ended, by the reason that libvirt's events gave; a reason that is not there has none yet.
   * Left out where nobody counts them.
   */
  readonly endedInstances?: Readonly<Record<string, number>>;
}

/** What the exporter asks of a hypervisor. Questions are answered in the order in which they were put. */
export interface Hypervisor {
  survey(question: Question): Promise<Survey>;
  /** Definitions of domains of the last survey, in any order. */
  describe(question: Question, handles: Uint32Array): Promise<readonly Description[]>;
  /**
   * The values of domains of the last survey, in the order of `handles`; one that is not of it is `gone`. A domain that is
   * shut off has the values of the survey only. The others that were surveyed cost nothing more.
   */
  measure(question: Question, handles: Uint32Array): Promise<Measurement>;
  /**
   * Says which devices a domain has, by target name, for calls that need it.
   *
   * @param disks those that have statistics
   * @param vhostUserInterfaces those whose counters a virtual switch keeps; they are not among `interfaces`
   */
  setDevices(
    handle: number,
    disks: readonly string[],
    interfaces: readonly string[],
    vhostUserInterfaces: readonly string[],
  ): void;
  status(): Promise<HypervisorStatus>;
  /** Closes the connection; kept when libvirt has closed it, which may be never. */
  close(): Promise<void>;
}

/** What asks for each call of a table, by its name. */
function bitsOf<Name extends string>(
  table: Readonly<Record<Name, { readonly bit: number }>>,
): Readonly<Record<Name, number>> {
  const bits: Partial<Record<Name, number>> = {};
  for (const name in table) bits[name] = 1 << table[name].bit;
  return bits as Record<Name, number>;
}
