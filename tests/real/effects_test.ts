import assert from "node:assert/strict";
import { type AnsweredScrape, startExporterProcess } from "../../testing/exporter_process.ts";
import { connectGuestShell } from "./guest_shell.ts";
import { waitUntil } from "../../testing/wait_until.ts";
import { ensureHypervisorHost } from "../../testing/libvirt/host.ts";
import {
  type Hypervisor,
  type InitialGuest,
  startHypervisor,
} from "../../testing/libvirt/hypervisor.ts";
import { novaMetadata } from "../../testing/libvirt/guest_xml.ts";
import { outputOf } from "../../testing/command.ts";

const host = await ensureHypervisorHost();

const PREFIX = "libvirt_nova_instance_";
const GUEST = "instance-00000001";
const TAP = "tap567a4527-b0";
const MAC_ADDRESS = "fa:16:3e:00:00:01";
/** An address of the guest's network that nobody has: what is sent there is never answered. */
const NOBODY = "192.0.2.77";
const BROADCAST = "192.0.2.255";

const KIBIBYTE = 1024;
const MEBIBYTE = 1024 * 1024;
const ETHERNET_HEADER = 14;
const IP_HEADER = 20;
const UDP_HEADER = 8;
const ICMP_HEADER = 8;

/** What else may go over a network card meanwhile: the kernels' own messages to their neighbours. */
const NEIGHBOURLY_BYTES = 2_000;

const GUESTS: readonly InitialGuest[] = [{
  name: GUEST,
  shell: true,
  memoryMebibytes: 128,
  disks: [{ target: "vda" }, { target: "vdb" }],
  interfaces: [{ target: TAP, macAddress: MAC_ADDRESS }],
  metadata: novaMetadata({ version: "1.1", name: "effects", project: { id: "p", name: "lab" } }),
}];

/** A network card's counters as the kernel of the side that has it counts. */
interface CardCounters {
  readonly receivedBytes: number;
  readonly receivedPackets: number;
  readonly sentBytes: number;
  readonly sentPackets: number;
}

/** Reads a line of /proc/net/dev. */
function cardCounters(table: string, card: string): CardCounters {
  const line = table.split("\n").find((one) => one.trim().startsWith(`${card}:`)) ?? "";
  const columns = line.replace(/^.*:/, "").trim().split(/\s+/).map(Number);
  const [receivedBytes = NaN, receivedPackets = NaN] = columns;
  const [sentBytes = NaN, sentPackets = NaN] = columns.slice(8);
  return { receivedBytes, receivedPackets, sentBytes, sentPackets };
}

/** The counters of the host's end of the guest's card. */
function tapCounters(hypervisor: Hypervisor): CardCounters {
  return cardCounters(Deno.readTextFileSync(`/proc/${hypervisor.libvirtdPid()}/net/dev`), TAP);
}

/** Processor time of a process by the kernel's account, in seconds. */
async function processSeconds(processId: number): Promise<number> {
  const ticksPerSecond = Number(await outputOf("getconf", ["CLK_TCK"]));
  const fields = Deno.readTextFileSync(`/proc/${processId}/stat`).replace(/^.*\) /s, "").split(" ");
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** A figure of /proc/meminfo, in bytes. */
function memoryFigure(report: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(report)?.[1] ?? NaN) * KIBIBYTE;
}

/** Fails unless `low <= value <= high`. */
function assertWithin(value: number, low: number, high: number, what: string): void {
  assert.ok(low <= value && value <= high, `${what}: ${value} is not within ${low} and ${high}`);
}

