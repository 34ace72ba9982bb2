import { graph, type Section } from "./panels.ts";

/** Queries about exporters of some kind. */
interface Queries {
  gauge(family: string): string;
  /** The rate of a counter of the exporter about itself. */
  rate(family: string): string;
  /** The ten greatest. */
  top(expression: string): string;
  /** The ten greatest, of families that targets of all kinds have. */
  ofExporters(expression: string): string;
}

function queriesOf(selector: string): Queries {
  const top = (expression: string): string => `topk(10, ${expression})`;
  return {
    gauge: (family) => `libvirt_nova_${family}{${selector}}`,
    rate: (family) => `rate(libvirt_nova_exporter_${family}{${selector}}[$__rate_interval])`,
    top,
    ofExporters: (expression) =>
      top(`${expression} and on (job, instance) libvirt_nova_exporter_build_info`),
  };
}

/**
 * Rows about the exporter itself.
 *
 * @param selector which exporters, as matchers of PromQL
 */
export function exporterSections(selector: string): readonly Section[] {
  const queries = queriesOf(selector);
  return [{
    title: "Health of the exporter",
    panels: [
      ...scrapePanels(selector, queries),
      ...libvirtPanels(queries),
      ...processPanels(selector, queries),
    ],
  }];
}

function scrapePanels(selector: string, { gauge, top, ofExporters }: Queries): Section["panels"] {
  return [
    graph({
      title: "Hosts that do not answer",
      description: "Exporters that Prometheus gets no page of, and pages that say that libvirt " +
        "answers nothing.",
      unit: "none",
      queries: [
        {
          expression: `sum(1 - (up{${selector}} and on (job, instance) ` +
            "last_over_time(libvirt_nova_exporter_build_info[1d])))",
          legend: "without exporter",
        },
        { expression: `sum(1 - ${gauge("up")})`, legend: "without libvirt" },
      ],
    }),
    graph({
      title: "Duration of scrapes",
      description:
        "As Prometheus sees it, and the exporter's own part; the ten slowest. It ends at " +
        "--libvirt.timeout (2 s unless told otherwise), and values are left out then.",
      unit: "s",
      limits: [1, 1.6],
      queries: [
        {
          expression: ofExporters(`scrape_duration_seconds{${selector}}`),
          legend: "{{instance}} as Prometheus sees it",
        },
        {
          expression: top(gauge("exporter_scrape_duration_seconds")),
          legend: "{{instance}} collection",
        },
      ],
    }),
    graph({
      title: "Phases of a scrape",
      description: "Average of the hosts: listing, reading definitions, values, writing.",
      unit: "s",
      stacked: true,
      queries: [{
        expression: `avg by (phase) (${gauge("exporter_scrape_phase_duration_seconds")})`,
        legend: "{{phase}}",
      }],
    }),
    graph({
      title: "Incomplete instances",
      description: "Instances of which values are missing, by the reason for it.",
      unit: "none",
      stacked: true,
      queries: [{
        expression: `sum by (reason) (${gauge("exporter_instances_incomplete")})`,
        legend: "{{reason}}",
      }],
    }),
  ];
}

function libvirtPanels({ gauge, rate, top }: Queries): Section["panels"] {
  return [
    graph({
      title: "Abandoned calls and quarantined instances",
      description: "Calls that libvirt never answered. With 5 of them (--libvirt.max-abandoned) " +
        "no instance is asked any more for what needs its monitor.",
      unit: "none",
      limits: [1, 5],
      queries: [
        {
          expression: top(gauge("exporter_abandoned_calls")),
          legend: "{{instance}} abandoned, need: {{need}}",
        },
        { expression: top(gauge("exporter_quarantined")), legend: "{{instance}} quarantined" },
      ],
    }),
    graph({
      title: "Errors",
      description: "Errors of the exporters by kind.",
      unit: "cps",
      queries: [{
        expression: `sum by (kind) (${rate("errors_total")})`,
        legend: "{{kind}}",
      }],
    }),
    graph({
      title: "Errors of libvirt's functions",
      description: "Failed calls by function and virErrorNumber; those that were not answered in " +
        "time are among the errors of kind timeout. Empty while there has been none.",
      unit: "cps",
      queries: [{
        expression: `sum by (call, code) (${rate("libvirt_errors_total")})`,
        legend: "{{call}} {{code}}",
      }],
    }),
    graph({
      title: "Time in libvirt's functions",
      description: "Seconds of calls in each second, by function.",
      unit: "none",
      stacked: true,
      queries: [{
        expression: `sum by (call) (${rate("libvirt_call_seconds_total")})`,
        legend: "{{call}}",
      }],
    }),
  ];
}

function processPanels(
  selector: string,
  { gauge, top, ofExporters }: Queries,
): Section["panels"] {
  return [
    graph({
      title: "Processor time of the exporter",
      description: "Share of one processor that the exporter takes; the ten greatest.",
      unit: "percentunit",
      queries: [{
        expression: ofExporters(
          `rate(process_cpu_seconds_total{${selector}}[$__rate_interval])`,
        ),
        legend: "{{instance}}",
      }],
    }),
    graph({
      title: "Memory of the exporter",
      description: "Resident memory of the exporter; the ten greatest.",
      unit: "bytes",
      queries: [{
        expression: ofExporters(`process_resident_memory_bytes{${selector}}`),
        legend: "{{instance}}",
      }],
    }),
    graph({
      title: "Age of the list of instances",
      description:
        "Time since libvirt last listed its instances; the ten oldest. While it grows, " +
        "pages go on with the list that there was. The alert is LibvirtNovaListOld.",
      unit: "s",
      limits: [60, 600],
      queries: [{
        expression: top(gauge("exporter_list_age_seconds")),
        legend: "{{instance}}",
      }],
    }),
  ];
}
