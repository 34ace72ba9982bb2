import assert from "node:assert/strict";
import { scrape } from "../../src/metrics/collectors/scrape.ts";
import { seed } from "../../src/metrics/collectors/seed.ts";
import { type ParsedSample } from "../../testing/parse_page.ts";
import { startExporterProcess } from "../../testing/exporter_process.ts";
import { waitUntil } from "../../testing/wait_until.ts";
import { ensureHypervisorHost } from "../../testing/libvirt/host.ts";
import { startPrometheus } from "../../testing/prometheus/prometheus.ts";
import {
  type Hypervisor,
  type InitialGuest,
  startHypervisor,
} from "../../testing/libvirt/hypervisor.ts";
import { PROMETHEUS_PACKAGES } from "../../testing/packages.ts";
import { novaMetadata } from "../../testing/libvirt/guest_xml.ts";

const host = await ensureHypervisorHost(PROMETHEUS_PACKAGES);

const HOSTILE_NAME = `a "quoted" \\ back\nslash <&> 😀`;

const RUNNING = "instance-00000001";
const OLD = "instance-00000002";
const WITHOUT_NOVA = "instance-00000003";
const WITHOUT_BALLOON = "instance-00000004";
const BOOTED = [RUNNING, OLD];

const GUESTS: readonly InitialGuest[] = [
  {
    name: RUNNING,
    processors: { current: 1, maximum: 2 },
    disks: [{ target: "vda" }, { target: "vdb", serial: "0b1c2d3e-volume" }],
    interfaces: [
      { target: "tap567a4527-b0", macAddress: "fa:16:3e:00:00:01" },
      { target: "tap567a4527-b1", macAddress: "fa:16:3e:00:00:02" },
    ],
    heartbeat: true,
    metadata: novaMetadata({
      version: "1.1",
      name: HOSTILE_NAME,
      project: { id: "38bd8e984a3e435a87e950a441ee55aa", name: `R&D "lab"` },
    }),
  },
  {
    name: OLD,
    disks: [{ target: "vda", serial: "1b1c2d3e-volume" }],
    interfaces: [{ target: "tap567a4527-b2", macAddress: "fa:16:3e:00:00:03" }],
    metadata: novaMetadata({
      version: "1.0",
      name: "testing-old",
      project: { id: "p2", name: "legacy" },
    }),
  },
  { name: WITHOUT_NOVA, start: "paused", disks: [{ target: "vda" }] },
  {
    name: WITHOUT_BALLOON,
    balloonPeriodSeconds: "none",
    start: "paused",
    interfaces: [{ target: "tap567a4527-b4", macAddress: "fa:16:3e:00:00:05" }],
    metadata: novaMetadata({ version: "1.1", name: "lean", project: { id: "p2", name: "legacy" } }),
  },
];

const NOVA_LABELS: Readonly<Record<string, readonly [novaname: string, novaproject: string]>> = {
  [RUNNING]: [HOSTILE_NAME, `R&D "lab"`],
  [OLD]: ["testing-old", "legacy"],
  [WITHOUT_NOVA]: ["", ""],
  [WITHOUT_BALLOON]: ["lean", "legacy"],
};

/** What virsh says of one guest. */
interface Facts {
  readonly statistics: ReadonlyMap<string, string>;
  readonly cpuNanoseconds: number;
  readonly maximumVirtualCpus: number;
}

async function askVirsh({ virsh }: Hypervisor, name: string): Promise<Facts> {
  const statistics = new Map(
    [...(await virsh("domstats", name)).matchAll(/^ {2}([^=\n]+)=(.*)$/gm)].map((
      [, field = "", value = ""],
    ) => [field, value]),
  );
  const seconds = /cpu_time\s+([\d.]+) seconds/.exec(await virsh("cpu-stats", name, "--total"));
  return {
    statistics,
    cpuNanoseconds: Math.round(Number(seconds?.[1]) * 1e9),
    maximumVirtualCpus: Number(await virsh("vcpucount", name, "--live", "--maximum")),
  };
}

