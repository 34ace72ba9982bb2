import { Counter, type MetricObjectWithValues, Registry } from "@prometheus-io/client";
import type { CallFailure, CallTime, HypervisorStatus } from "../libvirt/hypervisor.ts";
import type { BuildInfo } from "../version.ts";
import type { PlainFamily, PlainSample } from "./exposition.ts";
import type { FamilyType, Label } from "./family.ts";
import { type Findings, INCOMPLETE_REASONS } from "./findings.ts";
import { fileDescriptorLimit, processFamilies } from "./process.ts";

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

/** One of {@link ERROR_KINDS}. */
export type ErrorKind = typeof ERROR_KINDS[number];

/** Why an instance has ended, as libvirt's event says it; each reason is on the page from the start, with 0. */
export const END_REASONS = [
  "shutdown",
  "destroyed",
  "crashed",
  "migrated",
  "saved",
  "failed",
  "from_snapshot",
  "unknown",
] as const;

/** One of {@link END_REASONS}. */
export type EndReason = typeof END_REASONS[number];

/** The steps of a scrape. */
export const PHASES = ["survey", "describe", "measure", "render"] as const;

/** One of {@link PHASES}. */
export type Phase = typeof PHASES[number];

/** How long the steps of a collection took; one that was not reached is missing. */
export type PhaseSeconds = Readonly<Partial<Record<Phase, number>>>;

/** What the exporter says about itself whatever was collected. */
export interface SelfMetricsOptions {
  readonly build: BuildInfo;
  /** What a scrape may take in all. */
  readonly timeoutSeconds: number;
  /** How many lines of each level the log has had so far. */
  readonly logLines: Readonly<Record<string, number>>;
}

/** The exporter's metrics about itself. Counters live here, everything else comes with each page. */
export class SelfMetrics {
  readonly #options: SelfMetricsOptions;
  readonly #maximumFileDescriptors = fileDescriptorLimit();
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