if (host.available) {
  Deno.test("what a guest does moves the right family, in the right direction, by the right amount", async (context) => {
    await using hypervisor = await startHypervisor({ guests: GUESTS });
    await hypervisor.waitForGuestReady(GUEST);
    using shell = await connectGuestShell(hypervisor, GUEST);
    await using exporter = await startExporterProcess(hypervisor.readOnlyUri, [
      "--collector.vcpu",
      "--collector.block_tune",
    ]);
    const valueOf = (page: AnsweredScrape, family: string, device?: string): number =>
      page.value(PREFIX + family, device === undefined ? {} : { "target_device": device }) ?? NaN;
    const scrapedCard = (page: AnsweredScrape): CardCounters => ({
      receivedBytes: valueOf(page, "interface_receive_bytes_total", TAP),
      receivedPackets: valueOf(page, "interface_receive_packets_total", TAP),
      sentBytes: valueOf(page, "interface_transmit_bytes_total", TAP),
      sentPackets: valueOf(page, "interface_transmit_packets_total", TAP),
    });
    /** The exporter's counters, once those of the host did not change while it was asked. */
    const settledCard = (): Promise<CardCounters> =>
      waitUntil("the network to be quiet", async () => {
        const before = tapCounters(hypervisor);
        const page = await exporter.scrape();
        const after = tapCounters(hypervisor);
        if (JSON.stringify(before) !== JSON.stringify(after)) return undefined;
        const card = scrapedCard(page);
        // What the host's end has received is what the guest has sent.
        assert.deepEqual(card, {
          receivedBytes: after.sentBytes,
          receivedPackets: after.sentPackets,
          sentBytes: after.receivedBytes,
          sentPackets: after.receivedPackets,
        });
        assert.equal(valueOf(page, "rxbytes"), card.receivedBytes);
        assert.equal(valueOf(page, "txbytes"), card.sentBytes);
        return card;
      }, 20_000);

    await context.step("packets that the guest sends are transmitted", async () => {
      const before = await settledCard();
      const [count, size] = [40, 1_000];
      // A broadcast that nobody answers, so that ping ends with a complaint.
      await shell.run(`ping -q -c ${count} -i 0.01 -W 1 -s ${size} ${BROADCAST} || true`);
      const after = await settledCard();
      const bytes = count * (ETHERNET_HEADER + IP_HEADER + ICMP_HEADER + size);
      const { sentBytes, sentPackets, receivedBytes } = after;
      assertWithin(sentBytes - before.sentBytes, bytes, bytes + NEIGHBOURLY_BYTES, "sent");
      assertWithin(sentPackets - before.sentPackets, count, count + 20, "packets sent");
      assertWithin(receivedBytes - before.receivedBytes, 0, NEIGHBOURLY_BYTES, "received");
    });

    await context.step("packets that the host sends to the guest are received", async () => {
      const inside = [`--target=${hypervisor.libvirtdPid()}`, "--net"];
      const run = (...command: readonly string[]): Promise<string> =>
        outputOf("nsenter", [...inside, ...command]);
      await run("ip", "address", "add", "192.0.2.1/24", "dev", TAP);
      // The guest takes what is addressed to its card, and has no use for what is meant for others.
      const neighbour = [NOBODY, "lladdr", MAC_ADDRESS, "dev", TAP, "nud", "permanent"];
      await run("ip", "neighbour", "add", ...neighbour);
      const before = await settledCard();
      const [count, size] = [40, 1_000];
      const send =
        `for ((i = 0; i < ${count}; i++)); do printf %0${size}d 0 > /dev/udp/${NOBODY}/9; done`;
      await run("bash", "-c", send);
      const after = await settledCard();
      const bytes = count * (ETHERNET_HEADER + IP_HEADER + UDP_HEADER + size);
      const { receivedBytes, receivedPackets, sentBytes } = after;
      const received = receivedBytes - before.receivedBytes;
      assertWithin(received, bytes, bytes + NEIGHBOURLY_BYTES, "received");
      const packets = receivedPackets - before.receivedPackets;
      assertWithin(packets, count, count + 20, "packets received");
      assertWithin(sentBytes - before.sentBytes, 0, NEIGHBOURLY_BYTES, "sent");
    });

    await context.step(
      "the guest's own card says the same of what came after it was up",
      async () => {
        const guestCard = async (): Promise<CardCounters> =>
          cardCounters(await shell.run("cat /proc/net/dev"), "eth0");
        const [settled, own] = [await settledCard(), await guestCard()];
        await shell.run("ping -q -c 10 -i 0.01 -W 1 -s 500 192.0.2.1");
        const [later, ownLater] = [await settledCard(), await guestCard()];
        const difference = (end: CardCounters, begin: CardCounters): readonly number[] => [
          end.receivedBytes - begin.receivedBytes,
          end.sentBytes - begin.sentBytes,
          end.sentPackets - begin.sentPackets,
        ];
        const [ours, guests] = [difference(later, settled), difference(ownLater, own)];
        for (const [position, value] of ours.entries()) {
          const theirs = guests[position] ?? NaN;
          assertWithin(value, theirs - NEIGHBOURLY_BYTES, theirs + NEIGHBOURLY_BYTES, "card");
        }
        // Both directions: the host answers each.
        assert.ok(ours.slice(0, 2).every((bytes) => bytes > 10 * 500), ours.join(" "));
      },
    );

    await context.step("what the guest writes is written, on that disk alone", async () => {
      const counters = async (): Promise<readonly number[]> => {
        const page = await exporter.scrape();
        return ["vda", "vdb"].flatMap((disk) => [
          valueOf(page, "block_written_bytes_total", disk),
          valueOf(page, "block_read_bytes_total", disk),
          valueOf(page, "block_write_requests_total", disk),
          valueOf(page, "block_read_requests_total", disk),
        ]);
      };
      const bytes = 2 * MEBIBYTE;
      const changes = async (command: string): Promise<readonly number[]> => {
        const before = await counters();
        await shell.run(command);
        return (await counters()).map((value, position) => value - (before[position] ?? NaN));
      };
      const direct = "bs=65536 count=32";
      const [written, alsoRead, writes = NaN, , ...other] = await changes(
        `dd if=/dev/zero of=/dev/vda ${direct} oflag=direct conv=notrunc`,
      );
      assert.deepEqual([written, ...other], [bytes, 0, 0, 0, 0]);
      assertWithin(alsoRead ?? NaN, 0, 64 * KIBIBYTE, "read beside");
      assertWithin(writes, 1, 64, "requests to write");
      const [notWritten, read, , reads = NaN] = await changes(
        `dd if=/dev/vda of=/dev/null ${direct} iflag=direct`,
      );
      assert.equal(notWritten, 0);
      assertWithin(read ?? NaN, bytes, bytes + 64 * KIBIBYTE, "read");
      assertWithin(reads, 1, 96, "requests to read");
      const page = await exporter.scrape();
      const seed = (family: string): number =>
        page.value(PREFIX + family, { targetdev: "vda" }) ?? NaN;
      assert.equal(seed("wrbytes"), valueOf(page, "block_written_bytes_total", "vda"));
      assert.equal(seed("rdbytes"), valueOf(page, "block_read_bytes_total", "vda"));
    });

    await context.step("what the guest computes is processor time", async () => {
      const processId = hypervisor.guestPid(GUEST);
      const look = async (): Promise<
        readonly [low: number, ours: number, high: number, vcpu: number]
      > => {
        const low = await processSeconds(processId);
        const page = await exporter.scrape();
        const high = await processSeconds(processId);
        const vcpu = page.value(`${PREFIX}vcpu_seconds_total`, { vcpu: "0" }) ?? NaN;
        return [low, valueOf(page, "cpu_seconds_total"), high, vcpu];
      };
      const [lowBefore, before, highBefore, vcpuBefore] = await look();
      await shell.run("timeout 3 sh -c 'while :; do :; done' || true");
      const [lowAfter, after, highAfter, vcpuAfter] = await look();
      // Both are accounts of the same, by the scheduler here, and there in ticks of 10 ms.
      const tolerance = 0.1;
      const [least, most] = [lowAfter - highBefore - tolerance, highAfter - lowBefore + tolerance];
      assertWithin(after - before, least, most, "cpu_seconds_total");
      // What is not the vCPU's is QEMU's own, which has nothing to do.
      assertWithin(
        vcpuAfter - vcpuBefore,
        (after - before) * 0.8,
        after - before + tolerance,
        "vcpu",
      );
      // The emulated processor was busy all the time that the host gave it.
      assert.ok(after - before > 0.5, `${after - before} s`);
    });

    await context.step(
      "what the guest keeps in memory is used, and then unused again",
      async () => {
        const size = 16 * MEBIBYTE;
        /** Pages of the guest's own programs come and go. */
        const room = 4 * MEBIBYTE;
        const look = async (): Promise<readonly [page: AnsweredScrape, report: string]> => {
          const asked = Math.floor(Date.now() / 1000);
          const page = await waitUntil("the balloon to report anew", async () => {
            const next = await exporter.scrape();
            return valueOf(next, "memory_last_update_timestamp_seconds") > asked ? next : undefined;
          }, 20_000);
          return [page, await shell.run("cat /proc/meminfo")];
        };
        const assertAsGuestSees = ([page, report]: readonly [AnsweredScrape, string]): void => {
          const figures: Readonly<Record<string, string>> = {
            "memory_unused_bytes": "MemFree",
            "memory_usable_bytes": "MemAvailable",
          };
          assert.equal(valueOf(page, "memory_available_bytes"), memoryFigure(report, "MemTotal"));
          for (const [family, name] of Object.entries(figures)) {
            const figure = memoryFigure(report, name);
            assertWithin(valueOf(page, family), figure - room, figure + room, family);
          }
        };
        await shell.run("mkdir -p /fill; mount -t tmpfs tmpfs /fill");
        const before = await look();
        await shell.run(`dd if=/dev/zero of=/fill/file bs=65536 count=${size / 65536}`);
        const full = await look();
        await shell.run("umount /fill");
        const after = await look();
        for (const one of [before, full, after]) assertAsGuestSees(one);
        const change = (family: string): readonly [grown: number, back: number] => {
          const [start = NaN, middle = NaN, end = NaN] = [before, full, after]
            .map(([page]) => valueOf(page, family));
          return [middle - start, end - middle];
        };
        for (const family of ["memory_unused_bytes", "memory_usable_bytes"]) {
          const [taken, given] = change(family);
          assertWithin(-taken, size - room, size + room, family);
          assertWithin(given, size - room, size + room, family);
        }
        const [taken, given] = change("memory_used_bytes");
        assertWithin(taken, size - room, size + room, "memory_used_bytes");
        assertWithin(-given, size - room, size + room, "memory_used_bytes");
      },
    );

    await context.step("what the balloon takes is not the guest's any more", async () => {
      const page = await exporter.scrape();
      assert.equal(valueOf(page, "memory_current_bytes"), 128 * MEBIBYTE);
      const target = 112 * MEBIBYTE;
      await hypervisor.virsh("setmem", GUEST, String(target / KIBIBYTE), "--live");
      await waitUntil("the balloon to grow", async () => {
        return valueOf(await exporter.scrape(), "memory_current_bytes") === target || undefined;
      }, 20_000);
      assert.equal(valueOf(await exporter.scrape(), "memory_maximum_bytes"), 128 * MEBIBYTE);
    });

    await context.step("limits of a disk that are set, changed and lifted are told", async () => {
      const limit = async (): Promise<number> =>
        valueOf(await exporter.scrape(), "block_tune_write_bytes_per_second", "vdb");
      for (const bytes of [50_000_000, 60_000_000, 0]) {
        const limits = ["--write-bytes-sec", String(bytes), "--live"];
        await hypervisor.virsh("blkdeviotune", GUEST, "vdb", ...limits);
        // No limit is no sample.
        const expected = bytes === 0 ? NaN : bytes;
        await waitUntil(`the limit ${bytes}`, async () => {
          return Object.is(await limit(), expected) || undefined;
        }, 5_000);
      }
    });
  });
}