/** The samples that a page must have for a guest, from what virsh says: by family and device, the value. */
function expectedSamples(name: string, facts: Facts): ReadonlyMap<string, number> {
  const { statistics } = facts;
  const [novaname = "", novaproject = ""] = NOVA_LABELS[name] ?? [];
  const identity = { libvirtname: name, novaname, novaproject };
  const samples = new Map<string, number>();
  const add = (
    family: string,
    value: number,
    labels: Readonly<Record<string, string>> = {},
  ): void =>
    void samples.set(
      seriesKey(`libvirt_nova_instance_${family}`, { ...identity, ...labels }),
      value,
    );
  const number = (field: string): number => Number(statistics.get(field) ?? NaN);
  add("cpu_time_total", facts.cpuNanoseconds);
  add("vcpu_count", facts.maximumVirtualCpus);
  add("total_vcpu", facts.maximumVirtualCpus);
  add("scrape_success", 1);
  if (statistics.has("balloon.available")) {
    add("memory_alloc_kb", number("balloon.available"));
    add("memory_cache_used_kb", number("balloon.available") - number("balloon.unused"));
    add("memory_used_kb", number("balloon.available") - number("balloon.usable"));
  }
  const guest = GUESTS.find((one) => one.name === name);
  for (let index = 0; index < number("net.count"); index++) {
    const iface = statistics.get(`net.${index}.name`) ?? "";
    const macaddr = guest?.interfaces?.find(({ target }) => target === iface)?.macAddress ?? "?";
    add("rxbytes", number(`net.${index}.rx.bytes`), { iface, macaddr });
    add("txbytes", number(`net.${index}.tx.bytes`), { iface, macaddr });
  }
  for (let index = 0; index < number("block.count"); index++) {
    const targetdev = statistics.get(`block.${index}.name`) ?? "";
    const serial = guest?.disks?.find(({ target }) => target === targetdev)?.serial ?? "";
    const labels = { targetdev, cindervolume: serial, disktype: "file" };
    add("rdbytes", number(`block.${index}.rd.bytes`), labels);
    add("wrbytes", number(`block.${index}.wr.bytes`), labels);
    add("rdreq", number(`block.${index}.rd.reqs`), labels);
    add("wrreq", number(`block.${index}.wr.reqs`), labels);
  }
  return samples;
}

function seriesKey(family: string, labels: Readonly<Record<string, string>>): string {
  return `${family} ${JSON.stringify(Object.entries(labels).sort())}`;
}

