import { Buffer } from "node:buffer";
import { performance } from "node:perf_hooks";
import { type Condition, ConditionLog, type LogWriter } from "./conditions.ts";
import { Dictionary } from "./libvirt/dictionary.ts";
import { DomainXmlError, parseDomainXml } from "./libvirt/domain_xml.ts";
import { explainFailure } from "./libvirt/explain.ts";
import {
  type CallFailure,
  type Hypervisor,
  type HypervisorStatus,
  type Measurement,
  type Question,
  Verdict,
} from "./libvirt/hypervisor.ts";
import { Roster } from "./libvirt/roster.ts";
import { type DomainRecord, type Snapshot, takeSnapshot } from "./libvirt/snapshot.ts";
import { type LabelTexts, renderFamilies, renderPlainFamilies } from "./metrics/exposition.ts";
import type { Collector } from "./metrics/family.ts";
import {
  type BuildInformation,
  type CollectionState,
  type IncompleteReason,
  type Phase,
  SelfMetrics,
} from "./metrics/self.ts";

/** A definition is read again after this long at the latest, in case an event was missed. */
const MAXIMUM_DEFINITION_AGE_MILLISECONDS = 5 * 60_000;

/** Definitions read at a time: enough to keep the workers busy, few enough to stop in time. */
const DEFINITION_BATCH = 64;

/** Shares of a scrape's time: until when libvirt is asked, and for one call. */
const LIBVIRT_SHARE = 0.9;
const CALL_SHARE = 0.5;

/** Share of the time that is left after the survey, which may have waited long for libvirt, to read definitions. */
const DEFINITIONS_SHARE = 0.5;

/** `virErrorNumber` of a domain that no longer exists. Source: virterror.h. */
const NO_DOMAIN = 42;

/** How scrapes are made. */
export interface ScraperOptions {
  readonly hypervisor: Hypervisor;
  readonly collectors: readonly Collector[];
  /** How long a scrape may take. */
  readonly timeoutMilliseconds: number;
  /** Scrapes within this time of a collection's end share it. */
  readonly minimumIntervalMilliseconds: number;
  readonly build: BuildInformation;
  readonly log: LogWriter;
}

/** What one scrape gives. */
export interface ScrapeResult {
  /** Whether libvirt listed its domains. */
  readonly isUp: boolean;
  /** Why not. */
  readonly reason: string | undefined;
  /** Instances that libvirt listed; `undefined` without libvirt. */
  readonly instances: number | undefined;
  /** Instances that are not on the page yet, because there was no time to read their definitions. */
  readonly unread: number;
  /** The page in text format 0.0.4, in UTF-8. */
  readonly page: readonly Uint8Array[];
}

/** A page, and when its values were collected. */
interface Collection extends ScrapeResult {
  /** Milliseconds of a steady clock. */
  readonly collectedAt: number;
}

/**
 * Makes scrapes. The only part of the exporter that talks to libvirt. Scrapes at the same time share one collection,
 * and each answers in time whatever libvirt does.
 */
export class Scraper {
  readonly #options: ScraperOptions;
  readonly #groups: number;
  readonly #self: SelfMetrics;
  readonly #conditions: ConditionLog;
  readonly #dictionary = new Dictionary();
  readonly #roster = new Roster(MAXIMUM_DEFINITION_AGE_MILLISECONDS);
  readonly #labelTexts: LabelTexts = new WeakMap();
  #running: Promise<Collection> | undefined;
  #latest: Collection | undefined;

  constructor(options: ScraperOptions) {
    this.#options = options;
    this.#groups = options.collectors.reduce((groups, collector) => groups | collector.groups, 0);
    this.#self = new SelfMetrics(options.build);
    this.#conditions = new ConditionLog(options.log);
  }

