/**
 * What the overview costs: two exporters, one with it and one without, scrape the same instances of libvirt's test driver in
 * turn. While nobody looks the one with it only keeps what two collections have found.
 *
 * `node_modules/.bin/deno run -A bench/overview.ts [INSTANCES] [ROUNDS]`, after `npm run build`
 */
import type { Measurement } from "../src/libvirt/hypervisor.ts";
import { COLLECTORS } from "../src/metrics/mod.ts";
import { type ExporterProcess, startExporterProcess } from "../testing/exporter_process.ts";
import { memoryOf } from "../testing/processes.ts";
import { pause } from "../testing/wait_until.ts";
import { deployedEnvironment } from "../testing/deployed_environment.ts";
import { FakeHypervisor } from "../testing/fake_hypervisor.ts";
import { numberedUuid } from "../testing/nova_domain.ts";
import { onceScraper } from "../testing/once.ts";
import { recordedDomain } from "../testing/recorded_domain.ts";
import { testDriverWith } from "./hypervisors.ts";
import { processorNanoseconds } from "./processes.ts";
import { mean, median } from "./statistics.ts";

/** Before the rounds that count: definitions are read first, and code is compiled as it runs. */
const WARM_UP_ROUNDS = 3;

/** Collections that are kept are at least so far apart. */
const PAUSE_MILLISECONDS = 1_000;

/** Instances that the values of QEMU's guests are measured with. */
const RECORDED_INSTANCES = 100;

interface Measured {
  /** Processor time of each scrape, in milliseconds: other programs have less of a say in it than in the time that passes. */
  readonly scrapes: number[];
  readonly exporter: ExporterProcess;
}

const instances = Number(Deno.args[0] ?? 10_000);
const rounds = Number(Deno.args[1] ?? 10);
await compare();
print(`Values of a QEMU guest: ${await bytesOfInstance()} bytes for each collection that is kept`);

async function compare(): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const { uri } = stack.use(await testDriverWith(instances));
  const start = async (kind: string): Promise<Measured> => {
    const args = [`--web.landing-page=${kind}`, "--libvirt.timeout=1m"];
    const settings = { environment: deployedEnvironment() };
    const exporter = stack.use(await startExporterProcess(uri, args, settings));
    return { scrapes: [], exporter };
  };
  const [overview, status] = [await start("overview"), await start("status")];
  for (let round = -WARM_UP_ROUNDS; round < rounds; round++) {
    for (const measured of round % 2 === 0 ? [overview, status] : [status, overview]) {
      const before = processorNanoseconds([measured.exporter.processId]);
      await measured.exporter.scrape();
      // What a scrape sets off besides, such as collecting garbage, is its cost, too.
      await pause(PAUSE_MILLISECONDS / 2);
      const after = processorNanoseconds([measured.exporter.processId]);
      if (round >= 0) measured.scrapes.push((after - before) / 1e6);
    }
  }
  for (const [name, { scrapes, exporter }] of Object.entries({ overview, status })) {
    const megabytes = memoryOf(exporter.processId).anonymous / 1e6;
    print(
      `${name}: ${instances} instances, ${
        mean(scrapes).toFixed(1)
      } ms of processor time a scrape (median ${median(scrapes).toFixed(1)}), ${
        megabytes.toFixed(1)
      } MB of anonymous memory`,
    );
  }
  print(await lookAt(overview.exporter));
}

/** Looks while the values are young, so that no look begins a collection. */
async function lookAt(exporter: ExporterProcess): Promise<string> {
  await exporter.scrape();
  const looks: number[] = [];
  let bytes = 0;
  for (let round = 0; round < rounds; round++) {
    const start = performance.now();
    const response = await fetch(`http://${exporter.target}/`);
    bytes = (await response.arrayBuffer()).byteLength;
    looks.push(performance.now() - start);
  }
  return `A look: ${median(looks).toFixed(1)} ms, ${bytes} bytes`;
}

/** What is kept of an instance with all values that a recent libvirt has, with the usual collectors. */
async function bytesOfInstance(): Promise<number> {
  const recorded = recordedDomain("libvirt-12.8", 1);
  const domains = Array.from({ length: RECORDED_INSTANCES }, (_, number) => ({
    ...recorded,
    id: number + 1,
    uuid: numberedUuid(number),
  }));
  const hypervisor = new FakeHypervisor(domains);
  const { measure } = hypervisor;
  let bytes = 0;
  hypervisor.measure = async (question, handles): Promise<Measurement> => {
    const measurement = await measure.call(hypervisor, question, handles);
    bytes = Object.values(measurement).filter(ArrayBuffer.isView)
      .reduce((sum, { byteLength }) => sum + byteLength, 0);
    return measurement;
  };
  const usual = COLLECTORS.filter(({ byDefault }) => byDefault !== false);
  await onceScraper(hypervisor, usual).scrape();
  return Math.round(bytes / RECORDED_INSTANCES);
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}
