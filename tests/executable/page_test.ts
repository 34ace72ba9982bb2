// The executable's page of hypervisors of libvirt's test driver. It is built by `npm run build`.
import assert from "node:assert/strict";
import {
  assertNothingRuns,
  createTestFolder,
  requireExecutable,
  runExecutable,
  startExecutable,
} from "../../testing/executable.ts";
import { DEMO_URI, writeHypervisor } from "../../testing/hypervisor_files.ts";
import { identities, instanceSamples, SEED_FAMILIES } from "../../testing/instance_families.ts";
import { novaDomainXml, numberedUuid, testDriverFile } from "../../testing/nova_domain.ts";
import { type ParsedSample, parsePage, valueOf } from "../../testing/parse_page.ts";
import { countLines } from "../../testing/printed_lines.ts";

requireExecutable();

const ROOT = decodeURIComponent(new URL("../..", import.meta.url).pathname);
const DEMO_FILE = `${ROOT}contrib/demo/hypervisor.xml`;

/** The values of a label, in order. */
function labelValues(samples: readonly ParsedSample[], label: string): readonly string[] {
  return samples.map(({ labels }) => labels[label] ?? "(none)").sort();
}

Deno.test("the demo has all families with the instances, disks and interfaces of its file", async () => {
  await using folder = await createTestFolder();
  await using exporter = await startExecutable(["--uri", DEMO_URI, "--log", "-"], { folder });
  const families = await exporter.scrape();
  const file = await Deno.readTextFile(DEMO_FILE);
  const inFile = (pattern: RegExp): readonly string[] =>
    [...file.matchAll(pattern)].map(([, text = ""]) => text).sort();

  const names = inFile(/<name>([^<]+)<\/name>/g);
  assert.equal(names.length, 13);
  assert.deepEqual(
    identities(families).map(([, novaname]) => novaname).sort(),
    ["", ...inFile(/<nova:name>([^<]+)<\/nova:name>/g)].sort(),
  );
  assert.deepEqual(
    identities(families).filter(([, novaname, novaproject]) => novaname === "" || !novaproject),
    [["backup-appliance", "", ""]],
  );
  const novaNames = new Set(identities(families).map(([, novaname]) => novaname));
  for (const name of [`Bob's "scratch" box`, "gpu-notebook-α"]) assert.ok(novaNames.has(name));

  const balloons = names.filter((name) => name !== "backup-appliance");
  const addresses = inFile(/<mac address="([^"]+)"/g);
  const targets = inFile(/<target dev="(vd[a-z])"/g);
  const serials = inFile(/<serial>([^<]+)<\/serial>/g);
  for (const family of SEED_FAMILIES.instance) {
    assert.deepEqual(labelValues(instanceSamples(families, family), "libvirtname"), names, family);
  }
  for (const family of SEED_FAMILIES.balloon) {
    assert.deepEqual(
      labelValues(instanceSamples(families, family), "libvirtname"),
      balloons,
      family,
    );
  }
  for (const family of SEED_FAMILIES.interface) {
    assert.deepEqual(labelValues(instanceSamples(families, family), "macaddr"), addresses, family);
  }
  for (const family of SEED_FAMILIES.disk) {
    const samples = instanceSamples(families, family);
    assert.deepEqual(labelValues(samples, "targetdev"), targets, family);
    const volumes = labelValues(samples, "cindervolume").filter((serial) => serial !== "");
    assert.deepEqual(volumes, serials, family);
  }
  for (const family of Object.values(SEED_FAMILIES).flat()) {
    for (const { name, value } of instanceSamples(families, family)) assert.ok(value > 0, name);
  }
  const vcpus = instanceSamples(families, "vcpu_count").map(({ value }) => value);
  assert.deepEqual(vcpus.map(String).sort(), inFile(/<vcpu>(\d+)<\/vcpu>/g));
});

Deno.test("hostile names reach the page whole, and no series but their own", async () => {
  await using folder = await createTestFolder();
  const texts = [
    `"quoted" 'twice'`,
    "back\\slash\\",
    "\\n is no line feed",
    "line\nfeed",
    "tab\there",
    "emoji 😀 👩‍💻",
    "<&> ]]> <!-- -->",
    '"} 1\nlibvirt_nova_up{x="',
    "\u202egnitirw",
    "# HELP",
    "é".repeat(2_000),
  ];
  const domains = texts.map((text, index) =>
    novaDomainXml({
      name: text.replaceAll("\n", "LINE FEED"),
      uuid: numberedUuid(index),
      novaName: text.replaceAll("\n", "LINE FEED"),
      novaProject: text.replaceAll("\n", "LINE FEED"),
    }).replaceAll("LINE FEED", "&#10;")
  );
  const uri = await writeHypervisor(folder, domains);
  const { code, output } = await runExecutable(["--once", "--uri", uri], { folder });
  assert.equal(code, 0);
  assert.deepEqual(identities(parsePage(output)), texts.map((text) => [text, text, text]).sort());
});

