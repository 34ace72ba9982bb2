import assert from "node:assert/strict";
import { keepStatus } from "../../src/scrape/status_keeper.ts";
import { Scraper } from "../../src/scrape/scraper.ts";
import { scrape } from "../../src/metrics/collectors/scrape.ts";
import { FakeHypervisor } from "../../testing/fake_hypervisor.ts";
import { novaDomainXml, numberedUuid } from "../../testing/nova_domain.ts";
import { scraperOptions } from "../../testing/scraper_options.ts";

const BUILD = { version: "1", runtime: "bun", architecture: "x64" };

function newScraper(): { readonly hypervisor: FakeHypervisor; readonly scraper: Scraper } {
  const uuid = numberedUuid(1);
  const domain = { uuid, id: 1, name: "instance-1", xml: "<broken", numbers: {} };
  const hypervisor = new FakeHypervisor([
    domain,
    { ...domain, uuid: numberedUuid(2), name: "b", xml: novaDomainXml({ uuid, name: "b" }) },
  ]);
  return {
    hypervisor,
    scraper: new Scraper(scraperOptions(hypervisor, [scrape], { build: BUILD })),
  };
}

Deno.test("keepStatus() knows nothing before the first collection, then what the last one found", async () => {
  const { hypervisor, scraper } = newScraper();
  const keeper = keepStatus(scraper);
  assert.equal(keeper.current().isUp, undefined);
  assert.equal(keeper.current().collectedAt, undefined);
  assert.equal(keeper.current().version, "1");
  await scraper.scrape();
  assert.equal(keeper.current().isUp, true);
  assert.equal(keeper.current().instances, 2);
  assert.ok(keeper.current().collectedAt instanceof Date);
  const [problem, ...more] = keeper.current().problems;
  assert.match(
    problem?.text ?? "",
    /^Cannot understand the definition of an instance: instance-1: ./,
  );
  assert.deepEqual(more, []);
  const message = "Connection refused";
  hypervisor.refusal = { call: "virConnectOpenAuth", code: 38, origin: 7, message, count: 1 };
  await scraper.scrape();
  const { isUp, reason, instances, problems, pastProblems } = keeper.current();
  assert.deepEqual([isUp, reason, instances], [false, message, undefined]);
  assert.deepEqual(problems.map(({ text }) => text), [`libvirt is not available: ${message}`]);
  assert.deepEqual(pastProblems.map(({ text }) => text), [problem?.text]);
});

Deno.test("keepStatus() begins a collection when there was none for a while, and no second one meanwhile", async () => {
  const { hypervisor, scraper } = newScraper();
  let now = 0;
  const keeper = keepStatus(scraper, () => now);
  const surveys = (): number => hypervisor.calls.filter((call) => call === "survey").length;
  keeper.refresh();
  keeper.refresh();
  // It joins the collection that has begun.
  await scraper.scrape();
  assert.equal(surveys(), 1);
  now += 3_600_000;
  keeper.refresh();
  assert.equal(surveys(), 1, "a scrape has just made one");
});
