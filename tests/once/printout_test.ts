import assert from "node:assert/strict";
import type { CallFailure } from "../../src/libvirt/hypervisor.ts";
import { COLLECTORS } from "../../src/metrics/mod.ts";
import { printout } from "../../src/once/printout.ts";
import { FakeHypervisor } from "../../testing/fake_hypervisor.ts";
import { onceScraper, StandingClock, UNIX_MILLISECONDS } from "../../testing/once.ts";
import { parsePage } from "../../testing/parse_page.ts";
import { recordedDomain } from "../../testing/recorded_domain.ts";
import { decodePage } from "../../testing/scraper_options.ts";
import type { OnceFormat } from "../../src/config/flags.ts";

const REFUSAL: CallFailure = {
  call: "virConnectOpenAuth",
  code: 38,
  origin: 7,
  message: "Failed to connect\x1b[2J",
  count: 1,
};

interface Printed {
  readonly isUp: boolean;
  readonly text: string;
  readonly waits: readonly number[];
}

async function print(
  format: OnceFormat,
  hypervisor: FakeHypervisor,
  onWait: () => void = (): void => {},
): Promise<Printed> {
  const scraper = onceScraper(hypervisor, COLLECTORS);
  const clock = new StandingClock(onWait);
  const { isUp, chunks } = await printout(format, {
    collect: () => scraper.scrape(),
    clock,
    terminalColumns: undefined,
  });
  return { isUp, text: decodePage([...chunks]), waits: clock.waits };
}

function recorded(): FakeHypervisor {
  return new FakeHypervisor([recordedDomain("libvirt-12.8", 1), recordedDomain("libvirt-12.8", 2)]);
}

