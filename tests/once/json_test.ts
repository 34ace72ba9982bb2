import assert from "node:assert/strict";
import { nothingFound } from "../../src/metrics/findings.ts";
import { Collection } from "../../src/scrape/collection.ts";
import { createLabelTexts, type PlainFamily } from "../../src/metrics/exposition.ts";
import { type FamilyType, USUAL_IDENTITY } from "../../src/metrics/family.ts";
import { COLLECTORS } from "../../src/metrics/mod.ts";
import { numberText, renderJson } from "../../src/once/json.ts";
import { FakeHypervisor } from "../../testing/fake_hypervisor.ts";
import { onceScraper } from "../../testing/once.ts";
import { parsePage } from "../../testing/parse_page.ts";
import { recordedDomain } from "../../testing/recorded_domain.ts";
import { decodePage } from "../../testing/scraper_options.ts";

/** Of a page, which JSON is not. */
const PAGE_AGE = "libvirt_nova_exporter_collection_age_seconds";

interface JsonFamily {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly metrics: readonly { readonly labels?: Record<string, string>; readonly value: string }[];
}

function parseFamilies(text: string): readonly JsonFamily[] {
  return JSON.parse(text);
}

function collectionOf(selfFamilies: readonly PlainFamily[]): Collection {
  const labelTexts = createLabelTexts(USUAL_IDENTITY);
  return new Collection(nothingFound({ reason: undefined, status: undefined, labelTexts }))
    .complete(selfFamilies);
}

function readFixture(name: string): string {
  return Deno.readTextFileSync(new URL(`../fixtures/prom2json/${name}`, import.meta.url));
}

Deno.test("renderJson() says of a page's families what prom2json says of the page", () => {
  const families = [...parsePage(readFixture("page.txt")).values()];
  const collection = collectionOf(families.map(({ name, help, type, samples }): PlainFamily => ({
    name,
    help: help ?? "",
    type: (type === "untyped" ? "unknown" : type) as FamilyType,
    samples: samples.map((sample) => ({
      name,
      labels: Object.entries(sample.labels),
      value: sample.value,
    })),
  })));
  const byName = (text: string): readonly JsonFamily[] =>
    [...parseFamilies(text)].sort((left, right) => left.name < right.name ? -1 : 1);
  const rendered = byName([...renderJson(collection)].join(""));
  assert.equal(rendered.length, 4);
  assert.deepEqual(rendered, byName(readFixture("page.json")));
});

Deno.test("renderJson() has the families, samples and values of the text page", async () => {
  const folder = "libvirt-12.8";
  const hypervisor = new FakeHypervisor([recordedDomain(folder, 1), recordedDomain(folder, 2)]);
  const collection = await onceScraper(hypervisor, COLLECTORS).scrape();
  const families = parseFamilies([...renderJson(collection)].join(""));
  const page = parsePage(decodePage(collection.page("text")));
  assert.ok(families.length > 100);
  assert.deepEqual(
    families.map(({ name, help, type, metrics }) => ({
      name,
      help,
      type: type.toLowerCase(),
      samples: metrics.map(({ labels = {}, value }) => ({ labels, value: Number(value) })),
    })),
    [...page.values()].filter(({ name }) => name !== PAGE_AGE).map((
      { name, help, type, samples },
    ) => ({
      name,
      help,
      type,
      samples: samples.map(({ labels, value }) => ({ labels: { ...labels }, value })),
    })),
  );
});

Deno.test("renderJson() has no family without samples, and is an array without any", () => {
  const family: PlainFamily = { name: "example", help: "Example", type: "gauge", samples: [] };
  assert.equal([...renderJson(collectionOf([family]))].join(""), "[]\n");
});

Deno.test("renderJson() has one family a line, of the types that prom2json knows", () => {
  const families = (["counter", "gauge", "info", "unknown"] as const).map((type): PlainFamily => ({
    name: `example_${type}`,
    help: "Example",
    type,
    samples: [{ name: `example_${type}`, labels: [], value: 1 }],
  }));
  assert.equal(
    [...renderJson(collectionOf(families))].join(""),
    `[
{"name":"example_counter","help":"Example","type":"COUNTER","metrics":[{"value":"1"}]},
{"name":"example_gauge","help":"Example","type":"GAUGE","metrics":[{"value":"1"}]},
{"name":"example_info","help":"Example","type":"GAUGE","metrics":[{"value":"1"}]},
{"name":"example_unknown","help":"Example","type":"UNTYPED","metrics":[{"value":"1"}]}
]
`,
  );
});

Deno.test("numberText() loses nothing", () => {
  const numbers = [0, 1, -1, 0.1, 1 / 3, 123456, 1234567, 2 ** 53, 1e-7, 1e100, 5e-324];
  for (const number of numbers) assert.equal(Number(numberText(number)), number);
});
