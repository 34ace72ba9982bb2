import assert from "node:assert/strict";
import { type AnsweredScrape, startExporterProcess } from "../../testing/exporter_process.ts";
import { outputOf } from "../../testing/command.ts";
import {
  assertWhole,
  defineInTime,
  eachSecond,
  incompleteBecause,
  pageWithAll,
  pausedGuests,
  scrapeInFault,
  successOf,
} from "./fault_watch.ts";
import { novaMetadata } from "../../testing/libvirt/guest_xml.ts";
import { ensureHypervisorHost } from "../../testing/libvirt/host.ts";
import { type Hypervisor, startHypervisor } from "../../testing/libvirt/hypervisor.ts";
import {
  type OpenVswitch,
  type PortCounters,
  SHARED_MEMORY,
  startOpenVswitch,
  vhostUserInterface,
} from "./open_vswitch.ts";
import { pause, waitUntil } from "../../testing/wait_until.ts";

const host = await ensureHypervisorHost();

const DPDK_GUEST = "instance-0000dpdk";
const PORTS = 12;
const OTHERS = pausedGuests(4);
const OTHER_NAMES = OTHERS.map(({ name }) => name);

/** Long for one answer of an `ovs-vsctl` that takes 0.3 s, short for those of all ports. */
const SLOW_BOUND_MILLISECONDS = 2_000;
/** Long for one `ovs-vsctl` that hangs until libvirt ends it after 5 s, short for two of them. */
const HANG_BOUND_MILLISECONDS = 8_000;
/** What is suspended is tried again once a minute. */
const RESUME_BOUND_MILLISECONDS = 75_000;

const portName = (port: number): string => `vhu-port-${port}`;
const macAddress = (port: number): string => `fa:16:3e:00:04:${port.toString().padStart(2, "0")}`;

/** The names of a counter on the page, and of the same one in Open vSwitch: the guest receives what the switch sends. */
const COUNTERS: ReadonlyMap<string, string> = new Map([
  ["receive_bytes", "tx_bytes"],
  ["receive_packets", "tx_packets"],
  ["receive_errors", "tx_errors"],
  ["receive_drops", "tx_dropped"],
  ["transmit_bytes", "rx_bytes"],
  ["transmit_packets", "rx_packets"],
  ["transmit_errors", "rx_errors"],
  ["transmit_drops", "rx_dropped"],
]);

function countersOf(port: number): Readonly<Record<string, number>> {
  return Object.fromEntries(
    [...COUNTERS.keys()].map((name, index) => [name, 1_000 * (port + 1) + index]),
  );
}

function switchCountersOf(port: number): PortCounters {
  const counters = Object.entries(countersOf(port));
  return Object.fromEntries(counters.map(([name, value]) => [COUNTERS.get(name), value]));
}

/** The counters on the page, by port; a port without any is left out. */
function countersOnPage(page: AnsweredScrape): ReadonlyMap<string, Record<string, number>> {
  const found = new Map<string, Record<string, number>>();
  for (const name of COUNTERS.keys()) {
    const family = page.families.get(`libvirt_nova_instance_interface_${name}_total`);
    for (const { labels, value } of family?.samples ?? []) {
      if (labels["libvirtname"] !== DPDK_GUEST) continue;
      const port = labels["target_device"] ?? "";
      found.set(port, { ...found.get(port), [name]: value });
    }
  }
  return found;
}

function assertCounters(page: AnsweredScrape): void {
  const ports = Array.from({ length: PORTS }, (_, port) => port);
  const expected = new Map(ports.map((port) => [portName(port), countersOf(port)]));
  assert.deepEqual(countersOnPage(page), expected);
}

async function addDpdkGuest(hypervisor: Hypervisor, openVswitch: OpenVswitch): Promise<void> {
  const sockets = [
    ...Array.from(
      { length: PORTS },
      (_, port) => openVswitch.addPort(portName(port), switchCountersOf(port)),
    ),
    openVswitch.addForeignSocket("without-a-target"),
  ];
  await hypervisor.defineGuest({
    name: DPDK_GUEST,
    additionalDomainXml: SHARED_MEMORY,
    additionalDeviceXml: sockets.map((socket, port) => vhostUserInterface(socket, macAddress(port)))
      .join(""),
    metadata: novaMetadata({ version: "1.1", name: "dpdk", project: { id: "p", name: "faults" } }),
  });
  await hypervisor.startGuest(DPDK_GUEST, { paused: true });
}

