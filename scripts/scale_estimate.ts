/**
 * What many hypervisors cost Prometheus, computed from the page of a made-up host: its text comes from the exporter's own
 * renderer, and its compression from the exporter's own gzip.
 *
 * @module
 */
import type { HostEntity } from "../src/libvirt/hypervisor.ts";
import { CONTENT_TYPES } from "../src/metrics/exposition.ts";
import type { Collector } from "../src/metrics/family.ts";
import { COLLECTORS } from "../src/metrics/mod.ts";
import { Scraper } from "../src/scrape.ts";
import { createPageCompressor } from "../src/web/compression.ts";
import { type FakeDomain, FakeHypervisor } from "../tests/support/fake_hypervisor.ts";
import { numberedUuid } from "../tests/support/nova_domain.ts";
import { decodePage, scraperOptions } from "../tests/support/scraper_options.ts";
import { code, table } from "./markdown.ts";
import { SAMPLE_ENTITIES, SAMPLE_INSTANCE } from "./sample_host.ts";

/** The cloud of the estimate. */
export const HOSTS = 1_000;
const INSTANCES_PER_HOST = 100;
const INTERVALS_SECONDS = [15, 30, 60] as const;

/** What Prometheus adds to each target: `up` and four others that begin with `scrape_`. */
const SERIES_OF_PROMETHEUS = 5;
const SECONDS_PER_DAY = 86_400;
/** What Prometheus' own documentation says that a sample takes on disk, in bytes. */
const BYTES_PER_SAMPLE = [1, 2] as const;

/** What a host's page is. */
export interface PageSize {
  /** Series of Prometheus, with those that it adds. */
  readonly series: number;
  readonly bytes: number;
  readonly gzipBytes: number;
}

/** Which collectors a row of the estimate has. */
interface Choice {
  readonly flags: string;
  readonly has: (collector: Collector) => boolean;
}

const isDefault = ({ byDefault }: Collector): boolean => byDefault !== false;
const FOR_ALERTS = ["vcpu", "paging", "block_capacity", "storage_pool"];
const isHost = ({ families }: Collector): boolean => families.length === 0;

const CHOICES: readonly Choice[] = [
  { flags: "none", has: isDefault },
  {
    flags: "--no-collector.seed",
    has: (collector) => isDefault(collector) && collector.name !== "seed",
  },
  {
    flags: FOR_ALERTS.map((name) => `--collector.${name}`).join(" "),
    has: (collector) => isDefault(collector) || FOR_ALERTS.includes(collector.name),
  },
  {
    flags: "--collector.disable-defaults --collector.seed --collector.node",
    has: (collector) =>
      collector.byDefault === undefined || collector.name === "seed" ||
      (isHost(collector) && isDefault(collector)),
  },
];

/** Numbers that look like those of a host, and that are the same each time. */
function numbersFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    // The generator of Numerical Recipes; only its upper bits are any good.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** How large a field's values get: what a few months of a common instance make of them. */
function magnitude(field: string): number {
  if (/\.times?$|\.(user|system|wait|delay)$/.test(field)) return 1e15;
  if (/\.bytes$|\.(allocation|capacity|physical)$/.test(field)) return 1e12;
  if (/^balloon\./.test(field)) return 8e6;
  if (/\.(reqs|pkts)$/.test(field)) return 1e9;
  return 10;
}

function hexadecimal(number: number, digits: number): string {
  return number.toString(16).padStart(digits, "0");
}

/** The instances of one host: each like the sample, with names and values of its own. */
function instances(): readonly FakeDomain[] {
  const next = numbersFrom(1);
  return Array.from({ length: INSTANCES_PER_HOST }, (_, index): FakeDomain => {
    const uuid = numberedUuid(index + 1);
    const port = hexadecimal(next(2 ** 32), 8);
    const names: Readonly<Record<string, string>> = {
      [SAMPLE_INSTANCE.uuid]: uuid,
      [SAMPLE_INSTANCE.name]: `instance-${hexadecimal(next(2 ** 20), 8)}`,
      "<nova:name>sample<": `<nova:name>worker-${index}.production<`,
      "tap567a4527-b0": `tap${port}-${hexadecimal(next(256), 2)}`,
      "49b64a08-72e6-4c3a-babc-ed2057ee05cd": numberedUuid(next(2 ** 30)),
      "fa:16:3e:d6:54:af": `fa:16:3e:${[0, 1, 2].map(() => hexadecimal(next(256), 2)).join(":")}`,
    };
    const rename = (text: string): string =>
      Object.entries(names).reduce((renamed, [old, name]) => renamed.replaceAll(old, name), text);
    return {
      ...SAMPLE_INSTANCE,
      uuid,
      id: index + 1,
      name: rename(SAMPLE_INSTANCE.name),
      xml: rename(SAMPLE_INSTANCE.xml),
      numbers: Object.fromEntries(
        Object.keys(SAMPLE_INSTANCE.numbers).map((field) => [
          field,
          field.startsWith("state.") || field.endsWith("count") ? 1 : next(magnitude(field)),
        ]),
      ),
      texts: Object.fromEntries(
        Object.entries(SAMPLE_INSTANCE.texts ?? {}).map(([field, text]) => [field, rename(text)]),
      ),
    };
  });
}

