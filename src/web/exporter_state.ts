import type { ScrapeSummary } from "../scrape_summary.ts";

/** What the exporter knows about itself, without asking libvirt. None of it is secret. */
export interface ExporterState extends ScrapeSummary {
  /** The exporter's version. */
  readonly version: string;
  /** The JavaScript runtime's name and version. */
  readonly runtime: string;
}
