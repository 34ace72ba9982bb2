/**
 * Measures what a page costs once libvirt has answered: from the values to the bytes. Runs under every runtime that
 * the exporter does, and prints one line of JSON, an `ExpositionResult` without its runtime.
 */
import { Buffer } from "node:buffer";
import { performance } from "node:perf_hooks";
import process from "node:process";
import { Dictionary } from "../src/libvirt/dictionary.ts";
import { parseDomainXml } from "../src/libvirt/domain_xml.ts";
import { type Measurement, Verdict } from "../src/libvirt/hypervisor.ts";
import { type DomainRecord, takeSnapshot } from "../src/libvirt/snapshot.ts";
import { createLabelTexts, renderCollectors } from "../src/metrics/exposition.ts";
import { USUAL_IDENTITY } from "../src/metrics/family.ts";
import { COLLECTORS } from "../src/metrics/mod.ts";
import { novaDomainXml, numberedUuid } from "../testing/nova_domain.ts";
import { median } from "./statistics.ts";
import { NO_STATUS } from "../testing/hypervisor_status.ts";

const INSTANCES = 2_000;
const WARM_UP_PAGES = 30;
const PAGES = 100;

/** What libvirt gives of an instance with one disk and one interface, as far as a family shows it. */
const FIELDS = [
  "cpu.time",
  "cpu.user",
  "cpu.system",
  "balloon.available",
  "balloon.unused",
  "balloon.usable",
  "balloon.current",
  "balloon.maximum",
  "balloon.disk_caches",
  "balloon.rss",
  "balloon.last-update",
  "state.state",
  "state.reason",
  ...["rx", "tx"].flatMap((way) =>
    ["bytes", "pkts", "errs", "drop"].map((what) => `net.0.${way}.${what}`)
  ),
  ...["rd", "wr", "fl"].flatMap((way) =>
    ["bytes", "reqs", "times"].map((what) => `block.0.${way}.${what}`)
  ),
];
const DEVICE_NAMES = ["net.0.name", "block.0.name"];
const DISK = "vda";

const collectors = COLLECTORS.filter(({ byDefault }) => byDefault !== false);
const dictionary = new Dictionary();
const measurement = syntheticMeasurement();
dictionary.add(0, measurement.dictionaryStrings);
const records = Array.from({ length: INSTANCES }, (_, handle) => syntheticRecord(handle));
const labelTexts = createLabelTexts(USUAL_IDENTITY);

/** All chunks of a page, as a scrape makes them. */
function renderPage(): readonly Uint8Array[] {
  const snapshot = takeSnapshot(records, measurement, dictionary);
  const texts = renderCollectors(collectors, snapshot, labelTexts, "text");
  return Array.from(texts, (text) => Buffer.from(text, "utf8"));
}

const samples = countSamples(renderPage());
for (let page = 0; page < WARM_UP_PAGES; page++) {
  changeValues();
  renderPage();
}
const nanoseconds: number[] = [];
for (let page = 0; page < PAGES; page++) {
  changeValues();
  const started = performance.now();
  renderPage();
  nanoseconds.push((performance.now() - started) * 1e6 / samples);
}
process.stdout.write(`${JSON.stringify({ samples, nanosecondsPerSample: median(nanoseconds) })}\n`);

function syntheticMeasurement(): Measurement {
  const strings = [...FIELDS, ...DEVICE_NAMES, DISK];
  const number = (string: string): number => strings.indexOf(string);
  const taps = Array.from({ length: INSTANCES }, (_, handle) => strings.push(tapName(handle)) - 1);
  const values = INSTANCES * FIELDS.length;
  return {
    verdicts: new Uint8Array(INSTANCES).fill(Verdict.complete),
    offsets: Uint32Array.from({ length: INSTANCES + 1 }, (_, domain) => domain * FIELDS.length),
    fields: Uint32Array.from({ length: values }, (_, index) => index % FIELDS.length),
    values: new Float64Array(values),
    textOffsets: Uint32Array.from({ length: INSTANCES + 1 }, (_, domain) => domain * 2),
    textFields: Uint32Array.from(
      taps.flatMap(() => DEVICE_NAMES.map(number)),
    ),
    texts: Uint32Array.from(taps.flatMap((tap) => [tap, number(DISK)])),
    dictionaryBase: 0,
    dictionaryStrings: strings,
    entities: [],
    failures: [],
    callTimes: [],
    status: NO_STATUS,
  };
}

/** Counters have about as many digits as those of a guest that has run for weeks. */
function changeValues(): void {
  for (let index = 0; index < measurement.values.length; index++) {
    const isState = FIELDS[index % FIELDS.length]?.startsWith("state.");
    measurement.values[index] = isState === true ? 1 : Math.floor(Math.random() * 1e13);
  }
}

function syntheticRecord(handle: number): DomainRecord {
  const uuid = numberedUuid(handle);
  const name = `instance-${handle.toString(16).padStart(8, "0")}`;
  const xml = novaDomainXml({
    name,
    uuid,
    novaName: `server-${handle}`,
    novaProject: `project-${handle % 20}`,
    disks: [{ target: DISK, serial: uuid }],
    interfaces: [{ target: tapName(handle), macAddress: "fa:16:3e:00:00:01" }],
  });
  return {
    handle,
    uuid,
    id: handle,
    name,
    startSeconds: undefined,
    description: parseDomainXml(xml),
    definition: "given",
  };
}

function tapName(handle: number): string {
  return `tap${handle.toString(16).padStart(8, "0")}-00`;
}

function countSamples(page: readonly Uint8Array[]): number {
  const lines = page.map((chunk) => Buffer.from(chunk).toString("utf8")).join("").split("\n");
  return lines.filter((line) => line !== "" && !line.startsWith("#")).length;
}
