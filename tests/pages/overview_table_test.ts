import assert from "node:assert/strict";
import type { InstanceFacts } from "../../src/once/overview.ts";
import { instanceTable } from "../../src/pages/overview_table.ts";
import { instanceFacts } from "../../testing/overview_facts.ts";

const ALL = { cpu: true, memory: true, disk: true, network: true };

function render(instances: readonly InstanceFacts[], asked = ALL): string {
  return instanceTable(instances, { asked, age: "3 s", isPast: false }).markup;
}

/** The cells of the only instance, by the class of their column, without further classes; `name` is the first. */
function cellsOf(changes: Partial<InstanceFacts>): Readonly<Record<string, string>> {
  const [, row = ""] = render([instanceFacts(changes)]).split("<tbody>\n");
  const cells = row.trim().split(/<td class="?(?<name>\w)[^>]*>/);
  const [name = "", ...rest] = cells;
  const pairs = rest.flatMap((text, index) =>
    index % 2 === 0 ? [[text, (rest[index + 1] ?? "").replace(/\s*<\/tbody>.*$/s, "")]] : []
  );
  return Object.fromEntries([["name", name.replace("<tr><th scope=row>", "")], ...pairs]);
}

Deno.test("instanceTable() shows what an instance is and does", () => {
  assert.deepEqual(cellsOf({}), {
    name: "web-1<small>instance-00000001</small>",
    p: "webshop",
    s: "running",
    v: "2",
    c: "50.0 %",
    m: "1.0 GiB of 4.0 GiB",
    r: "1.0 KiB",
    w: "2.0 KiB",
    x: "3.0 KiB",
    t: "4.0 KiB",
    a: "3 s",
  });
});

Deno.test("instanceTable() has a dash for what is not known, and says why it is not", () => {
  const nothing: Partial<InstanceFacts> = {
    name: "instance-00000001",
    project: undefined,
    state: undefined,
    incomplete: "it did not <answer> in time",
    virtualCpus: undefined,
    cores: undefined,
    usedBytes: undefined,
    memoryBytes: undefined,
    readBytesPerSecond: undefined,
    writtenBytesPerSecond: undefined,
    receivedBytesPerSecond: undefined,
    transmittedBytesPerSecond: undefined,
  };
  const { name, a, ...rest } = cellsOf(nothing);
  assert.equal(
    name,
    "instance-00000001<small class=i>Incomplete: it did not &lt;answer&gt; in time</small>",
  );
  assert.equal(a, "3 s");
  assert.deepEqual(Object.values(rest), Array(9).fill("–"));
  assert.equal(cellsOf({ usedBytes: undefined })["m"], "4.0 GiB");
});

Deno.test("instanceTable() tells states apart", () => {
  const cases:
    readonly (readonly [state: string | undefined, reason: string | undefined, cell: string])[] = [
      ["running", undefined, "<td class=s>running"],
      ["paused", "io error", '<td class="s i">paused: io error'],
      ["crashed", "panicked", '<td class="s e">crashed: panicked'],
      ["shutoff", "destroyed", '<td class="s o">shutoff: destroyed'],
      ["77", undefined, '<td class="s i">77'],
      [undefined, undefined, '<td class="s o">–'],
    ];
  for (const [state, reason, cell] of cases) {
    const text = render([instanceFacts({ state, reason })]);
    assert.ok(text.includes(cell), text);
  }
});

Deno.test("instanceTable() has bars for the share of the vCPUs and of the memory, where both are known", () => {
  const bars = (changes: Partial<InstanceFacts>): readonly (string | undefined)[] => {
    const text = render([instanceFacts(changes)]);
    return [/<td class="c b(\d+)">/.exec(text)?.[1], /<td class="m b(\d+)">/.exec(text)?.[1]];
  };
  const cases: readonly (readonly [Partial<InstanceFacts>, cpu?: string, memory?: string])[] = [
    [{ cores: 1, virtualCpus: 2, usedBytes: 1, memoryBytes: 4 }, "25", "13"],
    [{ cores: 0, virtualCpus: 2, usedBytes: 4, memoryBytes: 4 }, "0", "50"],
    [{ cores: 1e-9, virtualCpus: 512, usedBytes: 1, memoryBytes: 1e12 }, "1", "1"],
    [{ cores: 7, virtualCpus: 2, usedBytes: 9, memoryBytes: 4 }, "50", "50"],
    [{ cores: undefined, usedBytes: undefined }],
    [{ virtualCpus: undefined, memoryBytes: undefined }],
    [{ virtualCpus: 0, memoryBytes: 0 }],
  ];
  for (const [changes, cpu, memory] of cases) assert.deepEqual(bars(changes), [cpu, memory]);
});

Deno.test("instanceTable() has no columns for what no collector asks for", () => {
  const headings = (asked: typeof ALL): readonly string[] =>
    [...render([instanceFacts()], asked).matchAll(/<th scope="col"[^>]*>([^<]+)/g)]
      .map(([, heading = ""]) => heading);
  const usual = ["Instance", "Project", "State", "vCPUs"];
  const rates = ["Read/s", "Written/s", "Received/s", "Sent/s"];
  assert.deepEqual(headings(ALL), [...usual, "CPU", "Memory", ...rates, "Age"]);
  const nothing = { cpu: false, memory: false, disk: false, network: false };
  assert.deepEqual(headings(nothing), [...usual, "Memory", "Age"]);
});

Deno.test("instanceTable() keeps huge values readable", () => {
  const cells = cellsOf({
    virtualCpus: 4_294_967_295,
    cores: 2 ** 64 / 1e9,
    usedBytes: 2 ** 63,
    memoryBytes: 2 ** 64,
    readBytesPerSecond: 2 ** 64,
  });
  assert.deepEqual([cells["v"], cells["c"], cells["m"], cells["r"]], [
    "4294967295",
    "1844674407371 %",
    "8.0 EiB of 16.0 EiB",
    "16.0 EiB",
  ]);
});
