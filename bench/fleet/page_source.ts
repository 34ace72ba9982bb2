import type { Guests } from "../../scripts/fleet_result.ts";
import { startExporterProcess } from "../../testing/exporter_process.ts";
import { deployedEnvironment } from "../../testing/deployed_environment.ts";
import { type BenchmarkHypervisor, realGuests, testDriverWith } from "../hypervisors.ts";

/** Pages of one host in both formats, as files in a folder. */
export interface PageFiles {
  readonly text: string;
  readonly openMetrics: string;
}

/** Requests that get a page in a format. */
export const ACCEPT = {
  text: "text/plain; version=0.0.4",
  openMetrics: "application/openmetrics-text; version=1.0.0",
} as const;

/** Starts a hypervisor with so many instances. */
export function startHost(guests: Guests, instances: number): Promise<BenchmarkHypervisor> {
  return guests === "QEMU guests" ? realGuests(instances) : testDriverWith(instances);
}

/** Lets the exporter write the pages of a hypervisor into a folder. */
export async function writePages(folder: string, uri: string): Promise<PageFiles> {
  await using exporter = await startExporterProcess(
    uri,
    ["--libvirt.timeout", "60s"],
    { environment: deployedEnvironment() },
  );
  const files = { text: `${folder}/page.txt`, openMetrics: `${folder}/page.openmetrics.txt` };
  // The second page of an exporter is one of many.
  await exporter.scrape();
  for (const format of ["text", "openMetrics"] as const) {
    const response = await fetch(`http://${exporter.target}/metrics`, {
      headers: { accept: ACCEPT[format] },
    });
    await Deno.writeTextFile(files[format], await response.text());
  }
  return files;
}
