import assert from "node:assert/strict";
import type { InstanceFacts, Overview } from "../../src/once/overview.ts";
import { renderTable, renderUnanswered } from "../../src/once/table.ts";
import { displayWidth } from "../../src/once/terminal_text.ts";
import { instanceFacts } from "../../testing/overview_facts.ts";
import { assertGolden } from "../../testing/recorded_domain.ts";

const KIBIBYTE = 1024;
const MEBIBYTE = 2 ** 20;
const GIBIBYTE = 2 ** 30;

function instance(changes: Partial<InstanceFacts> = {}): InstanceFacts {
  return instanceFacts({
    libvirtName: "instance-1",
    cores: 0.123,
    usedBytes: 1.2 * GIBIBYTE,
    readBytesPerSecond: 0,
    writtenBytesPerSecond: 48 * KIBIBYTE,
    receivedBytesPerSecond: 1.5 * MEBIBYTE,
    transmittedBytesPerSecond: 220 * KIBIBYTE,
    ...changes,
  });
}

const NOTHING_MEASURED: Partial<InstanceFacts> = {
  cores: undefined,
  usedBytes: undefined,
  readBytesPerSecond: undefined,
  writtenBytesPerSecond: undefined,
  receivedBytesPerSecond: undefined,
  transmittedBytesPerSecond: undefined,
};

const ALL_ASKED: Overview["asked"] = { cpu: true, memory: true, disk: true, network: true };

function overview(instances: readonly InstanceFacts[], changes: Partial<Overview> = {}): Overview {
  return {
    host: {
      instances: instances.filter(({ isActive }) => isActive).length,
      inactive: instances.filter(({ isActive }) => !isActive).length,
      virtualCpus: 26,
      cpus: 64,
      allocatedBytes: 52 * GIBIBYTE,
      memoryBytes: 251.4 * GIBIBYTE,
    },
    instances,
    asked: ALL_ASKED,
    rateSeconds: 1,
    notes: [],
    ...changes,
  };
}

/** All that may be in a table: busy and idle, odd states, hostile and wide names, gaps. */
const MIXED = overview([
  instance({ name: "postgres-primary", virtualCpus: 8, cores: 3.852, memoryBytes: 64 * GIBIBYTE }),
  instance({ name: "batch", project: "research-and-development", virtualCpus: 64, cores: 63.98 }),
  instance({ name: "数据库服务器", project: "电商" }),
  instance({ name: "🚀 rocket 👩‍💻", project: "שלום" }),
  instance({ name: "\x1b[2J\x1b]0;owned\x07evil\u202Egnp", project: "a\nb" }),
  instance({ name: "a-name-that-is-far-longer-than-any-column-of-a-table-should-ever-be-drawn" }),
  instance({ name: "instance-000001a6", project: undefined }),
  instance({ name: "stuck", state: "paused", reason: "io error", cores: 0 }),
  instance({ name: "hung", ...NOTHING_MEASURED }),
  instance({
    ...NOTHING_MEASURED,
    name: "old",
    isActive: false,
    state: "shutoff",
    reason: "destroyed",
  }),
], { notes: ["libvirt did not answer all that was asked about 1 instance: hung"] });

for (const columns of [undefined, 200, 120, 80, 40, 20] as const) {
  Deno.test(`the table in ${columns ?? "unlimited"} columns is the golden one`, () => {
    assertGolden(`once/table-${columns ?? "unlimited"}.txt`, renderTable(MIXED, columns));
  });
}

Deno.test("no line is wider than the terminal, and columns line up", () => {
  for (let columns = 1; columns <= 250; columns++) {
    const [, table = ""] = renderTable({ ...MIXED, notes: [] }, columns).split("\n\n");
    const lines = table.trimEnd().split("\n");
    assert.equal(lines.length, MIXED.instances.length + 1);
    for (const line of lines) {
      assert.ok(displayWidth(line) <= columns, `${columns} columns: ${line}`);
    }
    // The last column is at the right, so all lines end together; with the name alone they are at the left.
    const widths = new Set(lines.map(displayWidth));
    if (columns >= 20) assert.equal(widths.size, 1, `${columns} columns:\n${table}`);
  }
});

