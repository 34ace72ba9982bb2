// Live migrations between two hypervisors over a network of their own, as Nova makes them, on the pages of both.
import assert from "node:assert/strict";
import { COLLECTORS } from "../../src/metrics/mod.ts";
import { outputOf } from "../../testing/command.ts";
import { type ParsedSample } from "../../testing/parse_page.ts";
import {
  type AnsweredScrape,
  type ExporterProcess,
  startExporterProcess,
} from "../../testing/exporter_process.ts";
import { waitUntil } from "../../testing/wait_until.ts";
import { novaMetadata } from "../../testing/libvirt/guest_xml.ts";
import {
  type Hypervisor,
  type InitialGuest,
  startHypervisor,
} from "../../testing/libvirt/hypervisor.ts";
import { ensureHypervisorHost } from "../../testing/libvirt/host.ts";

const host = await ensureHypervisorHost();

const PREFIX = "libvirt_nova_instance_";
const FAMILIES = COLLECTORS.flatMap(({ families }) => families);
const BYTES_PER_MEBIBYTE = 1024 * 1024;
const BOUND_MILLISECONDS = 20_000;

const MOVER = "instance-00000001";
const PROJECT = { id: "38bd8e984a3e435a87e950a441ee55aa", name: "shop" };
const VOLUME = "9b1e7c0a-4d1f-4c52-8f0e-5a7d3f2b1c00";

const GUESTS: readonly InitialGuest[] = [
  {
    name: MOVER,
    disks: [{ target: "vda" }, { target: "vdb", serial: VOLUME }],
    interfaces: [{ target: "tap567a4527-b0", macAddress: "fa:16:3e:00:00:01" }],
    heartbeat: true,
    metadata: novaMetadata({ version: "1.1", name: "mover", project: PROJECT }),
  },
  stayer("instance-00000002"),
];

function stayer(name: string): InitialGuest {
  const metadata = novaMetadata({ version: "1.1", name, project: PROJECT });
  return { name, start: "paused", metadata };
}

/** A hypervisor with its exporter and its address in the network of both. */
interface Side {
  readonly hypervisor: Hypervisor;
  readonly exporter: ExporterProcess;
  readonly address: string;
}

/** What is to be seen of the guest on one side: nothing, or its state with the reason for it. */
type Seen =
  | "nothing"
  | "running booted"
  | "running migrated"
  | "running postcopy"
  | "paused postcopy"
  | "paused migration";

async function startSide(
  stack: AsyncDisposableStack,
  guests: readonly InitialGuest[],
  address: string,
): Promise<Side> {
  const hypervisor = stack.use(
    await startHypervisor({
      guests,
      libvirtdSettings: {
        // libvirt refuses to move a guest to what it takes for the same machine.
        "host_uuid": crypto.randomUUID(),
        "auth_tcp": "none",
        "listen_tcp": 1,
        "listen_tls": 0,
      },
    }),
  );
  const collectors = ["--collector.job", "--collector.project"];
  const exporter = stack.use(await startExporterProcess(hypervisor.readOnlyUri, collectors));
  return { hypervisor, exporter, address };
}

/** Lays a cable between the networks of both. */
async function connect(sides: readonly [Side, Side]): Promise<void> {
  const inside = ({ hypervisor }: Side, ...parameters: readonly string[]): Promise<string> =>
    outputOf("nsenter", [`--target=${hypervisor.firstProcess}`, "--net", "ip", ...parameters]);
  const [one, other] = sides;
  const peer = ["peer", "name", "cable", "netns", String(other.hypervisor.firstProcess)];
  await inside(one, "link", "add", "cable", "type", "veth", ...peer);
  for (const side of sides) {
    await inside(side, "address", "add", `${side.address}/30`, "dev", "cable");
    await inside(side, "link", "set", "cable", "up");
  }
}

/** A migration that is under way, so slowly that it does not end by itself within the test. */
interface Migration {
  /** How it ended. */
  readonly ended: Promise<"moved" | "failed">;
}

function startMigration(from: Side, to: Side, ...more: readonly string[]): Migration {
  const how = ["--live", "--p2p", "--persistent", "--undefinesource", "--bandwidth", "1"];
  // Unsafe, because libvirt does not know that both hosts share the disks.
  const where = ["--unsafe", "--migrateuri", `tcp://${to.address}`];
  const uri = `qemu+tcp://${to.address}/system`;
  const ended = from.hypervisor.virsh("migrate", ...how, ...where, ...more, MOVER, uri)
    .then(() => "moved" as const, () => "failed" as const);
  return { ended };
}

