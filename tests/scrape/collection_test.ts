import assert from "node:assert/strict";
import { Collection } from "../../src/scrape/collection.ts";
import { Dictionary } from "../../src/libvirt/dictionary.ts";
import { type Measurement, Verdict } from "../../src/libvirt/hypervisor.ts";
import { takeSnapshot } from "../../src/libvirt/snapshot.ts";
import { seed } from "../../src/metrics/collectors/seed.ts";
import { createLabelTexts, type PlainFamily } from "../../src/metrics/exposition.ts";
import { USUAL_IDENTITY } from "../../src/metrics/family.ts";
import { domainRecord } from "../../testing/domain_record.ts";
import { parsePage } from "../../testing/parse_page.ts";
import { decodePage } from "../../testing/scraper_options.ts";
import { NO_STATUS } from "../../testing/hypervisor_status.ts";
import { type Findings, nothingFound } from "../../src/metrics/findings.ts";

const MEASUREMENT: Measurement = {
  verdicts: Uint8Array.of(Verdict.complete),
  offsets: Uint32Array.of(0, 1),
  fields: Uint32Array.of(0),
  values: Float64Array.of(5),
  textOffsets: Uint32Array.of(0, 0),
  textFields: new Uint32Array(),
  texts: new Uint32Array(),
  dictionaryBase: 0,
  dictionaryStrings: ["cpu.time"],
  entities: [],
  failures: [],
  callTimes: [],
  status: NO_STATUS,
};

function newCollection(changes: Partial<Findings> = {}): Collection {
  const dictionary = new Dictionary();
  dictionary.add(0, MEASUREMENT.dictionaryStrings);
  const labelTexts = createLabelTexts(USUAL_IDENTITY);
  return new Collection({
    ...nothingFound({ reason: undefined, status: undefined, labelTexts }),
    isUp: true,
    instances: 1,
    measuredAt: 0,
    snapshot: takeSnapshot([domainRecord(1)], MEASUREMENT, dictionary),
    collectors: [seed],
    ...changes,
  });
}

const OWN: PlainFamily = {
  name: "libvirt_nova_up",
  type: "gauge",
  help: "h",
  samples: [{ name: "libvirt_nova_up", labels: [], value: 1 }],
};

Deno.test("Collection makes each format's page with the instances, what the exporter says of itself, and its age", () => {
  const collection = newCollection().complete([OWN]);
  const families = parsePage(decodePage(collection.page("text")));
  assert.deepEqual([...families.keys()], [
    "libvirt_nova_instance_cpu_time_total",
    "libvirt_nova_up",
    "libvirt_nova_exporter_collection_age_seconds",
  ]);
  const openMetrics = decodePage(collection.page("openmetrics"));
  assert.match(openMetrics, /^libvirt_nova_instance_cpu_time_total\{.*\} 5$/m);
  assert.match(openMetrics, /collection_age_seconds \S+\n# EOF\n$/);
});

Deno.test("Collection renders the instances once for each format", () => {
  const collection = newCollection();
  const body = collection.render("text");
  assert.equal(collection.render("text"), body);
  assert.notEqual(collection.render("openmetrics"), body);
  assert.equal(collection.complete([]).page("text")[0], body[0]);
});

Deno.test("Collection without a list of domains has only what the exporter says of itself", () => {
  const collection = newCollection({ isUp: false, snapshot: undefined }).complete([OWN]);
  assert.deepEqual([...parsePage(decodePage(collection.page("text"))).keys()], [
    "libvirt_nova_up",
    "libvirt_nova_exporter_collection_age_seconds",
  ]);
});
