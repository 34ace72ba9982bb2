import { Counter, type MetricObjectWithValues, Registry } from "@prometheus-io/client";
import type { CallFailure, CallTime, HypervisorStatus } from "../libvirt/hypervisor.ts";
import type { BuildInfo } from "../version.ts";
import type { CollectorOutcome } from "./calls.ts";
import type { PlainFamily, PlainSample } from "./exposition.ts";
import type { FamilyType, Label } from "./family.ts";
import { processFamilies } from "./process.ts";

/** What an error was about; each kind is on the page from the start, with 0. */
export const ERROR_KINDS = [
  /** libvirt could not be reached. */
  "connection",
  /** libvirt did not list its domains. */
  "survey",
  /** libvirt did not give a domain's definition. */
  "definition",
  /** A domain's definition could not be understood. */
  "definition_content",
  /** libvirt refused to give a value. */
  "call",
  /** A call was not answered in time. */
  "timeout",
  /** A defect of the exporter. */
  "internal",
] as const;

/** See {@link ERROR_KINDS}. */
export type ErrorKind = typeof ERROR_KINDS[number];

/**
 * Why an instance's values are incomplete; see `Verdict` in hypervisor.ts. One that is `unread` is not on the page yet:
 * there was no time to read its definition.
 */
export const INCOMPLETE_REASONS = [
  "failed",
  "busy",
  "withheld",
  "quarantined",
  "late",
  "unread",
] as const;

/** See {@link INCOMPLETE_REASONS}. */
export type IncompleteReason = typeof INCOMPLETE_REASONS[number];

/** The steps of a scrape. */
export const PHASES = ["survey", "describe", "measure", "render"] as const;

/** See {@link PHASES}. */
export type Phase = typeof PHASES[number];

/** What a page says about the collection it shows. */
export interface CollectionState {
  readonly isUp: boolean;
  /** Active instances that are exported; undefined when libvirt gave no list. */
  readonly instances: number | undefined;
  /** Domains that filters leave out, likewise. */
  readonly filtered: number | undefined;
  readonly incomplete: Readonly<Record<IncompleteReason, number>>;
  /** What became of the calls of each collector. */
  readonly outcomes: readonly CollectorOutcome[];
  readonly phaseSeconds: Readonly<Partial<Record<Phase, number>>>;
  /** What a scrape may take in all. */
  readonly timeoutSeconds: number;
  readonly logLines: Readonly<Record<string, number>>;
  readonly status: HypervisorStatus | undefined;
}

