import { performance } from "node:perf_hooks";
import { compareWithDefinitions } from "../libvirt/comparison.ts";
import { Dictionary } from "../libvirt/dictionary.ts";
import { explainFailure } from "../libvirt/explain.ts";
import {
  type CallFailure,
  type Hypervisor,
  type HypervisorStatus,
  type Measurement,
  OPENING_CALL,
  type Question,
  type Survey,
} from "../libvirt/hypervisor.ts";
import { Roster } from "../libvirt/roster.ts";
import { type DomainRecord, isActive, type Snapshot, takeSnapshot } from "../libvirt/snapshot.ts";
import type { LogWriter } from "../log/line.ts";
import type { Log } from "../log/log.ts";
import { collectorOutcomes } from "../metrics/calls.ts";
import { createLabelTexts, type ExpositionFormat, type LabelCache } from "../metrics/exposition.ts";
import type { Collector, IdentityOptions } from "../metrics/family.ts";
import { type Findings, nothingFound } from "../metrics/findings.ts";
import { isSwitched, neededCalls } from "../metrics/mod.ts";
import { type Phase, type PhaseSeconds, SelfMetrics } from "../metrics/self.ts";
import { messageOf } from "../text.ts";
import { toSeconds, withinTime } from "../time.ts";
import type { BuildInfo } from "../version.ts";
import { Collection } from "./collection.ts";
import { ConditionLog } from "./conditions.ts";
import { DefinitionReader, type ReadDefinitions } from "./definitions.ts";
import {
  countIncomplete,
  definitionConditions,
  failureConditions,
  filterConditions,
  isOfEndedDomain,
  listConditions,
  verdictConditions,
} from "./diagnosis.ts";
import { passesByDefinition, passesByName } from "./domain_filter.ts";
import type { DomainFilterOptions } from "../config/config.ts";

/**
 * A definition is read again after this long at the latest: of some changes libvirt tells nothing. It costs libvirt 0.2 ms, and
 * no monitor.
 */
const MAXIMUM_DEFINITION_AGE_MILLISECONDS = 60_000;

/** Which part of a collection's time libvirt is asked for, and which part one call may take. */
const LIBVIRT_PART = 0.9;
const CALL_PART = 0.5;

/** Which part of the time that is left after the survey, which may have waited long for libvirt, definitions may take. */
const DEFINITIONS_PART = 0.5;

/** How long the state of the connection is waited for. It is known without libvirt; only a defect keeps it longer. */
const STATUS_MILLISECONDS = 100;

/**
 * The same while a collection is under way. Questions are answered in turn, and the client has waited long enough.
 */
const STATUS_DURING_COLLECTION_MILLISECONDS = 10;

/** How collections are made. */
export interface CollectOptions {
  readonly hypervisor: Hypervisor;
  /** How it is reached: what to do about a failure depends on it. */
  readonly uri: string;
  readonly filter: DomainFilterOptions;
  /** Whether domains that are shut off are exported, too. */
  readonly inactive: boolean;
  readonly identity: IdentityOptions;
  /** How long a scrape may take. */
  readonly timeoutMilliseconds: number;
  /** When a domain that has just appeared was started, in Unix time, where that can be found out. */
  readonly startSecondsOf: (name: string) => number | undefined;
  readonly build: BuildInfo;
  readonly log: LogWriter;
  /** How many lines of each level the log has had so far. */
  readonly logLines: Log["lines"];
  /** Takes the secrets of the connection out of what libvirt says about a failure. */
  readonly hideSecrets: (text: string) => string;
}

/** What is collected, and how long that may take. */
export interface CollectRequest {
  readonly collectors: readonly Collector[];
  /** The format in which the page will be wanted first. */
  readonly format: ExpositionFormat;
  readonly milliseconds: number;
}

/** The domains of a collection, as the survey and the definitions tell them. */
interface FoundDomains {
  /** Those that libvirt lists and that are not shut off, unless these are wanted as well. */
  readonly listed: readonly number[];
  /** Those to measure. */
  readonly records: readonly DomainRecord[];
  /** Those that have to wait until there is time to read their definition. */
  readonly unread: readonly DomainRecord[];
  readonly definitions: ReadDefinitions;
}

/** How much longer than its time a collection is waited for. Only a defect keeps it longer. */
const DEFECT_MILLISECONDS = 1_000;

/**
 * Makes collections, one after the other. The only part of the exporter that asks the hypervisor, and what it keeps from one
 * collection to the next: definitions, strings, label texts, and what the log was told.
 */
export class CollectionMaker {
  readonly #options: CollectOptions;
  readonly #self: SelfMetrics;
  readonly #conditions: ConditionLog;
  readonly #roster: Roster;
  readonly #definitions: DefinitionReader;
  readonly #labelTexts: LabelCache<string>;
  #dictionary = new Dictionary();
  /** The last state of the connection that was told. */
  #status: HypervisorStatus | undefined;