function entities(): HostEntity[] {
  const next = numbersFrom(2);
  return SAMPLE_ENTITIES.map((entity) => ({
    ...entity,
    numbers: Object.fromEntries(
      Object.keys(entity.numbers).map((name) => [name, next(1e6)]),
    ),
  }));
}

/**
 * What the exporter says of itself are times and amounts of this very process; their digits here are the same each time,
 * lest the documentation change with the weather.
 */
function steady(page: string): string {
  return page.replaceAll(/^((?:libvirt_nova_exporter|process)_.*) \S+$/gm, "$1 0.012345");
}

/** The page of a host with 100 instances. */
export async function measurePage(collectors: readonly Collector[]): Promise<PageSize> {
  const hypervisor = new FakeHypervisor(instances());
  hypervisor.entities = entities();
  const options = scraperOptions(hypervisor, collectors, { startSecondsOf: () => 1.8e9 });
  const collection = await new Scraper(options).scrape();
  const text = steady(decodePage(collection.page("text")));
  const body = new TextEncoder().encode(text);
  const { chunks } = await createPageCompressor()({
    status: 200,
    contentType: CONTENT_TYPES.text,
    chunks: [body],
  });
  return {
    series: text.split("\n").filter((line) => line !== "" && !line.startsWith("#")).length +
      SERIES_OF_PROMETHEUS,
    bytes: body.length,
    gzipBytes: chunks.reduce((sum, { length }) => sum + length, 0),
  };
}

/** A number with two significant digits and separators of thousands, such as `7,600,000`. */
export function rounded(value: number): string {
  return Number(value.toPrecision(2)).toLocaleString("en-US");
}

/** What hosts with such a page make Prometheus take in. */
export function loadOf({ series, gzipBytes }: PageSize, intervalSeconds: number): {
  readonly samplesPerSecond: number;
  readonly networkBytesPerSecond: number;
  /** From the least to the most. */
  readonly diskBytesPerDay: readonly [number, number];
} {
  const samplesPerSecond = series * HOSTS / intervalSeconds;
  const perDay = samplesPerSecond * SECONDS_PER_DAY;
  const [least, most] = BYTES_PER_SAMPLE;
  return {
    samplesPerSecond,
    networkBytesPerSecond: gzipBytes * HOSTS / intervalSeconds,
    diskBytesPerDay: [perDay * least, perDay * most],
  };
}

/** The part of docs/prometheus.md with the figures. */
export async function scaleSection(): Promise<string> {
  const pages = await Promise.all(CHOICES.map(async ({ flags, has }) => ({
    flags: flags === "none" ? flags : code(flags),
    page: await measurePage(COLLECTORS.filter(has)),
  })));
  const sizes = table(
    ["Flags", "Series of a host", "Series of all", "Page", "Page in gzip"],
    pages.map(({ flags, page }) => [
      flags,
      rounded(page.series),
      rounded(page.series * HOSTS),
      `${rounded(page.bytes / 1e3)} kB`,
      `${rounded(page.gzipBytes / 1e3)} kB`,
    ]),
  );
  const [first] = pages;
  const loads = first === undefined ? "" : table(
    ["Scrape interval", "Samples a second", "Network", "Disk a day"],
    INTERVALS_SECONDS.map((interval) => {
      const load = loadOf(first.page, interval);
      const [least, most] = load.diskBytesPerDay;
      return [
        `${interval} s`,
        rounded(load.samplesPerSecond),
        `${rounded(load.networkBytesPerSecond / 1e6)} MB/s`,
        `${rounded(least / 1e9)} to ${rounded(most / 1e9)} GB`,
      ];
    }),
  );
  return `${
    rounded(HOSTS)
  } hypervisors with ${INSTANCES_PER_HOST} instances each, each instance with
one disk, one network interface and two vCPUs:

${sizes}
With the flags of the first row:

${loads}`;
}
