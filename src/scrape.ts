import { performance } from "node:perf_hooks";
import { Collection, toSeconds } from "./collection.ts";
import { ConditionLog, conditionText, type LogWriter } from "./conditions.ts";
import {
  type Conditions,
  countIncomplete,
  definitionConditions,
  failureCondition,
  isFailure,
  NOTHING_INCOMPLETE,
  verdictConditions,
} from "./diagnosis.ts";
import { type DomainFilterOptions, passesByDefinition, passesByName } from "./domain_filter.ts";
import { detached } from "./libvirt/detached.ts";
import { Dictionary } from "./libvirt/dictionary.ts";
import { DomainXmlError, parseDomainXml } from "./libvirt/domain_xml.ts";
import { explainFailure } from "./libvirt/explain.ts";
import type {
  CallFailure,
  Hypervisor,
  HypervisorStatus,
  Measurement,
  Question,
  Survey,
} from "./libvirt/hypervisor.ts";
import { Roster } from "./libvirt/roster.ts";
import type { Log } from "./log.ts";
import { type DomainRecord, isActive, type Snapshot, takeSnapshot } from "./libvirt/snapshot.ts";
import { collectorOutcomes } from "./metrics/calls.ts";
import { type ExpositionFormat, LabelTexts } from "./metrics/exposition.ts";
import type { Collector, IdentityOptions } from "./metrics/family.ts";
import { isSwitched, neededQuestions } from "./metrics/mod.ts";
import { type CollectionState, type Phase, SelfMetrics } from "./metrics/self.ts";
import type { ScrapeSummary } from "./scrape_summary.ts";
import { Turns } from "./turns.ts";
import type { BuildInfo } from "./version.ts";

/** A definition is read again after this long at the latest, in case an event was missed. */
const MAXIMUM_DEFINITION_AGE_MILLISECONDS = 5 * 60_000;

/** Definitions read at a time: enough to keep the workers busy, few enough to stop in time. */
const DEFINITION_BATCH = 64;

/** Shares of a scrape's time: until when libvirt is asked, and for one call. */
const LIBVIRT_SHARE = 0.9;
const CALL_SHARE = 0.5;

/** Share of the time that is left after the survey, which may have waited long for libvirt, to read definitions. */
const DEFINITIONS_SHARE = 0.5;

/**
 * What a collection is given at least, unless `--libvirt.timeout` is less. Calls that are given up after a few milliseconds
 * would be missing on the pages of others, who share the connection and the bound of such calls.
 */
const MINIMUM_COLLECTION_MILLISECONDS = 500;

/**
 * Choices of collectors, besides the usual one, for which there may be collections at the same time or within
 * `--scrape.min-interval`. There are as many choices as there are subsets, so without a bound one client could keep libvirt
 * at work without end.
 */
const MAXIMUM_CHOICES = 8;

/** How scrapes are made. */
export interface ScraperOptions {
  readonly hypervisor: Hypervisor;
  /** What is collected unless a request says otherwise. */
  readonly collectors: readonly Collector[];
  readonly filter: DomainFilterOptions;
  /** Whether domains that are shut off are exported, too. */
  readonly inactive: boolean;
  readonly identity: IdentityOptions;
  /** How long a scrape may take. */
  readonly timeoutMilliseconds: number;
  /** Scrapes within this time of a collection's end share it. */
  readonly minimumIntervalMilliseconds: number;
  /** When a domain that has just appeared was started, in Unix time, where that can be found out. */
  readonly startSecondsOf: (name: string) => number | undefined;
  /** Told of each collection that was made. */
  readonly onCollection: (collection: Collection) => void;
  readonly build: BuildInfo;
  readonly log: LogWriter;
  /** How many lines of each level the log has had so far. */
  readonly logLines: Log["lines"];
  /** Takes the secrets of the connection out of what libvirt says about a failure. */
  readonly hideSecrets: (text: string) => string;
}

/** What a scrape asks for; what is left out is as the options say. */
export interface ScrapeRequest {
  /** How long it may take, when that is less than the configured time. */
  readonly timeoutMilliseconds?: number;
  readonly collectors?: readonly Collector[];
  /** The format in which the page will be wanted. */
  readonly format?: ExpositionFormat;
}

const NOTHING_COLLECTED: ScrapeSummary = {
  isUp: undefined,
  reason: undefined,
  instances: undefined,
  unread: 0,
  collectedAt: undefined,
  problems: [],
};

