import assert from "node:assert/strict";
import { type Question, Verdict } from "../../src/libvirt/hypervisor.ts";
import { scrape } from "../../src/metrics/collectors/scrape.ts";
import { seed } from "../../src/metrics/collectors/seed.ts";
import type { Collector } from "../../src/metrics/family.ts";
import { COLLECTORS, isSwitched } from "../../src/metrics/mod.ts";
import type { Collection } from "../../src/scrape/collection.ts";
import { FakeHypervisor } from "../../testing/fake_hypervisor.ts";
import { parsePage, valueOf } from "../../testing/parse_page.ts";
import { decodePage } from "../../testing/scraper_options.ts";
import { fakeDomain } from "../../testing/fake_domain.ts";
import { waitUntil } from "../../testing/wait_until.ts";
import { newScraper, REFUSED, scrapeFamilies } from "./scrape_fixture.ts";

Deno.test("scrapes at the same time share one collection", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const gate = Promise.withResolvers<void>();
  hypervisor.gate = gate.promise;
  const scraper = newScraper(hypervisor);
  const scrapes = Array.from({ length: 100 }, () => scraper.scrape());
  gate.resolve();
  const results = await Promise.all(scrapes);
  assert.ok(results.every(({ findings }) => findings.isUp));
  assert.deepEqual(hypervisor.calls, ["survey", "describe 1", "measure 1"]);
});

Deno.test("scrapes within the minimum interval share a collection and say how old it is", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const scraper = newScraper(hypervisor, { minimumIntervalMilliseconds: 60_000 });
  await scraper.scrape();
  const families = await scrapeFamilies(scraper);
  assert.equal(hypervisor.calls.filter((call) => call === "survey").length, 1);
  const age = valueOf(families, "libvirt_nova_exporter_collection_age_seconds");
  assert.ok(age !== undefined && age > 0);
});

Deno.test("a collection that hangs is answered in time, and the next scrape does not start a second", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const gate = Promise.withResolvers<void>();
  hypervisor.gate = gate.promise;
  const scraper = newScraper(hypervisor, { timeoutMilliseconds: 30 });
  for (let scrape = 0; scrape < 2; scrape++) {
    const result = await scraper.scrape();
    assert.equal(result.findings.isUp, false);
    assert.match(result.findings.reason ?? "", /did not end within 30 ms/);
  }
  assert.deepEqual(hypervisor.calls, ["survey"]);
  hypervisor.gate = undefined;
  gate.resolve();
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal((await scraper.scrape()).findings.isUp, true);
});

Deno.test("a page that is answered in time does not wait for the state of the connection either", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const scraper = newScraper(hypervisor, { timeoutMilliseconds: 30 });
  await scraper.scrape();
  const { promise, resolve } = Promise.withResolvers<void>();
  hypervisor.gate = promise;
  const { status } = hypervisor;
  hypervisor.status = async () => {
    await promise;
    return await status.call(hypervisor);
  };
  const families = await scrapeFamilies(scraper);
  assert.equal(valueOf(families, "libvirt_nova_up"), 0);
  assert.equal(valueOf(families, "libvirt_nova_exporter_connections_opened_total"), 1);
  resolve();
});

Deno.test("a scrape for some collectors asks for what they need, and takes its turn", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const questions: Question[] = [];
  const { measure } = hypervisor;
  hypervisor.measure = (question, handles) => {
    questions.push(question);
    return measure.call(hypervisor, question, handles);
  };
  const gate = Promise.withResolvers<void>();
  hypervisor.gate = gate.promise;
  const scraper = newScraper(hypervisor);
  const [all, one, same] = [
    scraper.scrape(),
    scraper.scrape({ collectors: [scrape] }),
    scraper.scrape({ collectors: [scrape] }),
  ];
  await Promise.resolve();
  gate.resolve();
  assert.equal(await one, await same);
  assert.notEqual(await all, await one);
  const families = parsePage(decodePage((await one).page("text")));
  assert.ok(families.has("libvirt_nova_instance_scrape_success"));
  assert.ok(!families.has("libvirt_nova_instance_cpu_time_total"));
  assert.deepEqual(questions.map(({ domainCalls }) => domainCalls !== 0), [true, false]);
  assert.deepEqual(hypervisor.calls, [
    "survey",
    "describe 1",
    "measure 1",
    "survey",
    "measure 1",
  ]);
});