/** The exporter's metrics about itself. Counters live here, everything else comes with each page. */
export class SelfMetrics {
  readonly #build: BuildInfo;
  readonly #registry = new Registry();
  readonly #errors = this.#counter("libvirt_nova_exporter_errors_total", "Errors by kind", [
    "kind",
  ]);
  readonly #libvirtErrors = this.#counter(
    "libvirt_nova_exporter_libvirt_errors_total",
    "Failed libvirt calls by function and virErrorNumber (0: none, as without an answer in time)",
    ["call", "code"],
  );
  readonly #calls = this.#counter(
    "libvirt_nova_exporter_libvirt_calls_total",
    "Calls of libvirt's functions for collections",
    ["call"],
  );
  readonly #callSeconds = this.#counter(
    "libvirt_nova_exporter_libvirt_call_seconds_total",
    "Time that calls of libvirt's functions took, or until they were given up",
    ["call"],
  );
  readonly #collections = this.#counter(
    "libvirt_nova_exporter_collections_total",
    "Collections made; scrapes at the same time share one",
  );
  readonly #cacheHits = this.#counter(
    "libvirt_nova_exporter_definition_cache_hits_total",
    "Instances whose definition did not have to be read",
  );
  readonly #cacheMisses = this.#counter(
    "libvirt_nova_exporter_definition_cache_misses_total",
    "Instances whose definition was read",
  );

  constructor(build: BuildInfo) {
    this.#build = build;
    for (const kind of ERROR_KINDS) this.#errors.inc({ kind }, 0);
  }

  /** Counts an error that is not a failed libvirt call. */
  countError(kind: ErrorKind, count = 1): void {
    this.#errors.inc({ kind }, count);
  }

  /** Counts failed libvirt calls. */
  countFailure(kind: ErrorKind, { call, code, count }: CallFailure): void {
    this.#errors.inc({ kind }, count);
    this.#libvirtErrors.inc({ call, code }, count);
  }

  /** Counts the calls of a collection. */
  countCalls(callTimes: readonly CallTime[]): void {
    for (const { call, count, seconds } of callTimes) {
      this.#calls.inc({ call }, count);
      this.#callSeconds.inc({ call }, seconds);
    }
  }

  /** Counts a collection. */
  countCollection(): void {
    this.#collections.inc();
  }

  /** Counts how often the cached definitions served. */
  countDefinitions(cached: number, read: number): void {
    this.#cacheHits.inc(cached);
    this.#cacheMisses.inc(read);
  }

  /** All families about the exporter, with those of its process. */
  async families(state: CollectionState): Promise<PlainFamily[]> {
    const counters = await this.#registry.getMetricsAsJSON() as unknown as CounterObject[];
    return [
      ...stateFamilies(state),
      gauge("libvirt_nova_exporter_build_info", "What is running; the value is always 1", [
        sample(1, Object.entries(this.#build)),
      ]),
      ...counters.map(counterFamily),
      ...processFamilies(),
    ];
  }

  #counter<T extends string>(name: string, help: string, labelNames: T[] = []): Counter<T> {
    return new Counter({ name, help, labelNames, registers: [this.#registry] });
  }
}

type CounterObject = MetricObjectWithValues<
  { value: number; labels: Record<string, string | number> }
>;

function counterFamily({ name, help, values }: CounterObject): PlainFamily {
  const samples = values.map(({ value, labels }) =>
    sample(value, Object.entries(labels).map(([label, text]) => [label, String(text)]))
  );
  return named(name, "counter", help, samples);
}

function stateFamilies(state: CollectionState): PlainFamily[] {
  const { status, phaseSeconds } = state;
  const seconds = PHASES.map((phase) => phaseSeconds[phase] ?? 0);
  const phases = PHASES.flatMap((phase) => {
    const value = phaseSeconds[phase];
    return value === undefined ? [] : [sample(value, [["phase", phase]])];
  });
  const reasons = INCOMPLETE_REASONS.map((reason) =>
    sample(state.incomplete[reason], [["reason", reason]])
  );
  return [
    gauge("libvirt_nova_up", "Whether libvirt listed its instances", [sample(state.isUp ? 1 : 0)]),
    gauge(
      "libvirt_nova_exporter_instances",
      "Active instances that libvirt listed and that are exported",
      known(state.instances),
    ),
    gauge(
      "libvirt_nova_exporter_instances_filtered",
      "Instances that libvirt listed and that filters leave out",
      known(state.filtered),
    ),
    gauge(
      "libvirt_nova_exporter_instances_incomplete",
      "Instances whose values are incomplete, by reason",
      state.isUp ? reasons : [],
    ),
    gauge(
      "libvirt_nova_exporter_scrape_timeout_seconds",
      "Time that a scrape may take in all, as configured",
      [sample(state.timeoutSeconds)],
    ),
    named(
      "libvirt_nova_exporter_log_lines_total",
      "counter",
      "Lines of the log by level",
      Object.entries(state.logLines).map(([level, lines]) => sample(lines, [["level", level]])),
    ),
    gauge("libvirt_nova_exporter_scrape_duration_seconds", "Duration of this collection", [
      sample(seconds.reduce((sum, one) => sum + one, 0)),
    ]),
    gauge(
      "libvirt_nova_exporter_scrape_phase_duration_seconds",
      "Duration of this collection's phases",
      phases,
    ),
    gauge(
      "libvirt_nova_exporter_collector_success",
      "Whether libvirt refused none of the calls that the collector needs",
      state.outcomes.map(({ name, success }) => sample(success ? 1 : 0, [["collector", name]])),
    ),
    gauge(
      "libvirt_nova_exporter_collector_duration_seconds",
      "Time of the calls that the collector needs; what several need counts for each of them",
      state.outcomes.map(({ name, seconds }) => sample(seconds, [["collector", name]])),
    ),
    ...(status === undefined ? [] : statusFamilies(status)),
  ];
}

function known(value: number | undefined): readonly Unnamed[] {
  return value === undefined ? [] : [sample(value)];
}

function statusFamilies(status: HypervisorStatus): PlainFamily[] {
  const counter = (name: string, help: string, value: number): PlainFamily =>
    named(`libvirt_nova_exporter_${name}`, "counter", help, [sample(value)]);
  return [
    counter(
      "connection_attempts_total",
      "Attempts to connect to libvirt",
      status.connectionAttempts,
    ),
    counter("connections_opened_total", "Connections opened", status.connectionsOpened),
    counter("connections_failed_total", "Attempts that libvirt refused", status.connectionsFailed),
    counter("connections_lost_total", "Connections lost or given up", status.connectionsLost),
    gauge(
      "libvirt_nova_exporter_abandoned_calls",
      "Calls that libvirt has not answered in time and not yet answered since; those that need a " +
        "monitor hold a worker of libvirt's daemon",
      [
        sample(status.abandonedMonitorCalls, [["need", "monitor"]]),
        sample(status.abandonedOtherCalls, [["need", "none"]]),
      ],
    ),
    gauge(
      "libvirt_nova_exporter_quarantined",
      "Instances (and connections) not asked until their last call returns",
      [sample(status.quarantined)],
    ),
  ];
}

/** A sample before it is given the name of its family. */
type Unnamed = Omit<PlainSample, "name">;

function sample(value: number, labels: readonly Label[] = []): Unnamed {
  return { value, labels };
}

function gauge(name: string, help: string, samples: readonly Unnamed[]): PlainFamily {
  return named(name, "gauge", help, samples);
}

function named(
  name: string,
  type: FamilyType,
  help: string,
  samples: readonly Unnamed[],
): PlainFamily {
  return { name, type, help, samples: samples.map((one) => ({ name, ...one })) };
}