/** A collection that is under way, or waits for its turn. */
interface Pending {
  /** Undefined when nobody waited for it any more when its turn came. */
  readonly collection: Promise<Collection | undefined>;
  /** Until when somebody waits for it, in milliseconds of `performance.now()`. */
  until: number;
  /** The most milliseconds that any of them gives it. */
  share: number;
  hasBegun: boolean;
}

/** A collection that scrapes within `--scrape.min-interval` share. */
interface Kept {
  readonly collection: Collection;
  /** As of {@link Pending}. */
  readonly share: number;
}

/**
 * Makes scrapes. The only part of the exporter that talks to libvirt. Scrapes at the same time share one collection,
 * and each answers in time whatever libvirt does. Collections for different collectors take turns, those for all that are
 * on every other one.
 */
export class Scraper {
  readonly #options: ScraperOptions;
  readonly #self: SelfMetrics;
  readonly #conditions: ConditionLog;
  readonly #roster: Roster;
  readonly #labelTexts: LabelTexts;
  #dictionary = new Dictionary();
  /** By choice of collectors: the last one that was begun, or will be. */
  readonly #pending = new Map<string, Pending>();
  readonly #latest = new Map<string, Kept>();
  #summary: ScrapeSummary = NOTHING_COLLECTED;
  /** As last told. */
  #status: HypervisorStatus | undefined;
  readonly #turns = new Turns();
  /** Of the usual choice of collectors. */
  readonly #usualKey: string;

  constructor(options: ScraperOptions) {
    this.#options = options;
    this.#self = new SelfMetrics(options.build);
    this.#conditions = new ConditionLog(options.log);
    this.#roster = new Roster(MAXIMUM_DEFINITION_AGE_MILLISECONDS, options.startSecondsOf);
    this.#labelTexts = new LabelTexts(options.identity);
    this.#usualKey = keyOf(options.collectors);
  }