Deno.test("a scrape whose turn comes too late is not made", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const gate = Promise.withResolvers<void>();
  hypervisor.gate = gate.promise;
  const scraper = newScraper(hypervisor);
  const first = scraper.scrape();
  const waiting = await scraper.scrape({ collectors: [scrape], timeoutMilliseconds: 30 });
  assert.equal(waiting.findings.isUp, false);
  gate.resolve();
  assert.equal((await first).findings.isUp, true);
  await scraper.scrape();
  assert.equal(hypervisor.calls.filter((call) => call === "survey").length, 2);
});

Deno.test("a scrape with a short timeout does not shorten the calls of a collection that others share", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const given: number[] = [];
  const { survey } = hypervisor;
  hypervisor.survey = (question) => {
    given.push(question.callTimeoutMilliseconds);
    return survey.call(hypervisor, question);
  };
  const scraper = newScraper(hypervisor);
  await scraper.scrape({ timeoutMilliseconds: 30 });
  await newScraper(hypervisor, { timeoutMilliseconds: 60 }).scrape({ timeoutMilliseconds: 30 });
  assert.deepEqual(given, [250, 30]);
});

Deno.test("many scrapes for some collectors delay the scrape for all by one turn, and its page is kept", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const scraper = newScraper(hypervisor, {
    collectors: COLLECTORS,
    minimumIntervalMilliseconds: 60_000,
  });
  const ended: string[] = [];
  const crowd = COLLECTORS.slice(0, 12).map((one) =>
    scraper.scrape({ collectors: [one] }).then(() => ended.push(one.name))
  );
  const all = scraper.scrape().then((collection) => {
    ended.push("all");
    return collection;
  });
  await Promise.all(crowd);
  assert.ok(ended.indexOf("all") <= 1, ended.join(" "));
  assert.equal(await scraper.scrape(), await all);
});

Deno.test("a scrape with more time does not share a collection that was given less, but one with less time shares it", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const gate = Promise.withResolvers<void>();
  hypervisor.gate = gate.promise;
  const scraper = newScraper(hypervisor);
  const short = scraper.scrape({ timeoutMilliseconds: 5_000 });
  // Its turn comes with the next turn of the event loop.
  await new Promise((resolve) => setTimeout(resolve));
  const same = scraper.scrape({ timeoutMilliseconds: 5_000 });
  const shorter = scraper.scrape({ timeoutMilliseconds: 4_000 });
  const long = scraper.scrape();
  const longToo = scraper.scrape({ timeoutMilliseconds: 9_000 });
  gate.resolve();
  assert.equal(await same, await short);
  assert.equal(await shorter, await short);
  assert.notEqual(await long, await short);
  assert.equal(await longToo, await long);
  assert.equal(hypervisor.calls.filter((call) => call === "survey").length, 2);
});

Deno.test("a collection that has waited long for its turn is not shared with a scrape that gives it more time", async () => {
  for (const isKept of [false, true]) {
    const hypervisor = new FakeHypervisor([fakeDomain(1, { verdict: Verdict.late })]);
    const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
    hypervisor.gate = gates[0].promise;
    const options = { timeoutMilliseconds: 2_000, minimumIntervalMilliseconds: 60_000 };
    const scraper = newScraper(hypervisor, options);
    const first = scraper.scrape();
    const scrapeChoice = (): Promise<Collection> => scraper.scrape({ collectors: [scrape] });
    const waited = scrapeChoice();
    // It has to lack more than the tenth of its time that does not count.
    await new Promise((resolve) => setTimeout(resolve, 300));
    const surveys = (): number => hypervisor.calls.filter((call) => call === "survey").length;
    hypervisor.gate = gates[1].promise;
    gates[0].resolve();
    await first;
    await waitUntil("its turn has come", () => surveys() === 2);
    if (isKept) gates[1].resolve();
    if (isKept) await waited;
    const later = scrapeChoice();
    gates[1].resolve();
    assert.notEqual(await later, await waited);
    assert.equal(surveys(), 3);
  }
});

Deno.test("a collection that waits for its turn is made for the last scrape that joined it as well", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const gate = Promise.withResolvers<void>();
  hypervisor.gate = gate.promise;
  const scraper = newScraper(hypervisor);
  const first = scraper.scrape();
  const hasty = scraper.scrape({ collectors: [scrape], timeoutMilliseconds: 20 });
  const patient = scraper.scrape({ collectors: [scrape] });
  assert.equal((await hasty).findings.isUp, false);
  gate.resolve();
  assert.equal((await first).findings.isUp, true);
  assert.equal((await patient).findings.isUp, true);
});

