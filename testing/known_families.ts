import { samplePage } from "./sample_host.ts";
import { COLLECTORS } from "../src/metrics/mod.ts";

/** The names of all families that there are: those of collectors, and those about the exporter itself. */
export async function knownFamilies(): Promise<ReadonlySet<string>> {
  const collected = COLLECTORS.flatMap(({ families, hostFamilies = [] }) =>
    [...families, ...hostFamilies].map(({ name }) => name)
  );
  return new Set([...collected, ...(await samplePage(COLLECTORS)).keys()]);
}
