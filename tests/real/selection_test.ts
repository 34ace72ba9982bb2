import assert from "node:assert/strict";
import { SWITCHED_COLLECTORS } from "../../src/metrics/mod.ts";
import { type ParsedFamily, parsePage } from "../../testing/parse_page.ts";
import { type ExporterProcess, startExporterProcess } from "../../testing/exporter_process.ts";
import { novaMetadata } from "../../testing/libvirt/guest_xml.ts";
import { ensureHypervisorHost } from "../../testing/libvirt/host.ts";
import {
  type Hypervisor,
  type InitialGuest,
  startHypervisor,
} from "../../testing/libvirt/hypervisor.ts";

const host = await ensureHypervisorHost();

const ASKED = "instance-00000001";
const HUNG = "instance-00000002";
const SHUT_OFF = "instance-00000003";

function guest(name: string, number: number): InitialGuest {
  return {
    name,
    start: "paused",
    disks: [{ target: "vda", serial: `volume-${number}` }, { target: "vdb" }],
    interfaces: [{ target: `tapselect${number}`, macAddress: `fa:16:3e:00:03:0${number}` }],
    metadata: novaMetadata({
      version: "1.1",
      name: `guest ${number}`,
      project: { id: `project-id-${number}`, name: `project ${number}` },
    }),
  };
}

const GUESTS: readonly InitialGuest[] = [
  guest(ASKED, 1),
  guest(HUNG, 2),
  { ...guest(SHUT_OFF, 3), start: "defined" },
];

const ALL_ON = SWITCHED_COLLECTORS.map(({ name }) => `--collector.${name}`);

type Page = ReadonlyMap<string, ParsedFamily>;

/** Scrapes with a query. */
async function scrapeWith({ target }: ExporterProcess, query = ""): Promise<Page> {
  const response = await fetch(`http://${target}/metrics${query}`);
  const body = await response.text();
  assert.equal(response.status, 200, body);
  return parsePage(body);
}

function sum(page: Page, family: string): number {
  return (page.get(family)?.samples ?? []).reduce((total, { value }) => total + value, 0);
}

/** How often each of libvirt's functions was called. */
function callsOf(page: Page): ReadonlyMap<string, number> {
  const samples = page.get("libvirt_nova_exporter_libvirt_calls_total")?.samples ?? [];
  return new Map(samples.map(({ labels, value }) => [labels["call"] ?? "", value]));
}

/** The functions that were called between two pages. */
function callsBetween(before: Page, after: Page): string[] {
  const earlier = callsOf(before);
  return [...callsOf(after)].filter(([call, count]) => count > (earlier.get(call) ?? 0))
    .map(([call]) => call).sort();
}

/** The families that have samples of a guest, without what all their names begin with. */
function familiesOf(page: Page, name: string): string[] {
  return [...page.values()]
    .filter(({ samples }) => samples.some(({ labels }) => labels["libvirtname"] === name))
    .map((family) => family.name.replace("libvirt_nova_instance_", ""));
}

function instancesOf(page: Page, family: string): string[] {
  const samples = page.get(`libvirt_nova_instance_${family}`)?.samples ?? [];
  return samples.map(({ labels }) => labels["libvirtname"] ?? "").sort();
}

/** Fails when a guest was asked that does not answer: its call would be out, or have been given up. */
function assertNobodyWasWaitedFor(page: Page): void {
  assert.equal(sum(page, "libvirt_nova_up"), 1);
  assert.equal(sum(page, "libvirt_nova_exporter_abandoned_calls"), 0);
  assert.equal(sum(page, "libvirt_nova_exporter_quarantined"), 0);
  assert.equal(sum(page, "libvirt_nova_exporter_instances_incomplete"), 0);
}

/** Lets a guest hang for as long as `work` takes. */
async function whileHung(hypervisor: Hypervisor, work: () => Promise<void>): Promise<void> {
  const processId = hypervisor.guestPid(HUNG);
  Deno.kill(processId, "SIGSTOP");
  try {
    await work();
  } finally {
    Deno.kill(processId, "SIGCONT");
  }
}

/** Lists the guests with their states; every scrape begins with it. */
const SURVEY = "virConnectGetAllDomainStats";
/** What the guest's monitor has to say, and what needs none. */
const BULK = "virDomainListGetStats";
/** Whether somebody else is asking the guest, for which libvirt leaves things out. */
const OCCUPATION = "virDomainGetControlInfo";

/**
 * What each collector has libvirt called for besides the survey. The guests have two disks, for which the bulk statistics are
 * cheaper than calls for each; libvirt has neither pools nor networks.
 */
const CALLS: Readonly<Record<string, readonly string[]>> = {
  seed: [BULK, "virDomainGetCPUStats"],
  info: [],
  state: [],
  cpu: ["virDomainGetCPUStats"],
  vcpu: [BULK, OCCUPATION, "virDomainGetVcpus"],
  memory: [BULK],
  paging: [BULK],
  block: [BULK],
  "block_capacity": [BULK],
  "block_tune": [],
  "block_limits": [BULK],
  "block_latency": [BULK],
  interface: [BULK],
  "interface_tune": [],
  snapshot: ["virDomainSnapshotNum", "virDomainListAllCheckpoints"],
  job: [BULK, "virDomainGetJobStats"],
  perf: [BULK],
  haltpoll: [BULK, OCCUPATION],
  hypervisor: [BULK, OCCUPATION],
  iothread: [BULK, OCCUPATION],
  dirtyrate: [BULK, OCCUPATION],
  "cache_monitor": [BULK, OCCUPATION],
  "memory_bandwidth": [BULK],
  "energy_monitor": [BULK, OCCUPATION],
  node: [
    "virNodeGetInfo",
    "virNodeGetCPUStats",
    "virNodeGetMemoryStats",
    "virConnectGetVersion",
    "virConnectGetLibVersion",
    "virGetVersion",
    "virConnectGetType",
  ],
  project: [],
  "storage_pool": ["virConnectListAllStoragePools"],
  "storage_volume": ["virConnectListAllStoragePools"],
  network: ["virConnectListAllNetworks"],
};

