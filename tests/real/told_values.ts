/**
 * Comparing a page with what virsh says before and after it.
 *
 * @module
 */

import assert from "node:assert/strict";
import { COLLECTORS, SWITCHED_COLLECTORS } from "../../src/metrics/mod.ts";
import { type AnsweredScrape, startExporterProcess } from "../../testing/exporter_process.ts";
import { outputOf } from "../../testing/command.ts";
import type { Hypervisor } from "../../testing/libvirt/hypervisor.ts";
import type { VirshShell } from "../../testing/libvirt/virsh_shell.ts";
import { expectedOfHost } from "./expected_host.ts";
import {
  assertBetween,
  expectedSamples,
  type KnownGuest,
  type Samples,
  seriesKey,
  valuesBySeries,
} from "./expected_samples.ts";
import { askAboutGuest } from "./virsh_figures.ts";

/** The flags that switch everything on. */
export const ALL_ON: readonly string[] = SWITCHED_COLLECTORS.map(({ name }) =>
  `--collector.${name}`
);

/** What is compared. */
export interface Told {
  readonly shell: VirshShell;
  /** By name. */
  readonly known: Readonly<Record<string, KnownGuest>>;
  /** Asks an exporter with all collectors for a page. */
  scrape(): Promise<AnsweredScrape>;
}

/** The names of the families about instances. */
export const INSTANCE_FAMILIES: ReadonlySet<string> = new Set(
  COLLECTORS.flatMap(({ families }) => families.map(({ name }) => name)),
);

/** The names of the families about the host and what belongs to it. */
export const HOST_FAMILIES: ReadonlySet<string> = new Set(
  COLLECTORS.flatMap(({ hostFamilies = [] }) => hostFamilies.map(({ name }) => name)),
);

const USUAL_FAMILIES = new Set(
  COLLECTORS.filter(({ byDefault }) => byDefault !== false)
    .flatMap(({ families }) => families.map(({ name }) => name)),
);

/** Memory of the host and frequencies go up and down with what else the machine does. */
const RESTLESS = /^libvirt_nova_node_(memory_(free|buffers|cached)|cell_memory_free|cpu_frequency)/;

/** By how much such a value may differ from what virsh says a moment later, as a share of the host's memory or of itself. */
const RESTLESS_SHARE = 0.1;

/** Says whether a family is about instances. */
export function isInstanceFamily(family: string): boolean {
  return INSTANCE_FAMILIES.has(family);
}

/** Fails unless counters of guests that run are between what virsh says before and after. */
export async function assertCountersTold({ shell, known, scrape }: Told): Promise<void> {
  const before = await expectedOfAll(shell, known);
  const actual = valuesBySeries(await scrape(), isInstanceFamily);
  const after = await expectedOfAll(shell, known);
  assertBetween(countersOf(actual), countersOf(before), countersOf(after));
}

/**
 * Keeps the host itself from sending packets to cards of guests that stand still: with IPv6 it does so for some time, whatever
 * the guests do.
 */
async function quietNetwork({ firstProcess }: Hypervisor): Promise<void> {
  const inside = [`--target=${firstProcess}`, "--mount", "--net", "sh", "-c"];
  const setting = "/proc/sys/net/ipv6/conf/all/disable_ipv6";
  await outputOf("nsenter", [...inside, `[ ! -e ${setting} ] || echo 1 > ${setting}`]);
}

/**
 * Fails unless all series of guests that stand still are what virsh says.
 *
 * @param startUsual starts an exporter without further collectors: for fewer of them other functions of libvirt are cheaper,
 * such as that for a lone disk
 */
export async function assertGuestsTold(
  { shell, known, scrape }: Told,
  hypervisor: Hypervisor,
  startUsual: () => ReturnType<typeof startExporterProcess>,
): Promise<void> {
  await quietNetwork(hypervisor);
  const before = await expectedOfAll(shell, known);
  const actual = valuesBySeries(await scrape(), isInstanceFamily);
  const after = await expectedOfAll(shell, known);
  assertBetween(actual, before, after);
  await using usual = await startUsual();
  const ofUsual = (samples: Samples): Samples =>
    new Map([...samples].filter(([series]) => USUAL_FAMILIES.has(series.split(" ")[0] ?? "")));
  const others = valuesBySeries(await usual.scrape(), isInstanceFamily);
  assertBetween(others, ofUsual(after), ofUsual(await expectedOfAll(shell, known)));
  assert.equal(await usual.stop(), 0);
  // To be asked costs QEMU itself processor time, and memory, which count.
  const moving = [...before].filter(([series, value]) => after.get(series) !== value)
    .map(([series]) => series)
    .filter((series) => !/_cpu_|_perf_|_vcpu_\w*seconds|_memory_resident_/.test(series));
  assert.deepEqual(moving, []);
}

/** Fails unless everything about the host, its pools, volumes and networks, and the projects, is what virsh says. */
export async function assertHostTold({ shell, scrape }: Told): Promise<void> {
  const before = await expectedOfHost(shell);
  const actual = valuesBySeries(await scrape(), (family) => HOST_FAMILIES.has(family));
  const after = await expectedOfHost(shell);
  const memory = actual.get(seriesKey("libvirt_nova_node_memory_bytes", {})) ?? NaN;
  for (const samples of [before, after]) {
    for (const [series, value] of samples) {
      const now = actual.get(series) ?? NaN;
      const room = RESTLESS_SHARE * (series.includes("memory") ? memory : value);
      if (RESTLESS.test(series) && Math.abs(now - value) < room) samples.set(series, now);
    }
  }
  const isPool = (series: string): boolean => /_pool_(allocation|available)_/.test(series);
  for (const series of [...before.keys()].filter(isPool)) {
    // libvirt looks at a pool when somebody wants it to, and never when the exporter asks.
    assert.equal(before.get(series), after.get(series), series);
  }
  assertBetween(actual, before, after);
}

/** Fails when a collector failed, or when the log has more than that the exporter has started. */
export function assertNothingFailed(page: AnsweredScrape, logLines: readonly string[]): void {
  const failed = (page.families.get("libvirt_nova_exporter_collector_success")?.samples ?? [])
    .filter(({ value }) => value !== 1).map(({ labels }) => labels["collector"]);
  assert.deepEqual(failed, []);
  assert.deepEqual(logLines.filter((line) => !line.includes("level=info")), []);
}

/** What virsh says of all guests, as samples. */
async function expectedOfAll(
  shell: VirshShell,
  known: Readonly<Record<string, KnownGuest>>,
): Promise<Samples> {
  const samples = new Map<string, number>();
  for (const [name, guest] of Object.entries(known)) {
    const devices = [Object.keys(guest.disks), Object.keys(guest.interfaces)] as const;
    const figures = await askAboutGuest(shell, name, ...devices);
    for (const [series, value] of expectedSamples(guest, figures)) samples.set(series, value);
  }
  return samples;
}

/** Only counters, which alone cannot have left the range between two looks meanwhile. */
function countersOf(samples: Samples): Samples {
  const isCounter = (series: string): boolean =>
    /^\w+(_total|_instance_(rx|tx|rd|wr)\w+) /.test(series);
  return new Map([...samples].filter(([series]) => isCounter(series)));
}