Deno.test("the pages and JSON are of one collection", async () => {
  for (const format of ["text", "openmetrics", "json"] as const) {
    const hypervisor = recorded();
    const { isUp, text, waits } = await print(format, hypervisor);
    assert.deepEqual([isUp, waits], [true, []], format);
    assert.equal(hypervisor.calls.filter((call) => call === "survey").length, 1);
    if (format === "text") assert.ok(parsePage(text).has("libvirt_nova_up"));
    if (format === "openmetrics") assert.match(text, /\n# EOF\n$/);
    if (format === "json") assert.ok(JSON.parse(text).length > 100);
  }
});

Deno.test("a guest that reports more free memory than it has shows no used memory, in no format", async () => {
  const derived = [
    "memory_used_bytes",
    "memory_used_ratio",
    "memory_used_kb",
    "memory_cache_used_kb",
  ]
    .map((name) => `libvirt_nova_instance_${name}`);
  const isDerived = (name: string): boolean => derived.includes(name);
  const cases: readonly (readonly [available: number, usable: number, unused: number])[] = [
    [1_048_576, 1_153_434, 1_200_000],
    [0, 524_288, 524_288],
  ];
  for (const [available, usable, unused] of cases) {
    const [first, second] = [1, 2].map((number) => recordedDomain("libvirt-12.8", number));
    assert.ok(first !== undefined && second !== undefined);
    const balloon = {
      "balloon.available": available,
      "balloon.usable": usable,
      "balloon.unused": unused,
      "balloon.last-update": UNIX_MILLISECONDS / 1_000,
    };
    const numbers = { ...first.numbers, ...balloon };
    const printed = async (format: OnceFormat): Promise<string> =>
      (await print(format, new FakeHypervisor([{ ...first, numbers }, second]))).text;
    const page = parsePage(await printed("text"));
    const found = derived.map((name) => [
      name,
      page.get(name)?.samples.map(({ labels }) => labels["libvirtname"]),
    ]);
    assert.deepEqual(found, derived.map((name) => [name, [second.name]]));
    const json: readonly {
      readonly name: string;
      readonly metrics: readonly { readonly labels: Record<string, string> }[];
    }[] = JSON.parse(await printed("json"));
    const ofFirst = json.filter(({ name }) => isDerived(name)).flatMap(({ metrics }) =>
      metrics.map(({ labels }) => labels["libvirtname"])
    );
    assert.deepEqual(ofFirst, derived.map(() => second.name));
    const lines = (await printed("table")).split("\n");
    const heading = lines.find((line) => line.startsWith("NAME")) ?? "";
    const row = lines.find((line) => line.includes("é 1")) ?? "";
    const end = heading.indexOf("MEM USED") + "MEM USED".length;
    assert.match(row.slice(0, end), / -$/);
  }
});

Deno.test("the table is of two collections a second apart", async () => {
  const hypervisor = recorded();
  const { isUp, text, waits } = await print("table", hypervisor, () => {
    hypervisor.domains = hypervisor.domains.map((domain, position) => ({
      ...domain,
      numbers: {
        ...domain.numbers,
        "cpu.time": (domain.numbers["cpu.time"] ?? 0) + (position + 1) * 250e6,
        "block.0.wr.bytes": (domain.numbers["block.0.wr.bytes"] ?? 0) + 4096,
      },
    }));
  });
  assert.deepEqual([isUp, waits], [true, [1_000]]);
  const lines = text.split("\n");
  assert.match(lines[0] ?? "", /^2 instances, /);
  assert.match(lines[2] ?? "", /^NAME .* %CPU /);
  assert.match(lines[3] ?? "", / 50\.0 .* 4\.0 KiB /);
  assert.match(lines[4] ?? "", / 25\.0 .* 4\.0 KiB /);
});

Deno.test("without libvirt there is one line, and no second attempt", async () => {
  const hypervisor = recorded();
  hypervisor.refusal = REFUSAL;
  assert.deepEqual(await print("table", hypervisor), {
    isUp: false,
    text: "libvirt did not answer: Failed to connect?[2J\n",
    waits: [],
  });
});

Deno.test("what libvirt said before it went away is shown without rates", async () => {
  const hypervisor = recorded();
  const { isUp, text } = await print("table", hypervisor, () => hypervisor.refusal = REFUSAL);
  assert.equal(isUp, false);
  const [host = "", table = "", notes] = text.split("\n\n");
  assert.match(host, /^2 instances, /);
  const rows = table.split("\n").slice(1);
  assert.equal(rows.length, 2);
  for (const row of rows) assert.match(row, / running +\d+ +- +- +\S+ MiB +- +- +- +-$/);
  assert.equal(
    notes,
    "There are no rates, for libvirt did not answer a second time: Failed to connect?[2J\n",
  );
});

Deno.test("a hypervisor without instances has a table that says so", async () => {
  const { isUp, text } = await print("table", new FakeHypervisor([]));
  assert.equal(isUp, true);
  assert.match(text, /^0 instances, 0 vCPUs, 0 B memory allocated\n\nNo instances: /);
});

Deno.test("JSON of a hypervisor without libvirt says that it is not up", async () => {
  const hypervisor = recorded();
  hypervisor.refusal = REFUSAL;
  const { isUp, text } = await print("json", hypervisor);
  assert.equal(isUp, false);
  const families: { name: string; metrics: unknown }[] = JSON.parse(text);
  assert.deepEqual(
    families.find(({ name }) => name === "libvirt_nova_up")?.metrics,
    [{ value: "0" }],
  );
});

Deno.test("a guest that answers late does not move the time for which the others' values stand", async () => {
  let answeredAt = 0;
  class LateHypervisor extends FakeHypervisor {
    override async measure(
      ...question: Parameters<FakeHypervisor["measure"]>
    ): ReturnType<FakeHypervisor["measure"]> {
      const measurement = await super.measure(...question);
      answeredAt = performance.now();
      return measurement;
    }
  }
  const hypervisor = new LateHypervisor([recordedDomain("libvirt-12.8", 1)]);
  const { findings: { measuredAt } } = await onceScraper(hypervisor, COLLECTORS).scrape();
  assert.ok(measuredAt !== undefined && measuredAt < answeredAt);
});