  /**
   * A page, at the latest after the configured time, or after `timeoutMilliseconds` when that is shorter. Never throws:
   * without libvirt the page says so.
   */
  async scrape(timeoutMilliseconds = Infinity): Promise<ScrapeResult> {
    const timeout = Math.min(this.#options.timeoutMilliseconds, timeoutMilliseconds);
    const recent = this.#recent();
    if (recent !== undefined) return withAge(recent);
    this.#running ??= this.#start(timeout);
    const collection = await withinTime(this.#running, timeout);
    return withAge(collection ?? await this.#unanswered(timeout));
  }

  #recent(): Collection | undefined {
    const latest = this.#latest;
    if (latest === undefined || latest.unread > 0) return undefined;
    const age = performance.now() - latest.collectedAt;
    return age < this.#options.minimumIntervalMilliseconds ? latest : undefined;
  }

  async #start(timeout: number): Promise<Collection> {
    try {
      this.#self.countCollection();
      const collection = await this.#collect(timeout);
      // A page that no later scrape may share would only take memory.
      if (this.#options.minimumIntervalMilliseconds > 0) this.#latest = collection;
      return collection;
    } catch (error) {
      // A defect must cost no more than this one page.
      this.#self.countError("internal");
      const reason = `Internal error: ${error instanceof Error ? error.message : String(error)}`;
      this.#report(new Map([["internal", { level: "error", message: reason }]]));
      return await this.#pageWithout(reason, {});
    } finally {
      this.#running = undefined;
    }
  }

  async #collect(timeout: number): Promise<Collection> {
    const clock = phaseClock();
    const deadline = performance.now() + timeout * LIBVIRT_SHARE;
    const question = (callShare: number): Question => ({
      timeoutMilliseconds: Math.max(0, deadline - performance.now()),
      callTimeoutMilliseconds: timeout * callShare,
      groups: this.#groups,
    });
    const { hypervisor } = this.#options;
    const survey = await hypervisor.survey(question(1));
    clock.end("survey");
    if (survey.failure !== undefined) {
      return await this.#withoutLibvirt(survey.failure, clock.seconds());
    }
    this.#roster.enrol(survey);
    const conditions = new Map<string, Condition>();
    const surveyedAt = performance.now();
    const describeUntil = surveyedAt + (deadline - surveyedAt) * DEFINITIONS_SHARE;
    await this.#describe(question, describeUntil, conditions);
    clock.end("describe");
    const measurement = await hypervisor.measure(question(CALL_SHARE));
    clock.end("measure");
    this.#dictionary.add(measurement.dictionaryBase, measurement.dictionaryStrings);
    const records = this.#roster.records(survey.handles);
    const snapshot = takeSnapshot(records, measurement, this.#dictionary);
    this.#expireUnknownDevices(snapshot);
    const incomplete = countIncomplete(records, measurement);
    this.#judge(records, measurement, incomplete, conditions);
    this.#report(conditions);
    const families = this.#options.collectors.flatMap((collector) => collector.families);
    const page = Array.from(renderFamilies(families, snapshot, this.#labelTexts), encode);
    const status = await hypervisor.status();
    clock.end("render");
    return await this.#page(page, undefined, {
      isUp: true,
      instances: snapshot.domains.length + incomplete.unread,
      incomplete,
      phaseSeconds: clock.seconds(),
      status,
    });
  }

  /** Reads the definitions that are missing or old, as many as there is time for. */
  async #describe(
    question: (callShare: number) => Question,
    until: number,
    conditions: Map<string, Condition>,
  ): Promise<void> {
    const stale = this.#roster.stale(performance.now());
    let read = 0;
    while (read < stale.length && performance.now() < until) {
      const batch = Uint32Array.from(stale.slice(read, read + DEFINITION_BATCH));
      read += batch.length;
      const descriptions = await this.#options.hypervisor.describe(question(CALL_SHARE), batch);
      for (const { handle, xml, failure } of descriptions) {
        if (xml !== undefined) this.#understand(handle, xml);
        else if (failure !== undefined) {
          this.#roster.refuse(handle);
          this.#noteFailure("definition", failure, conditions);
        }
      }
    }
    this.#self.countDefinitions(this.#roster.size - stale.length, read);
    for (const { record, problem } of this.#roster.problems()) {
      conditions.set(`definition ${record.handle}`, {
        level: "warn",
        message: "Cannot understand the definition of an instance",
        fields: { instance: record.name, uuid: record.uuid, reason: problem },
      });
    }
  }

  #understand(handle: number, xml: string): void {
    const now = performance.now();
    try {
      const description = parseDomainXml(xml);
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

  #noteFailure(
    kind: "definition" | "call",
    failure: CallFailure,
    conditions: Map<string, Condition>,
  ): void {
    // A domain that ended since it was listed is no failure.
    if (failure.code === NO_DOMAIN) return;
    this.#self.countFailure(failure.code === 0 ? "timeout" : kind, failure);
    const { call, code, count } = failure;
    const instance = failure.handle === undefined
      ? undefined
      : this.#roster.record(failure.handle)?.name;
    conditions.set(`call ${call} ${code}`, {
      level: "warn",
      message: "A libvirt call fails",
      fields: { call, code, count, instance, reason: explainFailure(failure) },
    });
  }

  /** Statistics that name a device which the definition lacks: it was attached a moment ago. */
  #expireUnknownDevices(snapshot: Snapshot): void {
    for (const group of ["block", "net"]) {
      for (const { domain, target } of snapshot.devices(group)) {
        const record = snapshot.domains[domain];
        const description = record?.description;
        if (record === undefined || description === undefined) continue;
        const known = group === "block" ? description.disks : description.interfaces;
        if (!known.some((device) => device.target === target)) this.#roster.expire(record.handle);
      }
    }
  }