  /**
   * A collection, at the latest after the configured time, or after that of the request when it is shorter. Never throws:
   * without libvirt the page says so.
   */
  async scrape(request: ScrapeRequest = {}): Promise<Collection> {
    const { collectors = this.#options.collectors, format = "text" } = request;
    const patience = Math.min(
      this.#options.timeoutMilliseconds,
      request.timeoutMilliseconds ?? Infinity,
    );
    const key = keyOf(collectors);
    const recent = this.#recent(key, this.#share(patience));
    if (recent !== undefined) return recent;
    const { collection } = this.#join(key, patience) ??
      this.#enqueue(key, collectors, format, patience);
    return await withinTime(collection, patience) ?? await this.#unanswered(patience);
  }

  /**
   * Whether a scrape for these collectors may be made now: always for the usual ones, and for others unless there are too
   * many other choices already.
   */
  hasRoomFor(collectors: readonly Collector[]): boolean {
    const key = keyOf(collectors);
    if (key === this.#usualKey) return true;
    const kept = [...this.#latest].filter(([, { collection }]) => this.#isFresh(collection));
    const choices = new Set([...this.#pending.keys(), ...kept.map(([choice]) => choice)]);
    choices.delete(this.#usualKey);
    return choices.has(key) || choices.size < MAXIMUM_CHOICES;
  }

  #isFresh({ ageMilliseconds }: Collection): boolean {
    return ageMilliseconds < this.#options.minimumIntervalMilliseconds;
  }

  /** The milliseconds that somebody who waits this long gives a collection. */
  #share(patience: number): number {
    const { timeoutMilliseconds } = this.#options;
    return Math.min(timeoutMilliseconds, Math.max(patience, MINIMUM_COLLECTION_MILLISECONDS));
  }

  /** The collection that others wait for already, unless it has begun with less time than this scrape gives it. */
  #join(key: string, patience: number): Pending | undefined {
    const pending = this.#pending.get(key);
    if (pending === undefined) return undefined;
    const share = this.#share(patience);
    if (pending.hasBegun && pending.share < share) return undefined;
    pending.share = Math.max(pending.share, share);
    pending.until = Math.max(pending.until, performance.now() + patience);
    return pending;
  }

  /** What the last collection found, without asking libvirt. */
  get summary(): ScrapeSummary {
    // Without libvirt the reason is all that is known.
    const conditions = this.#summary.isUp === true ? this.#conditions.current : [];
    return { ...this.#summary, problems: conditions.map(conditionText) };
  }

  /** A kept collection, unless more time might have brought more. */
  #recent(key: string, share: number): Collection | undefined {
    const kept = this.#latest.get(key);
    if (kept === undefined) return undefined;
    const { collection } = kept;
    if (kept.share < share && !isWhole(collection)) return undefined;
    return this.#isFresh(collection) ? collection : undefined;
  }

  #enqueue(
    key: string,
    collectors: readonly Collector[],
    format: ExpositionFormat,
    patience: number,
  ): Pending {
    const begin = async (): Promise<Collection | undefined> => {
      try {
        const rest = pending.until - performance.now();
        // Whoever waited has been answered already.
        if (rest <= 0) return undefined;
        pending.hasBegun = true;
        const collection = await this.#make(collectors, format, this.#share(rest));
        this.#keep(key, { collection, share: pending.share });
        return collection;
      } finally {
        if (this.#pending.get(key) === pending) this.#pending.delete(key);
      }
    };
    const pending: Pending = {
      // Requests can choose so many sets of collectors that their turns would take longer than any scrape waits.
      collection: this.#turns.run(key === this.#usualKey ? "whole" : "part", begin),
      until: performance.now() + patience,
      share: this.#share(patience),
      hasBegun: false,
    };
    this.#pending.set(key, pending);
    return pending;
  }

  async #make(
    collectors: readonly Collector[],
    format: ExpositionFormat,
    milliseconds: number,
  ): Promise<Collection> {
    const collection = await this.#attempt(collectors, format, milliseconds);
    const { isUp, reason, instances, unread } = collection.parts;
    this.#summary = { isUp, reason, instances, unread, collectedAt: new Date(), problems: [] };
    this.#options.onCollection(collection);
    return collection;
  }

  /** A defect must cost no more than this one page. */
  async #attempt(
    collectors: readonly Collector[],
    format: ExpositionFormat,
    milliseconds: number,
  ): Promise<Collection> {
    this.#self.countCollection();
    try {
      return await this.#collect(collectors, format, milliseconds);
    } catch (error) {
      this.#self.countError("internal");
      const reason = `Internal error: ${error instanceof Error ? error.message : String(error)}`;
      this.#conditions.report(new Map([["internal", { level: "error", message: reason }]]));
      return await this.#without(reason, {});
    }
  }

  /** A collection that no later scrape may share would only take memory. */
  #keep(key: string, kept: Kept): void {
    const { isUp, unread } = kept.collection.parts;
    this.#latest.delete(key);
    // What is missing for the moment must not be missing for the whole interval.
    if (this.#options.minimumIntervalMilliseconds === 0 || !isUp || unread > 0) return;
    this.#latest.set(key, kept);
    for (const oldest of this.#latest.keys()) {
      // One for each choice, and one for the usual collectors.
      if (this.#latest.size <= MAXIMUM_CHOICES + 1) return;
      if (oldest !== this.#usualKey) this.#latest.delete(oldest);
    }
  }

  async #collect(
    collectors: readonly Collector[],
    format: ExpositionFormat,
    timeout: number,
  ): Promise<Collection> {
    const clock = phaseClock();
    const { hypervisor, inactive } = this.#options;
    const deadline = performance.now() + timeout * LIBVIRT_SHARE;
    const needed = neededQuestions(collectors);
    const question = (callShare: number): Question => ({
      timeoutMilliseconds: Math.max(0, deadline - performance.now()),
      callTimeoutMilliseconds: timeout * callShare,
      ...needed,
      inactive,
    });
    const survey = await hypervisor.survey(question(1));
    clock.end("survey");
    if (survey.failure !== undefined) {
      return await this.#withoutLibvirt(survey.failure, clock.seconds());
    }
    const listed = this.#enrol(survey);
    const named = listed.filter((handle) => this.#passesByName(handle));
    const surveyedAt = performance.now();
    const describeUntil = surveyedAt + (deadline - surveyedAt) * DEFINITIONS_SHARE;
    const described = await this.#describe(question, named, describeUntil);
    const { conditions, ended } = described;
    clock.end("describe");
    const { records, unread } = this.#select(named.filter((handle) => !ended.has(handle)));
    const handles = Uint32Array.from(records, ({ handle }) => handle);
    const measuredAt = performance.now();
    const measurement = await hypervisor.measure(question(CALL_SHARE), handles);
    clock.end("measure");
    const { failures, callTimes } = measurement;
    const snapshot = this.#take(records, measurement);
    const incomplete = countIncomplete(measurement, unread.length);
    for (const failure of failures) this.#noteFailure("call", failure, conditions);
    if (incomplete.late > 0) this.#self.countError("timeout", incomplete.late);
    this.#self.countCalls(callTimes);
    this.#conditions.report(
      new Map([...conditions, ...verdictConditions(records, measurement)]),
      new Set(collectors.map(({ name }) => name)),
    );
    const instances = [...snapshot.domains, ...unread].filter(isActive).length;
    const collection = new Collection({
      isUp: true,
      reason: undefined,
      instances,
      unread: unread.length,
      measuredAt,
      snapshot,
      collectors,
      labelTexts: this.#labelTexts,
    });
    collection.render(format);
    const status = this.#status = await hypervisor.status();
    clock.end("render");
    return collection.complete(
      await this.#self.families({
        isUp: true,
        instances,
        filtered: listed.length - ended.size - records.length - unread.length,
        incomplete,
        outcomes: collectorOutcomes(
          collectors.filter(isSwitched),
          [...described.failures, ...failures].filter(isFailure),
          callTimes,
        ),
        phaseSeconds: clock.seconds(),
        ...this.#constants(),
        status,
      }),
    );
  }

