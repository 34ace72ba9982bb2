// What the executable prints with --once. It is built by `npm run build`.
import assert from "node:assert/strict";
import { seed } from "../../src/metrics/collectors/seed.ts";
import {
  assertNothingRuns,
  createTestFolder,
  requireExecutable,
  runExecutable,
} from "../../testing/executable.ts";
import {
  DEFAULT_URI,
  DEMO_URI,
  numberedDomains,
  UNREACHABLE_URI,
  writeHypervisor,
} from "../../testing/hypervisor_files.ts";
import {
  identities,
  instanceSamples,
  SEED_FAMILIES,
  seriesOf,
} from "../../testing/instance_families.ts";
import { type Families, parsePage, valueOf } from "../../testing/parse_page.ts";
import { assertNoStackTrace, assertOneLine } from "../../testing/printed_lines.ts";

requireExecutable();

const ROOT = decodeURIComponent(new URL("../..", import.meta.url).pathname);

Deno.test("--once prints a valid page and ends with 0 when libvirt answers", async () => {
  await using folder = await createTestFolder();
  for (const uri of [DEFAULT_URI, DEMO_URI]) {
    const { code, output, errorOutput } = await runExecutable(["--once", "--uri", uri], { folder });
    assert.deepEqual([code, errorOutput], [0, ""]);
    const families = parsePage(output);
    assert.equal(valueOf(families, "libvirt_nova_up"), 1);
    assert.ok(instanceSamples(families, "cpu_time_total").length > 0);
  }
  assert.equal(await folder.has("libvirt_nova.log"), false, "nothing but the page");
});

Deno.test("--once prints a page that says so and ends with 1 when libvirt does not answer", async () => {
  await using folder = await createTestFolder();
  const cases = [
    ["test:///nonexistent.xml", "/nonexistent.xml"],
    [UNREACHABLE_URI, "start the daemon that listens there"],
    [`test://${await folder.write("broken.xml", "<node><domain></node>")}`, "broken.xml"],
  ] as const;
  for (const [uri, reason] of cases) {
    const { code, output, errorOutput } = await runExecutable(["--once", "--uri", uri], { folder });
    assert.equal(code, 1, uri);
    const families = parsePage(output);
    assert.equal(valueOf(families, "libvirt_nova_up"), 0);
    assert.deepEqual(seriesOf(families), []);
    // libxml2 may have its own say before, about files only.
    assertOneLine(`${errorOutput.trimEnd().split("\n").at(-1)}\n`, "level=error", reason);
    assertNoStackTrace(errorOutput);
  }
});

Deno.test("a file of the test driver that cannot be read is one line with its name", async () => {
  await using folder = await createTestFolder();
  for (const file of [`${folder.path}/missing.xml`, folder.path]) {
    const { code, errorOutput } = await runExecutable(["--once", "--uri", `test://${file}`], {
      folder,
    });
    assert.equal(code, 1);
    assertOneLine(errorOutput, file, /name another file in --uri/);
    assertNoStackTrace(errorOutput);
  }
});

Deno.test("--once ends without noise when its reader goes, and with one line when the disk is full", async () => {
  await using folder = await createTestFolder();
  // More than a pipe holds, so that writing does fail.
  const uri = await writeHypervisor(folder, numberedDomains(100));
  const args = ["--once", "--uri", uri];
  const intoHead = 'exec 3>&1; { "$0" "$@"; echo "code $?" >&3; } | head -n 1';
  const cut = await runExecutable(args, { folder, through: ["sh", "-c", intoHead] });
  assert.deepEqual(cut.output.split("\n").sort(), [
    "",
    "# HELP libvirt_nova_instance_cpu_time_total instance vcpu time",
    "code 0",
  ]);
  assert.deepEqual([cut.code, cut.errorOutput], [0, ""]);
  for (const program of [args, ["--help"], ["--version"]]) {
    const through = ["sh", "-c", 'exec "$0" "$@" > /dev/full'];
    const full = await runExecutable(program, { folder, through });
    assert.equal(full.code, 1);
    assertOneLine(full.errorOutput, "Cannot write to standard output");
  }
});

Deno.test("an empty hypervisor is up and has every family without a sample", async () => {
  await using folder = await createTestFolder();
  await folder.write("hypervisor.xml", "<node/>");
  const args = ["--once", "--uri", `test://${folder.path}/hypervisor.xml`];
  const { code, output, errorOutput } = await runExecutable(args, { folder });
  const families = parsePage(output);
  assert.deepEqual([code, errorOutput], [0, ""]);
  assert.equal(valueOf(families, "libvirt_nova_up"), 1);
  assert.equal(valueOf(families, "libvirt_nova_exporter_instances"), 0);
  assert.deepEqual(seriesOf(families), []);
});

Deno.test("a hypervisor of 2,000 instances is on the page in full", async () => {
  await using folder = await createTestFolder();
  const uri = await writeHypervisor(folder, numberedDomains(2_000));
  const args = ["--once", "--uri", uri, "--libvirt.timeout", "30s"];
  const { code, output, errorOutput } = await runExecutable(args, { folder });
  const families = parsePage(output);
  assert.deepEqual([code, errorOutput], [0, ""]);
  const expected = Array.from(
    { length: 2_000 },
    (_, index) => [`instance-${index}`, `web-${index}`, "demo"],
  ).sort();
  assert.deepEqual(identities(families), expected);
  for (const family of Object.values(SEED_FAMILIES).flat()) {
    assert.equal(instanceSamples(families, family).length, 2_000, family);
  }
});

Deno.test("the source run by Deno gives the same page but for what time changes", async () => {
  await using folder = await createTestFolder();
  const args = ["--once", "--uri", DEMO_URI];
  const compiled = await runExecutable(args, { folder });
  const environment = Object.fromEntries(
    ["HOME", "DENO_DIR", "XDG_CACHE_HOME"].flatMap((name) => {
      const value = Deno.env.get(name);
      return value === undefined ? [] : [[name, value]];
    }),
  );
  const through = [Deno.execPath(), "run", "--quiet", "-A"];
  const executable = `${ROOT}mod.ts`;
  const source = await runExecutable(args, { folder, through, executable, environment });
  assert.deepEqual([compiled.code, source.code, source.errorOutput], [0, 0, ""]);
  const [one, other] = [parsePage(compiled.output), parsePage(source.output)];
  const outline = (families: Families): readonly string[] =>
    [...families.values()].map(({ name, type, help }) => `${name} ${type} ${help}`);
  assert.deepEqual(outline(one), outline(other));
  assert.deepEqual(seriesOf(one), seriesOf(other));
  const first = seed.families.map(({ name }) => name);
  assert.deepEqual([...one.keys()].slice(0, first.length), first);
});

Deno.test("all these tests leave no process behind", () => assertNothingRuns());