Deno.test("a scrape that nobody waits for any more is one error, not two", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const gate = Promise.withResolvers<void>();
  hypervisor.gate = gate.promise;
  const scraper = newScraper(hypervisor);
  const first = scraper.scrape();
  await scraper.scrape({ collectors: [scrape], timeoutMilliseconds: 20 });
  gate.resolve();
  await first;
  const families = await scrapeFamilies(scraper);
  assert.equal(valueOf(families, "libvirt_nova_exporter_errors_total", { kind: "timeout" }), 1);
  assert.equal(valueOf(families, "libvirt_nova_exporter_collections_total"), 2);
});

Deno.test("a collection without libvirt is not shared for the minimum interval", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const scraper = newScraper(hypervisor, { minimumIntervalMilliseconds: 60_000 });
  hypervisor.refusal = REFUSED;
  assert.equal((await scraper.scrape()).findings.isUp, false);
  hypervisor.refusal = undefined;
  const up = await scraper.scrape();
  assert.equal(up.findings.isUp, true);
  assert.equal(await scraper.scrape(), up);
});

Deno.test("within the minimum interval a scrape with more time shares what is complete, and no more", async () => {
  const cases: readonly (readonly [verdict: number, isShared: boolean])[] = [
    [Verdict.complete, true],
    [Verdict.late, false],
  ];
  for (const [verdict, isShared] of cases) {
    const hypervisor = new FakeHypervisor([fakeDomain(1, { verdict })]);
    const scraper = newScraper(hypervisor, { minimumIntervalMilliseconds: 60_000 });
    const short = await scraper.scrape({ timeoutMilliseconds: 5_000 });
    const long = await scraper.scrape();
    assert.equal(long === short, isShared);
    assert.equal(await scraper.scrape({ timeoutMilliseconds: 5_000 }), long);
  }
});

Deno.test("a kept collection keeps its own strings when libvirt's dictionary starts anew", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const scraper = newScraper(hypervisor);
  const kept = await scraper.scrape();
  hypervisor.forgetStrings();
  const { numbers } = fakeDomain(1);
  hypervisor.domains[0] = fakeDomain(1, {
    numbers: { "balloon.rss": 1, ...numbers, "cpu.time": 7 },
  });
  const next = await scrapeFamilies(scraper);
  assert.equal(valueOf(next, "libvirt_nova_instance_cpu_time_total"), 7);
  const before = decodePage(kept.page("openmetrics"));
  assert.match(before, /^libvirt_nova_instance_cpu_time_total\{.*\} 1001$/m);
});

Deno.test("however many choices of collectors are asked for, few are made, and the usual one is the next", async () => {
  const chosen = COLLECTORS.filter(isSwitched).map((one) => [one]);
  assert.ok(chosen.length > 9);
  for (const minimumIntervalMilliseconds of [0, 60_000]) {
    const hypervisor = new FakeHypervisor([fakeDomain(1)]);
    const gate = Promise.withResolvers<void>();
    hypervisor.gate = gate.promise;
    const scraper = newScraper(hypervisor, { minimumIntervalMilliseconds });
    const order: string[] = [];
    const running: Promise<unknown>[] = [];
    const scrapeWhereRoom = (collectors: readonly Collector[]): void => {
      if (!scraper.hasRoomFor(collectors)) return;
      const name = collectors.map((one) => one.name).join();
      running.push(scraper.scrape({ collectors }).then(() => order.push(name)));
    };
    for (const collectors of chosen) scrapeWhereRoom(collectors);
    assert.equal(running.length, 8);
    scrapeWhereRoom([seed, scrape]);
    scrapeWhereRoom(chosen[0] ?? []);
    assert.equal(running.length, 10);
    gate.resolve();
    await Promise.all(running);
    assert.ok(order.indexOf("seed,scrape") <= 1, order.join(" "));
    assert.equal(hypervisor.calls.filter((call) => call === "survey").length, 9);
    // A choice keeps its place for as long as its collection would be shared.
    assert.equal(scraper.hasRoomFor(chosen.at(-1) ?? []), minimumIntervalMilliseconds === 0);
    assert.ok(scraper.hasRoomFor(chosen[3] ?? []));
    assert.ok(scraper.hasRoomFor([seed, scrape]));
  }
});