Deno.test("an instance that Nova described twice keeps its libvirt name, and one line says so", async () => {
  await using folder = await createTestFolder();
  const twice = novaDomainXml({ name: "twice", uuid: numberedUuid(1), novaName: "one" })
    .replace(/<nova:name>one<\/nova:name>/, "$&<nova:name>two</nova:name>");
  const once = novaDomainXml({ name: "once", uuid: numberedUuid(2), novaName: "web" });
  const uri = await writeHypervisor(folder, [twice, once]);
  await using exporter = await startExecutable(["--uri", uri, "--log", "-"], { folder });
  for (let scrape = 0; scrape < 3; scrape++) {
    const families = await exporter.scrape();
    assert.deepEqual(identities(families), [["once", "web", "demo"], ["twice", "", ""]]);
    for (const family of [...SEED_FAMILIES.instance, ...SEED_FAMILIES.balloon]) {
      assert.equal(instanceSamples(families, family).length, 2, family);
    }
  }
  const { errorOutput } = await exporter.stop();
  assert.equal(countLines(errorOutput, "level=warn"), 1, errorOutput);
  assert.match(errorOutput, /level=warn .*instance=twice .*\\"name\\" twice/);
});

Deno.test("odd devices are on the page as libvirt has them", async () => {
  await using folder = await createTestFolder();
  const cdroms = ["", '<source file="/image.iso"/>'].map((source, index) =>
    `<disk type="file" device="cdrom">${source}<target dev="sd${"ab"[index]}" bus="sata"/></disk>`
  );
  const domain = novaDomainXml({
    name: "odd",
    uuid: numberedUuid(1),
    novaName: "odd",
    disks: [{ target: "vda" }, { target: "vdb", serial: "volume", type: "block" }],
    interfaces: [
      { macAddress: "fa:16:3e:00:00:01" },
      { target: "tap2", macAddress: "fa:16:3e:00:00:02" },
    ],
  }).replace("<memballoon", `${cdroms.join("")}<memballoon`);
  const uri = await writeHypervisor(folder, [domain]);
  const { code, output, errorOutput } = await runExecutable(["--once", "--uri", uri], { folder });
  assert.deepEqual([code, errorOutput], [0, ""]);
  const families = parsePage(output);
  const labels = (family: string, ...names: readonly string[]): readonly string[] =>
    instanceSamples(families, family).map((sample) =>
      names.map((name) => sample.labels[name]).join(" ")
    )
      .sort();
  for (const family of SEED_FAMILIES.interface) {
    // The test driver names an interface that has no target device.
    assert.deepEqual(labels(family, "iface", "macaddr"), [
      "tap2 fa:16:3e:00:00:02",
      "testnet0 fa:16:3e:00:00:01",
    ]);
  }
  for (const family of SEED_FAMILIES.disk) {
    assert.deepEqual(labels(family, "targetdev", "cindervolume", "disktype"), [
      "sda  file",
      "sdb  file",
      "vda  file",
      "vdb volume block",
    ]);
  }
});

Deno.test("libvirt that comes late is noticed, and its instances have their names at once", async () => {
  await using folder = await createTestFolder();
  const file = `${folder.path}/late.xml`;
  const args = ["--uri", `test://${file}`, "--log", "exporter.log"];
  await using exporter = await startExecutable(args, { folder });
  assert.equal(valueOf(await exporter.scrape(), "libvirt_nova_up"), 0);
  const whole = await folder.write(
    "whole.xml",
    testDriverFile([novaDomainXml({ name: "late", uuid: numberedUuid(1), novaName: "web" })]),
  );
  await Deno.rename(whole, file);
  const families = await exporter.scrape();
  assert.equal(valueOf(families, "libvirt_nova_up"), 1);
  assert.deepEqual(identities(families), [["late", "web", "demo"]]);
  const { errorOutput } = await exporter.stop();
  assert.equal(countLines(errorOutput, "libvirt is not available yet"), 1, errorOutput);
  const log = await folder.read("exporter.log");
  assert.equal(countLines(log, 'level=error message="libvirt is not available"'), 1, log);
  assert.equal(countLines(log, 'message="Over: libvirt is not available"'), 1, log);
});

Deno.test("all these tests leave no process behind", () => assertNothingRuns());