  constructor(options: SelfMetricsOptions) {
    this.#options = options;
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
  async families(findings: Findings, phaseSeconds: PhaseSeconds): Promise<PlainFamily[]> {
    const counters = await this.#registry.getMetricsAsJSON() as unknown as CounterObject[];
    return [
      ...collectionFamilies(findings, phaseSeconds, this.#options),
      gauge("libvirt_nova_exporter_build_info", "What is running; the value is always 1", [
        sample(1, Object.entries(this.#options.build)),
      ]),
      ...counters.map(counterFamily),
      ...processFamilies(this.#maximumFileDescriptors),
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
  return family(name, "counter", help, samples);
}

function collectionFamilies(
  findings: Findings,
  phaseSeconds: PhaseSeconds,
  { timeoutSeconds, logLines }: SelfMetricsOptions,
): PlainFamily[] {
  const { status } = findings;
  return [
    ...instanceFamilies(findings),
    gauge(
      "libvirt_nova_exporter_scrape_timeout_seconds",
      "Time that a scrape may take in all, as configured",
      [sample(timeoutSeconds)],
    ),
    family(
      "libvirt_nova_exporter_log_lines_total",
      "counter",
      "Lines of the log by level",
      Object.entries(logLines).map(([level, lines]) => sample(lines, [["level", level]])),
    ),
    ...durationFamilies(findings, phaseSeconds),
    ...(status === undefined ? [] : statusFamilies(status)),
  ];
}

function instanceFamilies(findings: Findings): PlainFamily[] {
  const { isUp, instances, filtered, listAgeSeconds, incomplete } = findings;
  const reasons = INCOMPLETE_REASONS.map((reason) =>
    sample(incomplete[reason], [["reason", reason]])
  );
  return [
    gauge(
      "libvirt_nova_up",
      "Whether libvirt answered anything of this scrape and has listed its domains since the start",
      [sample(isUp ? 1 : 0)],
    ),
    gauge(
      "libvirt_nova_exporter_list_age_seconds",
      "Age of libvirt's list of domains that this page stands on; events have kept it up since",
      known(listAgeSeconds),
    ),
    gauge(
      "libvirt_nova_exporter_instances",
      "Active instances that libvirt listed and that are exported",
      known(instances),
    ),
    gauge(
      "libvirt_nova_exporter_instances_filtered",
      "Instances that libvirt listed and that filters leave out",
      known(filtered),
    ),
    gauge(
      "libvirt_nova_exporter_instances_incomplete",
      "Instances whose values are incomplete, by reason",
      isUp ? reasons : [],
    ),
  ];
}

function durationFamilies({ outcomes }: Findings, phaseSeconds: PhaseSeconds): PlainFamily[] {
  const reached = PHASES.flatMap((phase) => {
    const seconds = phaseSeconds[phase];
    return seconds === undefined ? [] : [sample(seconds, [["phase", phase]])];
  });
  return [
    gauge("libvirt_nova_exporter_scrape_duration_seconds", "Duration of this collection", [
      sample(reached.reduce((sum, { value }) => sum + value, 0)),
    ]),
    gauge(
      "libvirt_nova_exporter_scrape_phase_duration_seconds",
      "Duration of this collection's phases",
      reached,
    ),
    gauge(
      "libvirt_nova_exporter_collector_success",
      "Whether libvirt refused none of the calls that the collector needs",
      outcomes.map(({ name, success }) => sample(success ? 1 : 0, [["collector", name]])),
    ),
    gauge(
      "libvirt_nova_exporter_collector_duration_seconds",
      "Time of the calls that the collector needs; what several need counts for each of them",
      outcomes.map(({ name, seconds }) => sample(seconds, [["collector", name]])),
    ),
  ];
}

function known(value: number | undefined): readonly SampleWithoutName[] {
  return value === undefined ? [] : [sample(value)];
}

function statusFamilies(status: HypervisorStatus): PlainFamily[] {
  return [
    counter(
      "libvirt_nova_exporter_connection_attempts_total",
      "Attempts to connect to libvirt",
      status.connectionAttempts,
    ),
    counter(
      "libvirt_nova_exporter_connections_opened_total",
      "Connections opened",
      status.connectionsOpened,
    ),
    counter(
      "libvirt_nova_exporter_connections_failed_total",
      "Attempts that libvirt refused",
      status.connectionsFailed,
    ),
    counter(
      "libvirt_nova_exporter_connections_lost_total",
      "Connections lost or given up",
      status.connectionsLost,
    ),
    gauge(
      "libvirt_nova_exporter_abandoned_calls",
      "Calls that libvirt has not answered in time and not yet answered since, or that were lost " +
        "with their connection; each may hold a worker of libvirt's daemon",
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
    family(
      "libvirt_nova_exporter_instances_ended_total",
      "counter",
      "Instances of this host, those that filters leave out among them, that libvirt's events say have ended, by reason",
      endedSamples(status),
    ),
  ];
}

function endedSamples({ endedInstances }: HypervisorStatus): readonly SampleWithoutName[] {
  if (endedInstances === undefined) return [];
  return END_REASONS.map((reason) => sample(endedInstances[reason] ?? 0, [["reason", reason]]));
}

/** A sample before it is given the name of its family. */
type SampleWithoutName = Omit<PlainSample, "name">;

function sample(value: number, labels: readonly Label[] = []): SampleWithoutName {
  return { value, labels };
}

function counter(name: string, help: string, value: number): PlainFamily {
  return family(name, "counter", help, [sample(value)]);
}

function gauge(name: string, help: string, samples: readonly SampleWithoutName[]): PlainFamily {
  return family(name, "gauge", help, samples);
}

function family(
  name: string,
  type: FamilyType,
  help: string,
  samples: readonly SampleWithoutName[],
): PlainFamily {
  return { name, type, help, samples: samples.map((one) => ({ name, ...one })) };
}
