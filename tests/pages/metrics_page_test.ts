import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { gunzipSync } from "node:zlib";
import { cpu } from "../../src/metrics/collectors/cpu.ts";
import { scrape } from "../../src/metrics/collectors/scrape.ts";
import { state } from "../../src/metrics/collectors/state.ts";
import type { Collector } from "../../src/metrics/family.ts";
import { COLLECTORS, isSwitched } from "../../src/metrics/mod.ts";
import { createMetricsPage } from "../../src/pages/metrics_page.ts";
import { Scraper } from "../../src/scrape/scraper.ts";
import type { Page } from "../../src/web/answer.ts";
import { FakeHypervisor } from "../../testing/fake_hypervisor.ts";
import { novaDomainXml, numberedUuid } from "../../testing/nova_domain.ts";
import { parsePage } from "../../testing/parse_page.ts";
import { decodePage, scraperOptions } from "../../testing/scraper_options.ts";

const ON = [state, cpu, scrape];

/** Asks the page of a hypervisor with one instance. */
function newPage(on: readonly Collector[] = ON): {
  readonly hypervisor: FakeHypervisor;
  readonly ask: (query?: string, headers?: Record<string, string>) => Promise<Page>;
} {
  const uuid = numberedUuid(1);
  const hypervisor = new FakeHypervisor([{
    uuid,
    id: 1,
    name: "instance-1",
    xml: novaDomainXml({ name: "instance-1", uuid, novaName: "web" }),
    numbers: { "cpu.time": 2e9, "state.state": 1, "state.reason": 1 },
  }]);
  const page = createMetricsPage(new Scraper(scraperOptions(hypervisor, on)), on);
  const ask = async (query = "", headers: Record<string, string> = {}): Promise<Page> =>
    await page({ method: "GET", query, headers, signal: new AbortController().signal });
  return { hypervisor, ask };
}

Deno.test("the page is in the format and the coding that the client wants", async () => {
  const { ask } = newPage();
  const text = await ask();
  assert.equal(text.contentType, "text/plain; version=0.0.4; charset=utf-8");
  assert.ok(parsePage(decodePage(text.chunks)).has("libvirt_nova_instance_cpu_seconds_total"));
  const accept = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
  const openMetrics = await ask("", { accept });
  assert.equal(
    openMetrics.contentType,
    "application/openmetrics-text; version=1.0.0; charset=utf-8",
  );
  assert.match(decodePage(openMetrics.chunks), /\n# EOF\n$/);
  const zipped = await ask("", { "accept-encoding": "gzip" });
  assert.equal(zipped.headers?.["Content-Encoding"], "gzip");
  const bytes = new Uint8Array(gunzipSync(Buffer.concat([...zipped.chunks])));
  assert.ok(parsePage(decodePage([bytes])).has("libvirt_nova_up"));
  for (const page of [text, openMetrics, zipped]) {
    assert.equal(page.headers?.["Vary"], "Accept, Accept-Encoding");
  }
});

Deno.test("collect[] restricts the page, and names that are wrong are told with those that are right", async () => {
  const { hypervisor, ask } = newPage();
  const families = parsePage(decodePage((await ask("collect[]=state&collect%5B%5D=state")).chunks));
  assert.ok(families.has("libvirt_nova_instance_state_code"));
  assert.ok(families.has("libvirt_nova_instance_scrape_success"));
  assert.ok(!families.has("libvirt_nova_instance_cpu_seconds_total"));
  const surveys = hypervisor.calls.length;
  const cases: readonly (readonly [query: string, answer: string])[] = [
    ["collect[]=state&collect[]=nope", 'Unknown collector: "nope"; name some of state, cpu'],
    ["collect[]=", 'Unknown collector: ""; name some of state, cpu'],
    ["collect[]=scrape", 'Unknown collector: "scrape"; name some of state, cpu'],
    ["collect[]=perf", 'Collector is switched off: "perf"; name some of state, cpu'],
    ["exclude[]=nope", 'Unknown collector: "nope"; name some of state, cpu'],
    ["exclude[]=scrape", 'Unknown collector: "scrape"; name some of state, cpu'],
    ["collect[]=cpu&exclude[]=state", "collect[] and exclude[] exclude each other: give one"],
    ["collect=cpu", 'Unknown parameter "collect": write collect[]=NAME'],
    ["exclude=cpu&collect[]=cpu", 'Unknown parameter "exclude": write exclude[]=NAME'],
    ["collect[]=%0A%E2%80%AE", 'Unknown collector: "\\n?"; name some of state, cpu'],
  ];
  for (const [query, answer] of cases) {
    const page = await ask(query);
    assert.equal(page.status, 400);
    assert.equal(decodePage(page.chunks), `${answer}\n`);
  }
  const long = decodePage((await ask(`collect[]=${"x".repeat(10_000)}`)).chunks);
  assert.ok(long.length < 200);
  assert.equal(hypervisor.calls.length, surveys);
});

Deno.test("exclude[] leaves collectors out, those that are off as well", async () => {
  const { ask } = newPage();
  const has = async (query: string): Promise<readonly boolean[]> => {
    const page = await ask(query);
    assert.equal(page.status, 200, query);
    const families = parsePage(decodePage(page.chunks));
    return [
      families.has("libvirt_nova_instance_state_code"),
      families.has("libvirt_nova_instance_cpu_seconds_total"),
      families.has("libvirt_nova_instance_scrape_success"),
    ];
  };
  assert.deepEqual(await has("exclude[]=state"), [false, true, true]);
  assert.deepEqual(await has("exclude[]=perf"), [true, true, true]);
  assert.deepEqual(await has("exclude[]=state&exclude%5B%5D=cpu"), [false, false, true]);
  assert.deepEqual(await has("module=x&excluded=1"), [true, true, true]);
});

Deno.test("a client that asks for ever other collectors is told to come again, and the others get their page", async () => {
  const on = COLLECTORS.filter(isSwitched);
  const { hypervisor, ask } = newPage([...on, scrape]);
  const gate = Promise.withResolvers<void>();
  hypervisor.gate = gate.promise;
  const choices = on.slice(1).map(({ name }) => ask(`collect[]=${on[0]?.name}&collect[]=${name}`));
  const usual = ask();
  gate.resolve();
  const pages = await Promise.all(choices);
  assert.deepEqual(
    pages.map(({ status }) => status),
    pages.map((_, index) => index < 8 ? 200 : 503),
  );
  const refused = pages.at(-1);
  assert.equal(refused?.status, 503);
  assert.equal(refused.headers?.["Retry-After"], "1");
  assert.match(decodePage(refused.chunks), /^Too many different choices of collectors [^\n]+\n$/);
  assert.match(decodePage((await usual).chunks), /^libvirt_nova_up 1$/m);
  assert.equal((await ask(`collect[]=${on.at(-1)?.name}`)).status, 200);
});
