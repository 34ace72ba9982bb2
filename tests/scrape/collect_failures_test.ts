import assert from "node:assert/strict";
import { Verdict } from "../../src/libvirt/hypervisor.ts";
import { scrape } from "../../src/metrics/collectors/scrape.ts";
import { COLLECTORS } from "../../src/metrics/mod.ts";
import { FakeHypervisor } from "../../testing/fake_hypervisor.ts";
import { parsePage, valueOf } from "../../testing/parse_page.ts";
import { decodePage, SILENT } from "../../testing/scraper_options.ts";
import { fakeDomain } from "../../testing/fake_domain.ts";
import { newScraper, REFUSED, scrapeFamilies } from "./scrape_fixture.ts";

Deno.test("without libvirt the page says so, each line is logged once, and it recovers by itself", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const lines: string[] = [];
  const at = (message: string): void => void lines.push(message);
  const scraper = newScraper(hypervisor, { log: { ...SILENT, info: at, warn: at, error: at } });
  hypervisor.refusal = REFUSED;
  for (let scrape = 0; scrape < 3; scrape++) {
    const result = await scraper.scrape();
    assert.equal(result.findings.isUp, false);
    assert.match(result.findings.reason ?? "", /Connection refused: start libvirtd/);
    const families = parsePage(decodePage(result.page("text")));
    assert.equal(valueOf(families, "libvirt_nova_up"), 0);
    assert.equal(families.has("libvirt_nova_instance_cpu_time_total"), false);
  }
  hypervisor.refusal = undefined;
  const families = await scrapeFamilies(scraper);
  assert.equal(valueOf(families, "libvirt_nova_up"), 1);
  assert.equal(valueOf(families, "libvirt_nova_instance_cpu_time_total"), 1_001);
  assert.equal(valueOf(families, "libvirt_nova_exporter_errors_total", { kind: "connection" }), 3);
  assert.deepEqual(lines, ["libvirt is not available", "Over: libvirt is not available"]);
});

Deno.test("an incomplete instance says so, by reason, and keeps what there is", async () => {
  const verdicts = [
    Verdict.failed,
    Verdict.busy,
    Verdict.withheld,
    Verdict.quarantined,
    Verdict.late,
    Verdict.locked,
    Verdict.suspended,
  ];
  const numbers = { "cpu.time": 5 };
  const hypervisor = new FakeHypervisor([
    fakeDomain(9),
    ...verdicts.map((verdict, position) => fakeDomain(position, { verdict, numbers })),
    fakeDomain(8, { verdict: Verdict.gone }),
  ]);
  const families = await scrapeFamilies(newScraper(hypervisor));
  const success = families.get("libvirt_nova_instance_scrape_success")?.samples ?? [];
  assert.deepEqual(success.map(({ value }) => value), [1, 0, 0, 0, 0, 0, 0, 1]);
  assert.equal(families.get("libvirt_nova_instance_cpu_time_total")?.samples.length, 8);
  assert.equal(families.get("libvirt_nova_instance_memory_alloc_kb")?.samples.length, 1);
  const reasons = families.get("libvirt_nova_exporter_instances_incomplete")?.samples ?? [];
  assert.deepEqual(
    reasons.map(({ labels, value }) => [labels["reason"], value]),
    [
      ...[["failed", 1], ["busy", 1], ["withheld", 1], ["quarantined", 1], ["late", 1]],
      ...[["locked", 1], ["suspended", 1], ["unread", 0]],
    ],
  );
});

Deno.test("a defect in a scrape costs one page and is counted", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const scraper = newScraper(hypervisor);
  const { measure } = hypervisor;
  hypervisor.measure = () => Promise.reject(new Error("on purpose"));
  const result = await scraper.scrape();
  assert.equal(result.findings.isUp, false);
  assert.equal(result.findings.reason, "Internal error: on purpose");
  const { isUp, reason } = scraper.status;
  assert.deepEqual([isUp, reason], [false, "Internal error: on purpose"]);
  hypervisor.measure = measure;
  const families = await scrapeFamilies(scraper);
  assert.equal(valueOf(families, "libvirt_nova_up"), 1);
  assert.equal(valueOf(families, "libvirt_nova_exporter_errors_total", { kind: "internal" }), 1);
});

