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
import { type DomainRecord, isActive, type Snapshot, takeSnapshot } from "./libvirt/snapshot.ts";
import { collectorOutcomes } from "./metrics/calls.ts";
import { type ExpositionFormat, LabelTexts } from "./metrics/exposition.ts";
import type { Collector, IdentityOptions } from "./metrics/family.ts";
import { isSwitched, neededQuestions } from "./metrics/mod.ts";
import {
  type BuildInformation,
  type CollectionState,
  type Phase,
  SelfMetrics,
} from "./metrics/self.ts";
import { Turns } from "./turns.ts";

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
 * Choices of collectors, besides the usual one, for which there may be collections at the same time or within
 * `--scrape.min-interval`. There are as many choices as there are subsets, so without a bound one client could keep libvirt
 * at work and every other scrape waiting.
 */
const MAXIMUM_CHOICES = 8;

/**
 * Time that a collection has at least, in milliseconds, where the configured time is not less: whoever asks says how long it
 * waits, but others share the answer, and a survey that libvirt cannot answer in time costs the connection.
 */
const MINIMUM_COLLECTION_MILLISECONDS = 500;

/** Share of the configured time below which a scrape counts as hurried. */
const HURRIED_SHARE = 0.5;

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
  readonly build: BuildInformation;
  readonly log: LogWriter;
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

/** What a collection found, in short. */
export interface ScrapeSummary {
  /** Whether libvirt listed its domains; undefined before the first collection. */
  readonly isUp: boolean | undefined;
  /** Why not. */
  readonly reason: string | undefined;
  /** Active instances that are exported. */
  readonly instances: number | undefined;
  /** Instances that are not on the page yet. */
  readonly unread: number;
  /** When it ended. */
  readonly collectedAt: Date | undefined;
  /** What is the matter, a line of text each; may hold names that come from outside. */
  readonly problems: readonly string[];
}

const NOTHING_COLLECTED: ScrapeSummary = {
  isUp: undefined,
  reason: undefined,
  instances: undefined,
  unread: 0,
  collectedAt: undefined,
  problems: [],
};

/** A collection, made or under way, with whether it had less time than one that nobody hurried. */
interface Shared<Result> {
  readonly collection: Result;
  readonly isHurried: boolean;
}

/**
 * Makes scrapes. The only part of the exporter that talks to libvirt. Scrapes at the same time share one collection,
 * and each answers in time whatever libvirt does. Collections for different collectors take turns.
 */
export class Scraper {
  readonly #options: ScraperOptions;
  readonly #self: SelfMetrics;
  readonly #conditions: ConditionLog;
  readonly #roster: Roster;
  readonly #labelTexts: LabelTexts;
  #dictionary = new Dictionary();
  /** By choice of collectors: the collection that is under way, or waits for its turn. */
  readonly #running = new Map<string, Shared<Promise<Collection>>>();
  readonly #latest = new Map<string, Shared<Collection>>();
  readonly #turns = new Turns();
  readonly #usualKey: string;
  #summary: ScrapeSummary = NOTHING_COLLECTED;

  constructor(options: ScraperOptions) {
    this.#options = options;
    this.#self = new SelfMetrics(options.build);
    this.#conditions = new ConditionLog(options.log);
    this.#roster = new Roster(MAXIMUM_DEFINITION_AGE_MILLISECONDS, options.startSecondsOf);
    this.#labelTexts = new LabelTexts(options.identity);
    this.#usualKey = keyOf(options.collectors);
  }