function moverSamples(page: AnsweredScrape): readonly (ParsedSample & { readonly type: string })[] {
  return FAMILIES.flatMap(({ name, type }) =>
    (page.families.get(name)?.samples ?? [])
      .filter(({ labels }) => labels["libvirtname"] === MOVER)
      .map((sample) => ({ ...sample, type }))
  );
}

/** The series of the guest, but for those that come and go with its state, its job and its balloon's driver. */
function seriesOf(page: AnsweredScrape): readonly string[] {
  return moverSamples(page)
    .filter(({ name }) => !/_(state_info|job_\w+|memory_\w+)$/.test(name))
    .map(({ name, labels }) => `${name} ${JSON.stringify(Object.entries(labels).sort())}`).sort();
}

function seenOn(page: AnsweredScrape): string {
  const info = moverSamples(page).filter(({ name }) => name === `${PREFIX}state_info`);
  if (info.length === 0) return "nothing";
  return info.map(({ labels }) => `${labels["state"]} ${labels["reason"]}`).join(", ");
}

/** 1 when all values of the guest are there, 0 when some are missing. */
function successOn(page: AnsweredScrape): number | undefined {
  return page.value(`${PREFIX}scrape_success`, { libvirtname: MOVER });
}

/** Fails where a counter of the guest is less than it was on the same side in the same run. */
function judgeCounters(page: AnsweredScrape, last: Map<string, number>): void {
  for (const { name, labels, value, type } of moverSamples(page)) {
    if (type !== "counter") continue;
    const counter = `${name} ${JSON.stringify(Object.entries(labels).sort())}`;
    const before = last.get(counter) ?? 0;
    assert.ok(value >= before, `${counter} went from ${before} to ${value}`);
    last.set(counter, value);
  }
}

/** What the host's and the project's sums have to be with so many guests, of which some do not run here. */
function judgeSums(page: AnsweredScrape, guests: number, ofProject: number): void {
  const label = { "novaproject": PROJECT.name, "project_id": PROJECT.id };
  const memory = 96 * BYTES_PER_MEBIBYTE;
  const sums = (scope: string, names: readonly string[]): (number | undefined)[] =>
    names.map((name) => page.value(`libvirt_nova_${scope}_${name}`));
  assert.deepEqual(
    ["instances", "vcpus", "memory_bytes"]
      .map((name) => page.value(`libvirt_nova_project_${name}`, label)),
    [ofProject, ofProject, ofProject * memory],
  );
  assert.deepEqual(sums("node", ["vcpus_allocated", "memory_allocated_bytes"]), [
    guests,
    guests * memory,
  ]);
  const states = page.families.get("libvirt_nova_node_instances")?.samples ?? [];
  assert.equal(states.reduce((sum, { value }) => sum + value, 0), guests);
  assert.deepEqual(sums("exporter", ["instances"]), [guests]);
}