Deno.test("failed calls are counted by function and code and logged when they begin", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const lines: unknown[] = [];
  const warn = (_: string, fields?: Readonly<Record<string, unknown>>): void =>
    void lines.push(fields);
  const scraper = newScraper(hypervisor, { log: { ...SILENT, warn } });
  const message = "Requested operation is not valid: cgroup CPUACCT controller is not mounted";
  hypervisor.failures = [
    { call: "virDomainGetCPUStats", code: 55, origin: 10, message, count: 3, handle: 0 },
  ];
  await scraper.scrape();
  const families = await scrapeFamilies(scraper);
  const labels = { call: "virDomainGetCPUStats", code: "55" };
  assert.equal(valueOf(families, "libvirt_nova_exporter_libvirt_errors_total", labels), 6);
  assert.equal(valueOf(families, "libvirt_nova_exporter_errors_total", { kind: "call" }), 6);
  assert.deepEqual(lines, [
    { call: "virDomainGetCPUStats", code: 55, count: 3, instance: "instance-1", reason: message },
  ]);
});

Deno.test("a list that is late costs no instance, and says in one line whom it waits for", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1), fakeDomain(2)]);
  const lines: (readonly [string, unknown])[] = [];
  const note = (message: string, fields?: Readonly<Record<string, unknown>>): void => {
    lines.push([message, fields?.["instance"]]);
  };
  const scraper = newScraper(hypervisor, { log: { ...SILENT, warn: note, info: note } });
  const fresh = await scrapeFamilies(scraper);
  assert.equal(valueOf(fresh, "libvirt_nova_exporter_list_age_seconds"), 0);
  hypervisor.domains[1] = fakeDomain(2, { verdict: Verdict.locked, numbers: {}, texts: {} });
  hypervisor.listFailure = {
    call: "virConnectGetAllDomainStats",
    code: 0,
    origin: 0,
    message: "libvirt did not answer in time",
    count: 1,
  };
  hypervisor.listAgeSeconds = 12.5;
  for (let scrapes = 0; scrapes < 2; scrapes++) {
    const late = await scrapeFamilies(scraper);
    assert.equal(valueOf(late, "libvirt_nova_up"), 1);
    assert.equal(valueOf(late, "libvirt_nova_exporter_list_age_seconds"), 12.5);
    assert.equal(valueOf(late, "libvirt_nova_exporter_errors_total", { kind: "survey" }), 0);
    const success = late.get("libvirt_nova_instance_scrape_success")?.samples ?? [];
    assert.deepEqual(success.map(({ value }) => value), [1, 0]);
  }
  hypervisor.listFailure = undefined;
  await scraper.scrape();
  const text = "libvirt does not list its domains, going on with the last list";
  assert.deepEqual(lines, [[text, "instance-2"], [`Over: ${text}`, "instance-2"]]);
});

Deno.test("a list that libvirt refuses counts as an error of the survey, and costs no instance", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  hypervisor.listFailure = { ...REFUSED, call: "virConnectGetAllDomainStats", code: 1, origin: 10 };
  const families = await scrapeFamilies(newScraper(hypervisor));
  assert.equal(valueOf(families, "libvirt_nova_up"), 1);
  assert.equal(valueOf(families, "libvirt_nova_instance_scrape_success"), 1);
  assert.equal(valueOf(families, "libvirt_nova_exporter_errors_total", { kind: "survey" }), 1);
});

Deno.test("a question that is never answered costs one page, and the next one is asked", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const scraper = newScraper(hypervisor, { timeoutMilliseconds: 50 });
  const { measure } = hypervisor;
  hypervisor.measure = () => new Promise(() => {});
  assert.equal((await scraper.scrape()).findings.isUp, false);
  hypervisor.measure = measure;
  const end = performance.now() + 10_000;
  while (!(await scraper.scrape()).findings.isUp) assert.ok(performance.now() < end);
});

Deno.test("a hung guest is one line in the log, also while scrapes for some collectors do not ask it", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1, { verdict: Verdict.quarantined })]);
  const { measure } = hypervisor;
  hypervisor.measure = async (question, handles) => {
    const measurement = await measure.call(hypervisor, question, handles);
    return question.groups === 0
      ? { ...measurement, verdicts: Uint8Array.of(Verdict.complete) }
      : measurement;
  };
  const lines: string[] = [];
  const at = (message: string): void => void lines.push(message);
  const scraper = newScraper(hypervisor, { log: { ...SILENT, info: at, warn: at } });
  for (let round = 0; round < 3; round++) {
    await scraper.scrape();
    await scraper.scrape({ collectors: [scrape] });
  }
  assert.equal(scraper.status.problems.length, 1);
  hypervisor.domains[0] = fakeDomain(1);
  await scraper.scrape();
  const message = "An instance does not answer libvirt";
  assert.deepEqual(lines, [message, `Over: ${message}`]);
});