  /**
   * Whether a scrape for these collectors may be made now: always for the usual ones, and for others unless there are too
   * many other choices already.
   */
  hasRoomFor(collectors: readonly Collector[]): boolean {
    const key = keyOf(collectors);
    if (key === this.#usualKey) return true;
    const kept = [...this.#latest].filter(([, { collection }]) => this.#isFresh(collection));
    const choices = new Set([...this.#running.keys(), ...kept.map(([choice]) => choice)]);
    choices.delete(this.#usualKey);
    return choices.has(key) || choices.size < MAXIMUM_CHOICES;
  }

  /**
   * A collection, at the latest after the configured time, or after that of the request when it is shorter. Never throws:
   * without libvirt the page says so.
   */
  async scrape(request: ScrapeRequest = {}): Promise<Collection> {
    const { collectors = this.#options.collectors, format = "text" } = request;
    const timeout = Math.min(
      this.#options.timeoutMilliseconds,
      request.timeoutMilliseconds ?? Infinity,
    );
    const key = keyOf(collectors);
    const isHurried = timeout < this.#options.timeoutMilliseconds * HURRIED_SHARE;
    const recent = this.#recent(key, isHurried);
    if (recent !== undefined) return recent;
    const running = this.#running.get(key);
    // Who has time must not get what somebody without any has left of a page.
    const collection = running !== undefined && (isHurried || !running.isHurried)
      ? running.collection
      : this.#begin(key, isHurried, collectors, format, timeout);
    return await withinTime(collection, timeout) ?? await this.#unanswered(timeout);
  }

  /** What the last collection found, without asking libvirt. */
  get summary(): ScrapeSummary {
    // Without libvirt the reason is all that is known.
    const conditions = this.#summary.isUp === true ? this.#conditions.current : [];
    return { ...this.#summary, problems: conditions.map(conditionText) };
  }

  #recent(key: string, isHurried: boolean): Collection | undefined {
    const latest = this.#latest.get(key);
    if (latest === undefined || (latest.isHurried && !isHurried)) return undefined;
    const { collection } = latest;
    return collection.parts.unread === 0 && this.#isFresh(collection) ? collection : undefined;
  }

  #isFresh({ ageMilliseconds }: Collection): boolean {
    return ageMilliseconds < this.#options.minimumIntervalMilliseconds;
  }

  #begin(
    key: string,
    isHurried: boolean,
    collectors: readonly Collector[],
    format: ExpositionFormat,
    timeout: number,
  ): Promise<Collection> {
    const collection = this.#start(collectors, format, timeout).then((made) => {
      if (made.wasMade) this.#keep(key, { collection: made.collection, isHurried });
      return made.collection;
    }).finally(() => {
      if (this.#running.get(key) === shared) this.#running.delete(key);
    });
    const shared = { collection, isHurried };
    this.#running.set(key, shared);
    return collection;
  }

  async #start(
    collectors: readonly Collector[],
    format: ExpositionFormat,
    timeout: number,
  ): Promise<{ readonly collection: Collection; readonly wasMade: boolean }> {
    const until = performance.now() + timeout;
    await this.#turns.take(keyOf(collectors) === this.#usualKey);
    try {
      const rest = until - performance.now();
      // Whoever asked has been answered already.
      if (rest <= 0) return { collection: await this.#unanswered(timeout), wasMade: false };
      this.#self.countCollection();
      const least = Math.min(MINIMUM_COLLECTION_MILLISECONDS, this.#options.timeoutMilliseconds);
      const collection = await this.#collect(collectors, format, Math.max(rest, least));
      const { isUp, reason, instances, unread } = collection.parts;
      this.#summary = { isUp, reason, instances, unread, collectedAt: new Date(), problems: [] };
      this.#options.onCollection(collection);
      return { collection, wasMade: true };
    } catch (error) {
      // A defect must cost no more than this one page.
      this.#self.countError("internal");
      const reason = `Internal error: ${error instanceof Error ? error.message : String(error)}`;
      this.#conditions.report(new Map([["internal", { level: "error", message: reason }]]));
      return { collection: await this.#without(reason, {}), wasMade: false };
    } finally {
      this.#turns.end();
    }
  }

  /** A collection that no later scrape may share would only take memory. */
  #keep(key: string, made: Shared<Collection>): void {
    if (this.#options.minimumIntervalMilliseconds === 0) return;
    this.#latest.delete(key);
    this.#latest.set(key, made);
    for (const oldest of this.#latest.keys()) {
      // One for each choice, and one for the usual collectors.
      if (this.#latest.size <= MAXIMUM_CHOICES + 1) return;
      this.#latest.delete(oldest);
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
    const { conditions, ended } = await this.#describe(question, named, describeUntil);
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
    this.#conditions.report(new Map([...conditions, ...verdictConditions(records, measurement)]));
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
    const status = await hypervisor.status();
    clock.end("render");
    return collection.complete(
      await this.#self.families({
        isUp: true,
        instances,
        filtered: listed.length - ended.size - records.length - unread.length,
        incomplete,
        outcomes: collectorOutcomes(
          collectors.filter(isSwitched),
          failures.filter(isFailure),
          callTimes,
        ),
        phaseSeconds: clock.seconds(),
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
   * @returns what is the matter, and the domains that have ended since they were listed
   */
  async #describe(
    question: (callShare: number) => Question,
    handles: readonly number[],
    until: number,
  ): Promise<{ readonly conditions: Conditions; readonly ended: ReadonlySet<number> }> {
    const conditions: Conditions = new Map();
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
          this.#noteFailure("definition", failure, conditions);
        }
      }
    }
    this.#self.countDefinitions(handles.length - stale.length, read);
    const problems = definitionConditions(this.#roster.problems());
    return { conditions: new Map([...conditions, ...problems]), ended };
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

  /** The page of a scrape whose time is over while the collection is not. */
  async #unanswered(timeout: number): Promise<Collection> {
    this.#self.countError("timeout");
    const reason = `The collection did not end within ${Math.round(timeout)} ms`;
    return await this.#without(reason, { survey: timeout / 1000 });
  }

  async #without(
    reason: string,
    phaseSeconds: CollectionState["phaseSeconds"],
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
        status: await withinTime<HypervisorStatus>(
          this.#options.hypervisor.status(),
          STATUS_PATIENCE,
        ),
      }),
    );
  }
}

/** What tells choices of collectors apart. */
function keyOf(collectors: readonly Collector[]): string {
  return collectors.map(({ name }) => name).join(" ");
}

/** The state of the connection is known without libvirt; only a defect keeps it longer. */
const STATUS_PATIENCE = 100;

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