  /** Turns what went wrong into counts and conditions. */
  #judge(
    records: readonly DomainRecord[],
    { verdicts, failures }: Measurement,
    incomplete: CollectionState["incomplete"],
    conditions: Map<string, Condition>,
  ): void {
    for (const failure of failures) this.#noteFailure("call", failure, conditions);
    if (incomplete.late > 0) this.#self.countError("timeout", incomplete.late);
    records.forEach(({ handle, name, uuid }, position) => {
      const verdict = verdicts[position];
      if (verdict !== Verdict.late && verdict !== Verdict.quarantined) return;
      conditions.set(`unanswered ${handle}`, {
        level: "warn",
        message: "An instance does not answer libvirt",
        fields: { instance: name, uuid },
      });
    });
    if (incomplete.withheld > 0) {
      conditions.set("withheld", {
        level: "warn",
        message:
          "Not asking instances for what needs their monitor: too many calls are unanswered " +
          "(see --libvirt.max-abandoned) or the time is too short (see --libvirt.timeout)",
        fields: { instances: incomplete.withheld },
      });
    }
  }

  async #withoutLibvirt(
    failure: CallFailure,
    phaseSeconds: CollectionState["phaseSeconds"],
  ): Promise<Collection> {
    const kind = failure.call === "virConnectOpenReadOnly" ? "connection" : "survey";
    this.#self.countFailure(kind, failure);
    const reason = explainFailure(failure);
    this.#report(
      new Map([["libvirt", {
        level: "error",
        message: "libvirt is not available",
        fields: { call: failure.call, code: failure.code, reason },
      }]]),
    );
    return await this.#pageWithout(reason, phaseSeconds);
  }

  /** The page of a scrape whose time is over while the collection is not. */
  async #unanswered(timeout: number): Promise<Collection> {
    this.#self.countError("timeout");
    const reason = `The collection did not end within ${timeout} ms`;
    return await this.#pageWithout(reason, { survey: timeout / 1000 });
  }

  async #pageWithout(
    reason: string,
    phaseSeconds: CollectionState["phaseSeconds"],
  ): Promise<Collection> {
    const state: CollectionState = {
      isUp: false,
      instances: undefined,
      incomplete: NOTHING_INCOMPLETE,
      phaseSeconds,
      status: await withinTime<HypervisorStatus>(
        this.#options.hypervisor.status(),
        STATUS_PATIENCE,
      ),
    };
    return await this.#page([], reason, state);
  }

  async #page(
    instances: readonly Uint8Array[],
    reason: string | undefined,
    state: CollectionState,
  ): Promise<Collection> {
    const self = renderPlainFamilies(await this.#self.families(state));
    return {
      isUp: state.isUp,
      instances: state.instances,
      reason,
      unread: state.incomplete.unread,
      page: [...instances, encode(self)],
      collectedAt: performance.now(),
    };
  }

  #report(conditions: ReadonlyMap<string, Condition>): void {
    this.#conditions.report(conditions);
  }
}

/** The state of the connection is known without libvirt; only a defect keeps it longer. */
const STATUS_PATIENCE = 100;

const NOTHING_INCOMPLETE: CollectionState["incomplete"] = {
  failed: 0,
  busy: 0,
  withheld: 0,
  quarantined: 0,
  late: 0,
  unread: 0,
};

const REASONS: Readonly<Partial<Record<number, IncompleteReason>>> = {
  [Verdict.failed]: "failed",
  [Verdict.busy]: "busy",
  [Verdict.withheld]: "withheld",
  [Verdict.quarantined]: "quarantined",
  [Verdict.late]: "late",
};

function countIncomplete(
  records: readonly DomainRecord[],
  { verdicts }: Measurement,
): CollectionState["incomplete"] {
  const counts: Record<IncompleteReason, number> = { ...NOTHING_INCOMPLETE };
  records.forEach(({ definition }, position) => {
    const verdict = verdicts[position] ?? Verdict.gone;
    const reason = verdict !== Verdict.gone && definition === "unread"
      ? "unread"
      : REASONS[verdict];
    if (reason !== undefined) counts[reason]++;
  });
  return counts;
}

function withAge({ page, collectedAt, ...result }: Collection): ScrapeResult {
  const name = "libvirt_nova_exporter_collection_age_seconds";
  const age = renderPlainFamilies([{
    name,
    type: "gauge",
    help: "Age of the values on this page; above 0 where scrapes share a collection",
    samples: [{ name, labels: [], value: (performance.now() - collectedAt) / 1000 }],
  }]);
  return { ...result, page: [...page, encode(age)] };
}

function encode(text: string): Uint8Array {
  return Buffer.from(text, "utf8");
}

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
      seconds[phase] = (now - last) / 1000;
      last = now;
    },
    seconds: () => ({ ...seconds }),
  };
}