if (host.available) {
  Deno.test("the executable against a real libvirtd with QEMU guests", async (context) => {
    await using hypervisor = await startHypervisor({ guests: GUESTS });
    await Promise.all(BOOTED.map((name) => hypervisor.waitForGuestReady(name)));
    await waitUntil("the guests' balloons to report", async () => {
      const reports = await Promise.all(BOOTED.map((name) => hypervisor.virsh("dommemstat", name)));
      return reports.every((report) => report.includes("usable")) || undefined;
    }, 30_000);
    await using exporter = await startExporterProcess(hypervisor.readOnlyUri);

    // What the others have is held to virsh in values_test.ts.
    const instanceFamilies = new Set(
      [seed, scrape].flatMap(({ families }) => families.map(({ name }) => name)),
    );
    const instanceSamples = async (): Promise<ReadonlyMap<string, number>> => {
      const { families } = await exporter.scrape();
      const samples: ParsedSample[] = [...families.values()]
        .filter(({ name }) => instanceFamilies.has(name)).flatMap((family) => family.samples);
      return new Map(samples.map(({ name, labels, value }) => [seriesKey(name, labels), value]));
    };

    await context.step(
      "exports of suspended guests exactly what virsh says, no more and no less",
      async () => {
        for (const name of BOOTED) await hypervisor.suspend(name);
        const expected = async (): Promise<Map<string, number>> => {
          const samples = new Map<string, number>();
          for (const { name } of GUESTS) {
            const facts = await askVirsh(hypervisor, name);
            for (const [series, value] of expectedSamples(name, facts)) samples.set(series, value);
          }
          return samples;
        };
        const before = await expected();
        const actual = await instanceSamples();
        const after = await expected();
        for (const name of BOOTED) await hypervisor.resume(name);
        assert.deepEqual([...actual.keys()].sort(), [...before.keys()].sort());
        for (const [series, value] of actual) {
          const [low = NaN, high = NaN] = [before.get(series), after.get(series)];
          // To be asked costs QEMU itself some time, and the host's side of a network card goes on to count.
          assert.ok(low <= value && value <= high, `${series}: ${low} ${value} ${high}`);
        }
      },
    );

    await context.step(
      "has a value between those of virsh before and after for running guests",
      async () => {
        for (const name of BOOTED) {
          const before = expectedSamples(name, await askVirsh(hypervisor, name));
          const actual = await instanceSamples();
          const after = expectedSamples(name, await askVirsh(hypervisor, name));
          for (const [series, low] of before) {
            const value = actual.get(series) ?? NaN;
            const high = after.get(series) ?? NaN;
            const [minimum, maximum] = [Math.min(low, high), Math.max(low, high)];
            assert.ok(
              value >= minimum && value <= maximum,
              `${series}: ${minimum} ${value} ${maximum}`,
            );
          }
        }
      },
    );

    await context.step("counts what a busy guest does, and never backwards", async () => {
      const read = async (family: string): Promise<number> =>
        (await exporter.scrape()).value(`libvirt_nova_instance_${family}`, {
          libvirtname: RUNNING,
        }) ?? NaN;
      for (const family of ["cpu_time_total", "txbytes", "rdbytes", "rdreq"]) {
        let last = await read(family);
        const first = last;
        await waitUntil(`${family} to grow`, async () => {
          const next = await read(family);
          assert.ok(next >= last, `${family} went from ${last} to ${next}`);
          last = next;
          return next > first || undefined;
        }, 20_000);
      }
    });

    await context.step("Prometheus scrapes it, and the example query returns data", async () => {
      await using prometheus = await startPrometheus({ targets: [exporter.target] });
      const isOne = (samples: readonly { value: number }[]): boolean => samples[0]?.value === 1;
      await prometheus.waitFor('up{job="exporter"}', isOne, 30_000);
      await prometheus.waitFor("libvirt_nova_up", isOne, 30_000);
      const [sample] = await prometheus.waitFor(
        'irate(libvirt_nova_instance_cpu_time_total{novaname=~"testing.*"}[2m])/1e+9',
        (samples) => samples.length === 1 && (samples[0]?.value ?? 0) > 0,
        30_000,
      );
      assert.equal(sample?.labels["libvirtname"], OLD);
      assert.ok((sample?.value ?? NaN) < 4, "a guest with one vCPU uses a few cores at most");

      await hypervisor.destroyGuest(OLD);
      const { labelValues } = await exporter.scrape();
      const listed = labelValues("libvirt_nova_instance_cpu_time_total", "libvirtname");
      assert.deepEqual(listed.sort(), [RUNNING, WITHOUT_NOVA, WITHOUT_BALLOON]);
      await prometheus.waitFor(
        `libvirt_nova_instance_cpu_time_total{libvirtname="${OLD}"}`,
        (samples) => samples.length === 0,
        10_000,
      );
    });

    await context.step(
      "keeps one connection and logs nothing while nothing is the matter",
      async () => {
        const page = await exporter.scrape();
        assert.equal(page.value("libvirt_nova_exporter_connections_opened_total"), 1);
        assert.equal(page.value("libvirt_nova_exporter_errors_total", { kind: "timeout" }), 0);
        assert.equal(exporter.logLines().filter((line) => !/level=info/.test(line)).length, 0);
      },
    );

    await context.step("ends with 0 when it is told to", async () => {
      assert.equal(await exporter.stop(), 0);
    });
  });
}