  /**
   * Takes over which domains there are. One that ends while libvirt lists it is on the list of the active ones as one that
   * is shut off.
   */
  #enrol(survey: Survey): readonly number[] {
    this.#roster.enrol(survey);
    return Array.from(survey.handles).filter((handle) =>
      this.#options.inactive || isActive(this.#roster.record(handle))
    );
  }

  #passesByName(handle: number): boolean {
    return passesByName(this.#roster.record(handle), this.#options.filter);
  }

  /** The domains to measure, and those that have to wait until there is time to read their definition. */
  #select(
    handles: readonly number[],
  ): { readonly records: readonly DomainRecord[]; readonly unread: readonly DomainRecord[] } {
    const all = handles.map((handle) => this.#roster.record(handle));
    return {
      records: all.filter((record) =>
        record.definition !== "unread" && passesByDefinition(record, this.#options.filter)
      ),
      unread: all.filter(({ definition }) => definition === "unread"),
    };
  }

  #take(records: readonly DomainRecord[], measurement: Measurement): Snapshot {
    const { dictionaryBase, dictionaryStrings } = measurement;
    // Collections that are kept go on with the dictionary that they were made with.
    if (dictionaryBase === 0 && this.#dictionary.size > 0) this.#dictionary = new Dictionary();
    this.#dictionary.add(dictionaryBase, dictionaryStrings);
    const snapshot = takeSnapshot(records, measurement, this.#dictionary);
    this.#expireUnknownDevices(snapshot);
    return snapshot;
  }

  /**
   * Reads the definitions that are missing or old, as many as there is time for.
   *
   * @returns what is the matter, what of it libvirt refused, and the domains that have ended since they were listed
   */
  async #describe(
    question: (callShare: number) => Question,
    handles: readonly number[],
    until: number,
  ): Promise<{
    readonly conditions: Conditions;
    readonly failures: readonly CallFailure[];
    readonly ended: ReadonlySet<number>;
  }> {
    const conditions: Conditions = new Map();
    const failures: CallFailure[] = [];
    const ended = new Set<number>();
    const stale = this.#roster.stale(handles, performance.now());
    let read = 0;
    while (read < stale.length && performance.now() < until) {
      const batch = Uint32Array.from(stale.slice(read, read + DEFINITION_BATCH));
      read += batch.length;
      const descriptions = await this.#options.hypervisor.describe(question(CALL_SHARE), batch);
      for (const { handle, xml, failure } of descriptions) {
        if (xml !== undefined) this.#understand(handle, xml);
        else if (failure !== undefined && !isFailure(failure)) ended.add(handle);
        else if (failure !== undefined) {
          this.#roster.refuse(handle);
          failures.push(failure);
          this.#noteFailure("definition", failure, conditions);
        }
      }
    }
    this.#self.countDefinitions(handles.length - stale.length, read);
    const problems = definitionConditions(this.#roster.problems());
    return { conditions: new Map([...conditions, ...problems]), failures, ended };
  }

  #understand(handle: number, xml: string): void {
    const now = performance.now();
    try {
      const description = detached(parseDomainXml(xml));
      this.#roster.describe(handle, description, description.novaProblem, now);
      if (description.novaProblem !== undefined) this.#self.countError("definition_content");
      const targets = description.interfaces.flatMap(({ target }) => target ?? []);
      const disks = description.disks.map(({ target }) => target).filter((target) => target !== "");
      this.#options.hypervisor.setDevices(handle, disks, targets);
    } catch (error) {
      if (!(error instanceof DomainXmlError)) throw error;
      this.#self.countError("definition_content");
      this.#roster.describe(handle, undefined, error.message, now);
    }
  }

  #noteFailure(kind: "definition" | "call", failure: CallFailure, conditions: Conditions): void {
    if (!isFailure(failure)) return;
    this.#self.countFailure(failure.code === 0 ? "timeout" : kind, failure);
    const { handle } = failure;
    const instance = handle === undefined ? undefined : this.#roster.record(handle).name;
    conditions.set(...failureCondition(this.#withoutSecrets(failure), instance));
  }

  #withoutSecrets(failure: CallFailure): CallFailure {
    return { ...failure, message: this.#options.hideSecrets(failure.message) };
  }

  /** Statistics that name a device which the definition lacks: it was attached a moment ago. */
  #expireUnknownDevices(snapshot: Snapshot): void {
    for (const group of ["block.N", "net.N"]) {
      for (const { domain, name } of snapshot.namedDevices(group)) {
        const record = snapshot.domains[domain];
        const description = record?.description;
        if (record === undefined || description === undefined) continue;
        const known = group === "block.N" ? description.disks : description.interfaces;
        if (!known.some(({ target }) => target === name)) this.#roster.expire(record.handle);
      }
    }
  }

  async #withoutLibvirt(
    failure: CallFailure,
    phaseSeconds: CollectionState["phaseSeconds"],
  ): Promise<Collection> {
    const kind = failure.call === "virConnectOpenReadOnly" ? "connection" : "survey";
    this.#self.countFailure(kind, failure);
    const reason = explainFailure(this.#withoutSecrets(failure));
    this.#conditions.report(
      new Map([["libvirt", {
        level: "error",
        message: "libvirt is not available",
        fields: { call: failure.call, code: failure.code, reason },
      }]]),
    );
    return await this.#without(reason, phaseSeconds);
  }

  /** What a page says whatever was collected. */
  #constants(): Pick<CollectionState, "timeoutSeconds" | "logLines"> {
    const { timeoutMilliseconds, logLines } = this.#options;
    return { timeoutSeconds: timeoutMilliseconds / 1000, logLines };
  }

  /** The page of a scrape whose time is over while the collection is not. */
  async #unanswered(timeout: number): Promise<Collection> {
    this.#self.countError("timeout");
    const reason = `The collection did not end within ${Math.round(timeout)} ms`;
    return await this.#without(reason, { survey: timeout / 1000 }, NO_PATIENCE);
  }

  async #without(
    reason: string,
    phaseSeconds: CollectionState["phaseSeconds"],
    statusPatience = STATUS_PATIENCE,
  ): Promise<Collection> {
    const collection = new Collection({
      isUp: false,
      reason,
      instances: undefined,
      unread: 0,
      measuredAt: undefined,
      snapshot: undefined,
      collectors: [],
      labelTexts: this.#labelTexts,
    });
    return collection.complete(
      await this.#self.families({
        isUp: false,
        instances: undefined,
        filtered: undefined,
        incomplete: NOTHING_INCOMPLETE,
        outcomes: [],
        phaseSeconds,
        ...this.#constants(),
        status: await this.#readStatus(statusPatience),
      }),
    );
  }

  /** The state of the connection; the last known one when it is not told in time. */
  async #readStatus(patience: number): Promise<HypervisorStatus | undefined> {
    this.#status = await withinTime(this.#options.hypervisor.status(), patience) ?? this.#status;
    return this.#status;
  }
}

/** Whether all that was asked was answered, so that more time would have brought nothing more. */
function isWhole({ parts: { snapshot } }: Collection): boolean {
  return snapshot?.domains.every((_, domain) => snapshot.isComplete(domain)) ?? false;
}

/** Stands for a choice of collectors. */
function keyOf(collectors: readonly Collector[]): string {
  return collectors.map(({ name }) => name).join(" ");
}

/** Milliseconds for the state of the connection, which is known without libvirt; only a defect keeps it longer. */
const STATUS_PATIENCE = 100;

/**
 * Milliseconds for it while a collection is under way, for questions are answered in turn: whoever asked for the page has
 * waited for it long enough.
 */
const NO_PATIENCE = 10;

/** What `promise` gives, or undefined when it takes longer. */
async function withinTime<T>(promise: Promise<T>, milliseconds: number): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), milliseconds);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

interface PhaseClock {
  /** Ends a phase that began at the end of the one before. */
  end(phase: Phase): void;
  seconds(): CollectionState["phaseSeconds"];
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