/** An operator who lists and defines domains again and again until the work is done, and never waits for long. */
async function withOperator(
  hypervisor: Hypervisor,
  boundMilliseconds: number,
  work: () => Promise<unknown>,
): Promise<void> {
  let isDone = false;
  const operate = async (): Promise<void> => {
    while (!isDone) {
      const command = ["--quiet", "--connect", hypervisor.readWriteUri, "list"];
      await outputOf("virsh", command, { boundMilliseconds });
      await defineInTime(hypervisor, `defined-${crypto.randomUUID()}`, boundMilliseconds);
      await pause(200);
    }
  };
  const finished = work().finally(() => isDone = true);
  const outcomes = await Promise.allSettled([finished, operate()]);
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
}

/** Waits until nobody asks for statistics any more. */
async function untilIdle(openVswitch: OpenVswitch): Promise<void> {
  let before = -1;
  await waitUntil(
    "the last ovs-vsctl to end",
    () => {
      const { begun, ended } = openVswitch.runs();
      const isIdle = begun === ended && begun === before;
      before = begun;
      return isIdle || undefined;
    },
    20_000,
    500,
  );
}

if (host.available) {
  Deno.test("vhost-user network cards cost no other instance its values, whatever Open vSwitch does", async (context) => {
    await using hypervisor = await startHypervisor({ guests: OTHERS });
    using openVswitch = startOpenVswitch(hypervisor);
    await addDpdkGuest(hypervisor, openVswitch);
    const everybody = [...OTHER_NAMES, DPDK_GUEST];

    await context.step(
      "quick answers are on the page, and a card without a target has none",
      async () => {
        await using exporter = await startExporterProcess(hypervisor.readOnlyUri);
        assertCounters(await pageWithAll(exporter, everybody));
      },
    );

    await context.step("who wants no counters of network cards never runs ovs-vsctl", async () => {
      await untilIdle(openVswitch);
      const before = openVswitch.runs();
      await using exporter = await startExporterProcess(hypervisor.readOnlyUri, [
        "--no-collector.interface",
        "--no-collector.seed",
      ]);
      await pageWithAll(exporter, everybody);
      await pageWithAll(exporter, everybody);
      assert.deepEqual(openVswitch.runs(), before);
    });

    await context.step(
      "answers that take 0.3 s each hold up neither a page nor an operator",
      async () => {
        await using exporter = await startExporterProcess(hypervisor.readOnlyUri);
        const reference = await pageWithAll(exporter, everybody);
        const watch = {
          hypervisor,
          exporter,
          reference,
          uninvolved: OTHER_NAMES,
          othersWorkers: 1,
        };
        openVswitch.answerAfter(0.3);
        try {
          const work = () => eachSecond(6, () => scrapeInFault(watch));
          await withOperator(hypervisor, SLOW_BOUND_MILLISECONDS, work);
        } finally {
          openVswitch.answerAfter(0);
        }
        const page = await exporter.scrape();
        assertWhole(page, reference, OTHER_NAMES);
      },
    );

    await context.step(
      "answers that never come are not asked for any more, until a minute later",
      async () => {
        await untilIdle(openVswitch);
        await using exporter = await startExporterProcess(hypervisor.readOnlyUri);
        const reference = await pageWithAll(exporter, everybody);
        assertCounters(reference);
        const watch = {
          hypervisor,
          exporter,
          reference,
          uninvolved: OTHER_NAMES,
          othersWorkers: 1,
        };
        openVswitch.answerAfter("hang");
        try {
          const work = () => eachSecond(6, () => scrapeInFault(watch));
          await withOperator(hypervisor, HANG_BOUND_MILLISECONDS, work);
          // Until the last one has ended, libvirt holds the lock of the instance, which costs it more than these counters.
          await untilIdle(openVswitch);
          const before = openVswitch.runs().begun;
          const pages = await eachSecond(5, () => scrapeInFault(watch));
          const runs = openVswitch.runs().begun - before;
          assert.ok(runs <= 1, `${runs} runs of ovs-vsctl while it is suspended`);
          for (const page of pages.slice(1)) {
            assert.equal(incompleteBecause(page, "suspended"), 1);
            assert.equal(successOf(page, DPDK_GUEST), 1, "what is suspended is no failure");
            assert.deepEqual(countersOnPage(page), new Map());
          }
        } finally {
          openVswitch.answerAfter(0);
        }
        const page = await waitUntil(
          "the counters to be back",
          async () => {
            const page = await scrapeInFault(watch);
            const isSuspended = incompleteBecause(page, "suspended") !== 0;
            return !isSuspended && countersOnPage(page).size === PORTS ? page : undefined;
          },
          RESUME_BOUND_MILLISECONDS,
          1_000,
        );
        assertWhole(page, reference, everybody);
        assertCounters(page);
      },
    );
  });
}
