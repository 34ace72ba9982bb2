import { graph, type Section } from "./panels.ts";

/**
 * Rows about the exporter itself.
 *
 * @param selector which exporters, as matchers of PromQL
 */
export function exporterSections(selector: string): readonly Section[] {
  const gauge = (family: string): string => `libvirt_nova_${family}{${selector}}`;
  const rate = (family: string): string =>
    `rate(libvirt_nova_exporter_${family}{${selector}}[$__rate_interval])`;
  const top = (expression: string): string => `topk(10, ${expression})`;
  // Families that targets of all kinds have.
  const ofExporters = (expression: string): string =>
    top(`${expression} and on (job, instance) libvirt_nova_exporter_build_info`);
  return [{
    title: "Health of the exporter",
    panels: [
      graph({
        title: "Hosts that do not answer",
        description: "Exporters that Prometheus gets no page of, and pages that say that libvirt " +
          "does not list its instances.",
        unit: "none",
        span: 12,
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
        span: 12,
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
        span: 12,
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
        span: 12,
        stacked: true,
        queries: [{
          expression: `sum by (reason) (${gauge("exporter_instances_incomplete")})`,
          legend: "{{reason}}",
        }],
      }),
      graph({
        title: "Abandoned calls and quarantined instances",
        description:
          "Calls that libvirt never answered. With 5 of them (--libvirt.max-abandoned) " +
          "no instance is asked any more for what needs its monitor.",
        unit: "none",
        span: 12,
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
        span: 12,
        queries: [{
          expression: `sum by (kind) (${rate("errors_total")})`,
          legend: "{{kind}}",
        }],
      }),
      graph({
        title: "Errors of libvirt's functions",
        description:
          "Failed calls by function and virErrorNumber; those that were not answered in " +
          "time are among the errors of kind timeout. Empty while there has been none.",
        unit: "cps",
        span: 12,
        queries: [{
          expression: `sum by (call, code) (${rate("libvirt_errors_total")})`,
          legend: "{{call}} {{code}}",
        }],
      }),
      graph({
        title: "Time in libvirt's functions",
        description: "Seconds of calls in each second, by function.",
        unit: "none",
        span: 12,
        stacked: true,
        queries: [{
          expression: `sum by (call) (${rate("libvirt_call_seconds_total")})`,
          legend: "{{call}}",
        }],
      }),
      graph({
        title: "Processor time of the exporter",
        description: "Share of one processor that the exporter takes; the ten greatest.",
        unit: "percentunit",
        span: 12,
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
        span: 12,
        queries: [{
          expression: ofExporters(`process_resident_memory_bytes{${selector}}`),
          legend: "{{instance}}",
        }],
      }),
    ],
  }];
}
