// What the executable prints with --once for people and for jq, against libvirt's test driver. It is built by `npm run build`.
import assert from "node:assert/strict";
import {
  assertNothingRuns,
  createTestFolder,
  requireExecutable,
  runExecutable,
} from "../../testing/executable.ts";
import { DEMO_URI, UNREACHABLE_URI } from "../../testing/hypervisor_files.ts";
import { novaDomainXml, numberedUuid, testDriverFile } from "../../testing/nova_domain.ts";
import { parsePage } from "../../testing/parse_page.ts";

requireExecutable();

/** Of a page, which JSON is not. */
const PAGE_AGE = "libvirt_nova_exporter_collection_age_seconds";

function headingsOf(output: string): readonly string[] {
  return (output.split("\n")[2] ?? "").split(/ {2,}/);
}

Deno.test("--once --format=table shows the demo, with rates", async () => {
  await using folder = await createTestFolder();
  const args = ["--once", "--format=table", "--uri", DEMO_URI];
  const { code, output, errorOutput } = await runExecutable(args, { folder });
  assert.deepEqual([code, errorOutput], [0, ""]);
  const [host = "", table = "", ...rest] = output.split("\n\n");
  assert.deepEqual(rest, []);
  assert.match(host, /^13 instances, 43 vCPUs on \d+ CPUs, 109 GiB of \S+ GiB memory allocated$/);
  const [heading = "", ...rows] = table.trimEnd().split("\n");
  assert.match(
    heading,
    /^NAME +PROJECT +STATE +VCPUS +%CPU +MEM USED +MEMORY +READ\/s +WRITE\/s +RX\/s +TX\/s$/,
  );
  assert.equal(rows.length, 13);
  assert.equal(new Set(rows.map(({ length }) => length)).size, 1, table);
  const row = rows.find((line) => line.startsWith("postgres-primary ")) ?? "";
  // The test driver's counters grow with the time.
  const rate = String.raw`[1-9]\S* Ki?B`;
  assert.match(
    row,
    new RegExp(`^postgres-primary +webshop +running +4 +\\d+\\.\\d +- +8\\.0 GiB(?: +${rate}){4}$`),
  );
});

Deno.test("--once --format=table leaves out what no collector asks for", async () => {
  await using folder = await createTestFolder();
  const only = ["--collector.disable-defaults", "--collector.state", "--collector.memory"];
  const args = ["--once", "--format=table", "--uri", DEMO_URI, ...only];
  const { code, output } = await runExecutable(args, { folder });
  assert.equal(code, 0);
  assert.deepEqual(headingsOf(output).map((heading) => heading.trim()), [
    "NAME",
    "PROJECT",
    "STATE",
    "VCPUS",
    "MEM USED",
    "MEMORY",
  ]);
});

Deno.test("--once --format=table has domains that are shut off at the end, and names without tricks", async () => {
  await using folder = await createTestFolder();
  const domain = (number: number, novaName: string, extra = ""): string =>
    novaDomainXml({ name: `instance-${number}`, uuid: numberedUuid(number), novaName })
      .replace("<domain ", `<domain xmlns:test="http://libvirt.org/schemas/domain/test/1.0" `)
      .replace("</domain>", `${extra}</domain>`);
  const shutOff = "<test:runstate>5</test:runstate>";
  const file = await folder.write(
    "hypervisor.xml",
    testDriverFile([
      domain(1, "数据库"),
      domain(2, "a\u202Eb\u009B2J"),
      domain(3, "aside", shutOff),
    ]),
  );
  const args = ["--once", "--format=table", "--domain.inactive", "--uri", `test://${file}`];
  const { code, output, errorOutput } = await runExecutable(args, { folder });
  assert.deepEqual([code, errorOutput], [0, ""]);
  assert.match(output, /^2 instances and 1 shut off, /);
  const rows = output.trimEnd().split("\n").slice(3);
  assert.deepEqual(
    rows.map((row) => row.split(/ {2,}/).slice(0, 3).join("|")),
    ["a?b?2J|demo|running", "数据库|demo|running", "aside|demo|shutoff"],
  );
});

Deno.test("--once --format=table without libvirt is one line, and fails", async () => {
  await using folder = await createTestFolder();
  const args = ["--once", "--format=table", "--uri", UNREACHABLE_URI];
  const { code, output, errorOutput } = await runExecutable(args, { folder });
  assert.equal(code, 1);
  assert.match(output, /^libvirt did not answer: [^\n]*\/nonexistent\/sock[^\n]*\n$/);
  assert.match(errorOutput, /^[^\n]*level=error message="libvirt is not available"[^\n]*\n$/);
});

Deno.test("--once --format=json says what the page says", async () => {
  await using folder = await createTestFolder();
  const run = (...args: readonly string[]): ReturnType<typeof runExecutable> =>
    runExecutable(["--once", "--uri", DEMO_URI, ...args], { folder });
  const [json, text] = [await run("--format=json"), await run("--format=text")];
  assert.deepEqual([json.code, json.errorOutput], [0, ""]);
  const page = parsePage(text.output);
  const families: { name: string; type: string; metrics: { labels?: object; value: string }[] }[] =
    JSON.parse(json.output);
  // The test driver lists its domains in another order each time.
  const series = (labels: readonly object[]): readonly string[] =>
    labels.map((one) => JSON.stringify(one)).sort();
  assert.deepEqual(
    families.map(({ name, type, metrics }) => [
      name,
      type,
      series(metrics.map(({ labels = {} }) => labels)),
    ]),
    [...page.values()].filter(({ name }) => name !== PAGE_AGE).map(({ name, type, samples }) => [
      name,
      type.toUpperCase(),
      series(samples.map(({ labels }) => labels)),
    ]),
  );
});

Deno.test("a reader that goes away is no failure", async () => {
  await using folder = await createTestFolder();
  for (const format of ["text", "openmetrics", "json", "table"]) {
    const through = ["sh", "-c", '{ "$0" "$@"; echo "code $?" >&2; } | true'];
    const args = ["--once", "--format", format, "--uri", DEMO_URI];
    const { output, errorOutput } = await runExecutable(args, { folder, through });
    assert.deepEqual([output, errorOutput], ["", "code 0\n"], format);
  }
});

Deno.test("all these tests leave no process behind", () => assertNothingRuns());