if (host.available) {
  Deno.test("libvirt is asked for nothing that no collector needs", async (context) => {
    await using hypervisor = await startHypervisor({ guests: GUESTS });

    const filters: Readonly<Record<string, string>> = {
      "by its name": `--domain.exclude=${HUNG}`,
      "by the name of another": `--domain.include=${ASKED}`,
      "by its project's name": "--domain.project-exclude=^project 2$",
      "by its project's id": "--domain.project-exclude=^project-id-2$",
    };
    for (const [title, filter] of Object.entries(filters)) {
      await context.step(`of a hung guest that is left out ${title}`, async () => {
        await using exporter = await startExporterProcess(hypervisor.readOnlyUri, [
          ...ALL_ON,
          filter,
        ]);
        await whileHung(hypervisor, async () => {
          for (let scrape = 0; scrape < 2; scrape++) {
            const page = await scrapeWith(exporter);
            assertNobodyWasWaitedFor(page);
            assert.deepEqual(instancesOf(page, "scrape_success"), [ASKED]);
            assert.equal(sum(page, "libvirt_nova_instance_scrape_success"), 1);
            assert.deepEqual(familiesOf(page, HUNG), []);
          }
        });
        assert.equal(await exporter.stop(), 0);
      });
    }

    await context.step("of a hung guest that only has to be described", async () => {
      await whileHung(hypervisor, async () => {
        // The exporter makes scrapes of its own when it starts, so others must not be on.
        await using exporter = await startExporterProcess(hypervisor.readOnlyUri, [
          "--collector.disable-defaults",
          "--collector.info",
        ]);
        for (let scrape = 0; scrape < 2; scrape++) {
          const page = await scrapeWith(exporter, "?collect[]=info");
          assertNobodyWasWaitedFor(page);
          assert.deepEqual(instancesOf(page, "info"), [ASKED, HUNG]);
          assert.equal(sum(page, "libvirt_nova_instance_scrape_success"), 2);
        }
        assert.equal(await exporter.stop(), 0);
      });
    });

    await context.step("of a guest that is shut off, but what it is", async () => {
      await using exporter = await startExporterProcess(hypervisor.readOnlyUri, [
        ...ALL_ON,
        "--domain.inactive",
      ]);
      const page = await scrapeWith(exporter);
      assertNobodyWasWaitedFor(page);
      assert.deepEqual(familiesOf(page, SHUT_OFF), [
        "info",
        "metadata_created_timestamp_seconds",
        "state_code",
        "state_info",
      ]);
      const samplesOf = (family: string) =>
        (page.get(`libvirt_nova_instance_${family}`)?.samples ?? [])
          .filter(({ labels }) => labels["libvirtname"] === SHUT_OFF);
      assert.deepEqual(samplesOf("state_code").map(({ value }) => value), [5]);
      const [, reason = ""] =
        /\((.*)\)/.exec(await hypervisor.virsh("domstate", SHUT_OFF, "--reason")) ?? [];
      assert.deepEqual(
        samplesOf("state_info").map(({ labels: { state, reason } }) => [state, reason]),
        [["shutoff", reason]],
      );
      assert.deepEqual(samplesOf("info").map(({ labels }) => labels["novaname"]), ["guest 3"]);
      assert.deepEqual(
        page.get("libvirt_nova_node_instances")?.samples.filter(({ value }) => value > 0)
          .map(({ labels, value }) => [labels["state"], value]),
        [["paused", 2], ["shutoff", 1]],
      );
      assert.equal(sum(page, "libvirt_nova_node_vcpus_allocated"), 2);
      assert.equal(sum(page, "libvirt_nova_exporter_instances"), 2);
      assert.equal(await exporter.stop(), 0);
    });

    await context.step("by a function of libvirt that only another collector needs", async () => {
      await using exporter = await startExporterProcess(hypervisor.readOnlyUri, ALL_ON);
      // Definitions are read once, whoever is asked for.
      let before = await scrapeWith(exporter);
      for (const { name } of SWITCHED_COLLECTORS) {
        const page = await scrapeWith(exporter, `?collect[]=${name}`);
        const expected = [SURVEY, ...CALLS[name] ?? ["unknown"]].sort();
        assert.deepEqual([name, ...callsBetween(before, page)], [name, ...expected]);
        before = page;
      }
      assert.equal(await exporter.stop(), 0);
    });

    await context.step("by a function of libvirt that no collector needs that is on", async () => {
      await using exporter = await startExporterProcess(hypervisor.readOnlyUri, [
        "--collector.disable-defaults",
        "--collector.cpu",
        "--collector.interface",
      ]);
      const calls = callsOf(await scrapeWith(exporter));
      const expected = [SURVEY, BULK, "virDomainGetXMLDesc", "virDomainGetCPUStats"].sort();
      assert.deepEqual([...calls.keys()].sort(), expected);
      assert.equal(await exporter.stop(), 0);
    });
  });
}
