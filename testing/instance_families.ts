// What the tests of the executable ask of a page about its instances.
import { type Families, type ParsedSample, samplesOf } from "./parse_page.ts";

/** The families that both predecessors together have, by what labels them besides the instance. */
export const SEED_FAMILIES = {
  instance: ["cpu_time_total", "vcpu_count", "total_vcpu"],
  balloon: ["memory_alloc_kb", "memory_cache_used_kb", "memory_used_kb"],
  interface: ["rxbytes", "txbytes"],
  disk: ["rdbytes", "wrbytes", "rdreq", "wrreq"],
} as const;

/** The samples of a family of instances, such as `cpu_time_total`. */
export function instanceSamples(families: Families, family: string): readonly ParsedSample[] {
  return samplesOf(families, `libvirt_nova_instance_${family}`);
}

/** What instances are called: `libvirtname`, `novaname`, `novaproject`. */
export function identities(families: Families): readonly (readonly (string | undefined)[])[] {
  return instanceSamples(families, "cpu_time_total")
    .map(({ labels }) => [labels["libvirtname"], labels["novaname"], labels["novaproject"]])
    .sort();
}

/** All that the page says of instances, without the values. */
export function seriesOf(families: Families): readonly string[] {
  return [...families.values()].filter(({ name }) => name.startsWith("libvirt_nova_instance_"))
    .flatMap(({ samples }) =>
      samples.map(({ name, labels }) => `${name} ${JSON.stringify(labels)}`)
    )
    .sort();
}