Deno.test("nothing but line feeds and the mark that bounds right-to-left text is unprintable", () => {
  for (const columns of [undefined, 80, 20]) {
    const text = renderTable(MIXED, columns).replaceAll("\n", "");
    assert.doesNotMatch(text, /[\p{Cc}\p{Zl}\p{Zp}\u202A-\u202E\u2066-\u2069]/u);
  }
});

Deno.test("names are not cut, and no column is left out, where the output is no terminal", () => {
  const text = renderTable(MIXED, undefined);
  assert.doesNotMatch(text, /…/);
  assert.match(text, /a-name-that-is-far-longer-than-any-column-of-a-table-should-ever-be-drawn/);
});

Deno.test("columns that no collector gives values for are left out", () => {
  const asked = { ...ALL_ASKED, disk: false, cpu: false };
  const [, table = ""] = renderTable(overview([instance()], { asked }), undefined).split("\n\n");
  assert.match(table, /^NAME +PROJECT +STATE +VCPUS +MEM USED +MEMORY +RX\/s +TX\/s\n/);
});

Deno.test("a table says what it has no room for", () => {
  const text = renderTable(overview([instance()]), 40);
  assert.match(text.replaceAll("\n", " "), /No room for PROJECT, .*: widen the terminal/);
  assert.doesNotMatch(renderTable(overview([instance()]), 200), /No room/);
});

Deno.test("a hypervisor without instances has a line that says so", () => {
  const host = {
    ...MIXED.host,
    instances: 0,
    inactive: 0,
    virtualCpus: undefined,
    allocatedBytes: undefined,
  };
  assert.equal(
    renderTable(overview([], { host }), undefined),
    "0 instances, 0 vCPUs on 64 CPUs, 0 B of 251 GiB memory allocated\n\n" +
      "No instances: none is active here, or the flags --domain.* leave them out\n",
  );
});

Deno.test("the line about the host says what is known", () => {
  const hosts: readonly (readonly [Partial<Overview["host"]>, string])[] = [
    [{}, "1 instance, 26 vCPUs on 64 CPUs, 52.0 GiB of 251 GiB memory allocated"],
    [
      { inactive: 2 },
      "1 instance and 2 shut off, 26 vCPUs on 64 CPUs, 52.0 GiB of 251 GiB memory allocated",
    ],
    [
      { cpus: undefined, memoryBytes: undefined },
      "1 instance, 26 vCPUs, 52.0 GiB memory allocated",
    ],
    [
      { virtualCpus: undefined, allocatedBytes: undefined },
      "1 instance, - vCPUs on 64 CPUs, - of 251 GiB memory allocated",
    ],
  ];
  for (const [changes, line] of hosts) {
    const { host, ...rest } = overview([instance()]);
    const [first] = renderTable({ ...rest, host: { ...host, ...changes } }, undefined).split("\n");
    assert.equal(first, line);
  }
});

Deno.test("500 instances are 500 lines", () => {
  const many = Array.from({ length: 500 }, (_, number) => instance({ name: `web-${number}` }));
  const [, table = ""] = renderTable(overview(many), 120).split("\n\n");
  assert.equal(table.trimEnd().split("\n").length, 501);
});

Deno.test("an unanswered question is one paragraph, without what a terminal would obey", () => {
  assert.equal(
    renderUnanswered("Failed to connect\x1b[2J", undefined),
    "libvirt did not answer: Failed to connect?[2J\n",
  );
  assert.equal(
    renderUnanswered("Failed to connect", 20),
    "libvirt did not\nanswer: Failed to\nconnect\n",
  );
});