Deno.test("no secret that libvirt repeats in a failure leaves the scrape", async () => {
  const hypervisor = new FakeHypervisor([fakeDomain(1)]);
  const told: unknown[] = [];
  const take = (message: string, fields?: unknown): void => void told.push(message, fields);
  const scraper = newScraper(hypervisor, {
    log: { debug: take, info: take, warn: take, error: take },
    hideSecrets: (text) => text.replaceAll("sesame", "***"),
  });
  const message = "user:sesame@host: no route";
  hypervisor.failures = [
    { call: "virDomainGetCPUStats", code: 55, origin: 10, message, count: 1, handle: 0 },
  ];
  told.push(decodePage((await scraper.scrape()).page("text")), scraper.status);
  hypervisor.refusal = { ...REFUSED, message };
  const { findings, ...collection } = await scraper.scrape();
  told.push(findings.reason, collection, scraper.status);
  const text = JSON.stringify(told);
  assert.ok(!text.includes("sesame"), text);
  assert.ok(text.split("user:***@host: no route").length > 4, text);
});

Deno.test("a failing call names whom it concerns now: one after the other, and those that come to it", async () => {
  const hypervisor = new FakeHypervisor([1, 2, 3].map((number) => fakeDomain(number)));
  const lines: (readonly unknown[])[] = [];
  const note = (message: string, fields?: Readonly<Record<string, unknown>>): void => {
    lines.push([message, fields?.["instance"], fields?.["instances"]]);
  };
  const scraper = newScraper(hypervisor, { log: { ...SILENT, info: note, warn: note } });
  const scrapeWithFailing = async (...failing: readonly number[]): Promise<void> => {
    hypervisor.domains = [1, 2, 3].map((number) => {
      const verdict = failing.includes(number) ? Verdict.failed : Verdict.complete;
      return fakeDomain(number, { verdict });
    });
    const [first, ...others] = failing;
    hypervisor.failures = first === undefined ? [] : [{
      call: "virDomainGetCPUStats",
      code: 55,
      origin: 10,
      message: "no",
      count: 1 + others.length,
      handle: first - 1,
    }];
    await scraper.scrape();
  };
  await scrapeWithFailing(1);
  await scrapeWithFailing(1);
  await scrapeWithFailing(2);
  await scrapeWithFailing(1, 2, 3);
  await scrapeWithFailing(3);
  assert.deepEqual(scraper.status.problems.map(({ text }) => text), [
    "A libvirt call fails: instance-3: no",
  ]);
  await scrapeWithFailing();
  const message = "A libvirt call fails";
  assert.deepEqual(lines, [
    [message, "instance-1", undefined],
    [`Still: ${message}`, "instance-2", undefined],
    [`Still: ${message}`, "instance-3, instance-1, instance-2", 3],
    [`Over: ${message}`, "instance-1, instance-2, instance-3", 3],
  ]);
});

Deno.test("a storage pool about which libvirt does not answer is named", async () => {
  const hypervisor = new FakeHypervisor([]);
  const pool = {
    kind: "storage_pool",
    texts: { name: "images" },
    numbers: { volumes: 1 },
  } as const;
  hypervisor.entities = [pool];
  const failure = { call: "virStoragePoolGetInfo", code: 38, origin: 18, message: "no", count: 1 };
  hypervisor.failures = [failure];
  const told: unknown[] = [];
  const warn = (_: string, fields?: unknown): void => void told.push(fields);
  const scraper = newScraper(hypervisor, {
    collectors: COLLECTORS,
    log: { ...SILENT, warn },
  });
  await scraper.scrape();
  const { call, code, count } = failure;
  assert.deepEqual(told, [{ call, code, count, pool: "images", reason: "no" }]);
  assert.deepEqual(scraper.status.problems.map(({ text }) => text), [
    "A libvirt call fails: images: no",
  ]);
});