if (host.available) {
  Deno.test("a guest that migrates, on the pages of both hypervisors", async (context) => {
    await using stack = new AsyncDisposableStack();
    const [one, other] = await Promise.all([
      startSide(stack, GUESTS, "192.0.2.1"),
      startSide(stack, [stayer("instance-00000003")], "192.0.2.2"),
    ]);
    await connect([one, other]);
    await one.hypervisor.waitForGuestReady(MOVER);
    const counters = new Map([one, other].map((side) => [side, new Map<string, number>()]));

    const pages = async (): Promise<readonly [AnsweredScrape, AnsweredScrape]> => {
      const both = await Promise.all([one.exporter.scrape(), other.exporter.scrape()]);
      for (const [index, side] of [one, other].entries()) {
        const page = both[index];
        const last = counters.get(side);
        if (page === undefined || last === undefined) throw new Error("A side is missing");
        assert.equal(page.up, 1);
        // A guest that comes anew is another run of it, and begins at zero.
        if (seenOn(page) === "nothing") last.clear();
        judgeCounters(page, last);
      }
      return both;
    };
    /**
     * Waits for pages on which the guest is seen so, and returns them.
     *
     * @param arriving the side on which its QEMU answers nobody but the host that it comes from
     */
    const seen = (
      here: Seen,
      there: Seen,
      arriving?: 0 | 1,
    ): Promise<readonly [AnsweredScrape, AnsweredScrape]> =>
      waitUntil(
        `"${here}" on one page and "${there}" on the other`,
        async () => {
          const both = await pages();
          const isSeen = seenOn(both[0]) === here && seenOn(both[1]) === there;
          return isSeen && (arriving === undefined || successOn(both[arriving]) === 0)
            ? both
            : undefined;
        },
        BOUND_MILLISECONDS,
      );
    /** The guest goes on to use its disks where it runs. */
    const goesOn = async (index: 0 | 1): Promise<void> => {
      const written = async (): Promise<number> =>
        (await pages())[index]
          .value(`${PREFIX}block_written_bytes_total`, {
            "libvirtname": MOVER,
            "target_device": "vda",
          }) ?? NaN;
      const before = await written();
      await waitUntil(
        "the guest to write",
        async () => await written() > before || undefined,
        BOUND_MILLISECONDS,
      );
    };

    const [page, otherPage] = await seen("running booted", "nothing");
    judgeSums(page, 2, 2);
    judgeSums(otherPage, 1, 1);
    const known = seriesOf(page);
    const isKnown = new Set(known);
    assert.ok(known.some((series) => series.includes(VOLUME)), "the volume has series");

    /** Both sides have the guest, and one of them runs it. */
    const judgeBoth = (
      [from, to]: readonly [AnsweredScrape, AnsweredScrape],
      guests: readonly [number, number],
      running: "from" | "to",
    ): void => {
      judgeSums(from, guests[0], running === "from" ? guests[0] : guests[0] - 1);
      judgeSums(to, guests[1], running === "to" ? guests[1] : guests[1] - 1);
      // The same labels; what its monitor has to be asked for is missing where it arrives.
      assert.deepEqual(seriesOf(from), known);
      assert.deepEqual(seriesOf(to).filter((series) => !isKnown.has(series)), []);
      assert.deepEqual([successOn(from), successOn(to)], [1, 0]);
      assert.equal(
        to.value("libvirt_nova_exporter_instances_incomplete", { reason: "busy" }),
        1,
      );
      const job = (what: string): number | undefined =>
        from.value(`${PREFIX}job_${what}`, { libvirtname: MOVER });
      assert.deepEqual([job("type_code"), job("operation_code")], [2, 5]);
    };

    await context.step("while it is on its way, it counts where it comes from", async () => {
      const { ended } = startMigration(one, other);
      judgeBoth(await seen("running booted", "paused migration", 1), [2, 2], "from");
      await goesOn(0);
      await one.hypervisor.virsh("domjobabort", MOVER);
      assert.equal(await ended, "failed");
    });

    await context.step("after a migration that was cancelled all is as before", async () => {
      const [here, there] = await seen("running booted", "nothing");
      judgeSums(here, 2, 2);
      judgeSums(there, 1, 1);
      assert.deepEqual(seriesOf(here), known);
      assert.deepEqual(moverSamples(there), []);
      await goesOn(0);
    });

    await context.step("when it has moved, it counts where it is", async () => {
      const { ended } = startMigration(one, other);
      await seen("running booted", "paused migration");
      await one.hypervisor.virsh("migrate-setspeed", MOVER, "1000");
      assert.equal(await ended, "moved");
      const [here, there] = await seen("nothing", "running migrated");
      judgeSums(here, 1, 1);
      judgeSums(there, 2, 2);
      assert.deepEqual(moverSamples(here), []);
      assert.deepEqual(seriesOf(there), known);
      await goesOn(1);
    });

    await context.step(
      "when it runs before all of its memory has come, it counts where it goes",
      async () => {
        const { ended } = startMigration(other, one, "--postcopy", "--postcopy-bandwidth", "1");
        await seen("paused migration", "running migrated");
        await other.hypervisor.virsh("migrate-postcopy", MOVER);
        const [here, there] = await seen("running postcopy", "paused postcopy", 0);
        judgeBoth([there, here], [2, 2], "to");
        await other.hypervisor.virsh("migrate-setspeed", MOVER, "1000", "--postcopy");
        assert.equal(await ended, "moved");
        const [hereAfter, thereAfter] = await seen("running migrated", "nothing");
        judgeSums(hereAfter, 2, 2);
        judgeSums(thereAfter, 1, 1);
        assert.deepEqual(seriesOf(hereAfter), known);
        await goesOn(0);
      },
    );

    await context.step("and nothing in the logs", async () => {
      for (const { exporter } of [one, other]) {
        assert.deepEqual(exporter.logLines().filter((line) => !line.includes("level=info")), []);
        assert.equal(await exporter.stop(), 0);
      }
    });
  });
}