  constructor(options: CollectOptions) {
    const { build, timeoutMilliseconds, logLines, log, hypervisor } = options;
    this.#options = options;
    this.#self = new SelfMetrics({ build, timeoutSeconds: timeoutMilliseconds / 1000, logLines });
    this.#conditions = new ConditionLog(log);
    this.#roster = new Roster(MAXIMUM_DEFINITION_AGE_MILLISECONDS, options.startSecondsOf);
    this.#definitions = new DefinitionReader({
      hypervisor,
      roster: this.#roster,
      self: this.#self,
      log,
    });
    this.#labelTexts = createLabelTexts(options.identity);
  }

  /** What was the matter at the last collection, and before. */
  get problems(): Pick<ConditionLog, "current" | "past"> {
    return this.#conditions;
  }

  /** Makes a collection. Never rejects: a defect costs no more than this one page. */
  async make(request: CollectRequest): Promise<Collection> {
    this.#self.countCollection();
    try {
      const collected = this.#collectValues(request);
      const collection = await withinTime(collected, request.milliseconds + DEFECT_MILLISECONDS);
      if (collection === undefined) throw new Error("The libvirt shim does not answer");
      return collection;
    } catch (error) {
      this.#self.countError("internal");
      const reason = `Internal error: ${messageOf(error)}`;
      this.#conditions.report(new Map([["internal", { level: "error", message: reason }]]));
      return await this.#withoutValues(reason, {});
    }
  }

  /** The page of a scrape whose time is over before its collection is. */
  async unanswered(milliseconds: number): Promise<Collection> {
    this.#self.countError("timeout");
    const reason = `The collection did not end within ${Math.round(milliseconds)} ms`;
    return await this.#withoutValues(
      reason,
      { survey: milliseconds / 1000 },
      STATUS_DURING_COLLECTION_MILLISECONDS,
    );
  }

  async #collectValues({ collectors, format, milliseconds }: CollectRequest): Promise<Collection> {
    const clock = phaseClock();
    const { hypervisor } = this.#options;
    const deadline = performance.now() + milliseconds * LIBVIRT_PART;
    const question = this.#questionFor(collectors, milliseconds);
    const survey = await hypervisor.survey(question(deadline));
    clock.end("survey");
    if (survey.failure !== undefined) {
      return await this.#withoutLibvirt(survey.failure, clock.seconds());
    }
    const domains = await this.#findDomains(survey, question, deadline);
    clock.end("describe");
    const handles = Uint32Array.from(domains.records, ({ handle }) => handle);
    const measuredAt = performance.now();
    const measurement = await hypervisor.measure(question(deadline), handles);
    clock.end("measure");
    const snapshot = this.#takeSnapshot(domains.records, measurement);
    const found = { survey, domains, measurement, snapshot, collectors, measuredAt };
    const findings = this.#findingsOf(found);
    this.#count(survey, measurement, findings);
    this.#report(survey, domains, measurement, findings);
    const collection = new Collection(findings);
    collection.render(format);
    this.#status = measurement.status;
    clock.end("render");
    return collection.complete(await this.#self.families(findings, clock.seconds()));
  }

  /** Makes questions about what collectors need, which have to be answered until a time. */
  #questionFor(
    collectors: readonly Collector[],
    milliseconds: number,
  ): (until: number) => Question {
    const needed = neededCalls(collectors);
    return (until) => ({
      timeoutMilliseconds: Math.max(0, until - performance.now()),
      callTimeoutMilliseconds: milliseconds * CALL_PART,
      ...needed,
      inactive: this.#options.inactive,
    });
  }

  /** Finds the domains that are exported, and reads definitions until half of the time is over. */
  async #findDomains(
    survey: Survey,
    question: (until: number) => Question,
    deadline: number,
  ): Promise<FoundDomains> {
    const { filter, inactive } = this.#options;
    this.#roster.update(survey);
    // A domain that ends while libvirt lists it is on the list of the active ones as one that is shut off.
    const listed = Array.from(survey.handles)
      .filter((handle) => inactive || isActive(this.#roster.record(handle)));
    const isNamed = (handle: number): boolean => passesByName(this.#roster.record(handle), filter);
    const named = listed.filter(isNamed);
    // What one that is shut off is called now, its definition alone says.
    const others = listed.filter((handle) =>
      !isNamed(handle) && !isActive(this.#roster.record(handle))
    );
    const surveyedAt = performance.now();
    const until = surveyedAt + (deadline - surveyedAt) * DEFINITIONS_PART;
    const definitions = await this.#definitions.read(question, named, until);
    const ofOthers = await this.#definitions.read(question, others, until);
    const ended = new Set([...definitions.ended, ...ofOthers.ended]);
    const present = listed.filter((handle) => isNamed(handle) && !ended.has(handle))
      .map((handle) => this.#roster.record(handle));
    return {
      listed,
      records: present.filter((record) =>
        record.definition !== "unread" && passesByDefinition(record, filter)
      ),
      unread: present.filter(({ definition }) => definition === "unread"),
      definitions: { failures: definitions.failures, ended },
    };
  }

  #takeSnapshot(records: readonly DomainRecord[], measurement: Measurement): Snapshot {
    const { dictionaryBase, dictionaryStrings } = measurement;
    // Collections that are kept go on with the dictionary that they were made with.
    if (dictionaryBase === 0 && this.#dictionary.size > 0) this.#dictionary = new Dictionary();
    this.#dictionary.add(dictionaryBase, dictionaryStrings);
    const snapshot = takeSnapshot(records, measurement, this.#dictionary, {
      hasInactive: this.#options.inactive,
    });
    const hasDifference = ({ handle }: DomainRecord): boolean => this.#roster.hasDifference(handle);
    for (const { record, comparisons } of compareWithDefinitions(snapshot, hasDifference)) {
      this.#roster.compare(record.handle, comparisons);
    }
    return snapshot;
  }

  #findingsOf({ survey, domains, measurement, snapshot, collectors, measuredAt }: {
    readonly survey: Survey;
    readonly domains: FoundDomains;
    readonly measurement: Measurement;
    readonly snapshot: Snapshot;
    readonly collectors: readonly Collector[];
    readonly measuredAt: number;
  }): Findings {
    const { listed, records, unread, definitions } = domains;
    const failures = [...definitions.failures, ...measurement.failures];
    return {
      isUp: true,
      reason: undefined,
      instances: [...snapshot.domains, ...unread].filter(isActive).length,
      filtered: listed.length - definitions.ended.size - records.length - unread.length,
      unread: unread.length,
      listAgeSeconds: survey.listAgeSeconds,
      incomplete: countIncomplete(measurement, unread.length),
      outcomes: collectorOutcomes(
        collectors.filter(isSwitched),
        failures.filter((failure) => !isOfEndedDomain(failure)),
        measurement.callTimes,
      ),
      status: measurement.status,
      measuredAt,
      snapshot,
      collectors,
      labelTexts: this.#labelTexts,
    };
  }

  #count(
    { listFailure }: Survey,
    { failures, callTimes }: Measurement,
    { incomplete }: Findings,
  ): void {
    for (const failure of failures.filter((one) => !isOfEndedDomain(one))) {
      this.#self.countFailure(failure.code === 0 ? "timeout" : "call", failure);
    }
    if (incomplete.late > 0) this.#self.countError("timeout", incomplete.late);
    this.#self.countCalls(callTimes);
    // A list that is late is no failure: the page says how old the list is.
    if (listFailure !== undefined && listFailure.code !== 0) {
      this.#self.countFailure("survey", listFailure);
    }
  }

  /** Tells the log what is the matter. */
  #report(
    { listFailure }: Survey,
    { records, unread, definitions }: FoundDomains,
    measurement: Measurement,
    { filtered = 0, collectors }: Findings,
  ): void {
    const exported = records.length + unread.length;
    this.#conditions.report(
      new Map([
        ...failureConditions(
          {
            described: definitions.failures,
            measured: measurement.failures,
            records,
            measurement,
          },
          (handle) => this.#roster.record(handle).name,
          this.#explain,
        ),
        ...definitionConditions(
          this.#roster.problems().filter(({ record }) =>
            passesByName(record, this.#options.filter)
          ),
        ),
        ...filterConditions(this.#options.filter, { exported, filtered }),
        ...verdictConditions(records, measurement),
        ...listConditions(listFailure, records, measurement, this.#explain),
      ]),
      new Set(collectors.map(({ name }) => name)),
    );
  }

  readonly #explain = (failure: CallFailure): string => {
    const { hideSecrets, uri } = this.#options;
    return explainFailure({ ...failure, message: hideSecrets(failure.message) }, uri);
  };

  async #withoutLibvirt(failure: CallFailure, phaseSeconds: PhaseSeconds): Promise<Collection> {
    const kind = failure.call === OPENING_CALL ? "connection" : "survey";
    this.#self.countFailure(kind, failure);
    const reason = this.#explain(failure);
    this.#conditions.report(
      new Map([["libvirt", {
        level: "error",
        message: "libvirt is not available",
        fields: { call: failure.call, code: failure.code, reason },
      }]]),
    );
    return await this.#withoutValues(reason, phaseSeconds);
  }

  async #withoutValues(
    reason: string,
    phaseSeconds: PhaseSeconds,
    statusMilliseconds: number = STATUS_MILLISECONDS,
  ): Promise<Collection> {
    const status = await this.#readStatus(statusMilliseconds);
    const findings = nothingFound({ reason, status, labelTexts: this.#labelTexts });
    return new Collection(findings)
      .complete(await this.#self.families(findings, phaseSeconds));
  }

  /** The state of the connection; the last known one when it is not told in time. */
  async #readStatus(milliseconds: number): Promise<HypervisorStatus | undefined> {
    const status = await withinTime(this.#options.hypervisor.status(), milliseconds);
    this.#status = status ?? this.#status;
    return this.#status;
  }
}

interface PhaseClock {
  /** Ends a phase that began at the end of the one before. */
  end(phase: Phase): void;
  seconds(): PhaseSeconds;
}

function phaseClock(): PhaseClock {
  const seconds: Partial<Record<Phase, number>> = {};
  let last = performance.now();
  return {
    end(phase): void {
      const now = performance.now();
      seconds[phase] = toSeconds(now - last);
      last = now;
    },
    seconds: () => ({ ...seconds }),
  };
}
