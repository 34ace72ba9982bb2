/**
 * Sets up and measures the exporter against other ways to ask libvirt. What it prints is what `--write` puts into
 * docs/performance.md.
 */
import { parseArgs } from "node:util";
import { type BenchmarkOptions, runBenchmarks } from "../bench/benchmark.ts";
import { measureCollectorCosts, renderCollectorCosts } from "../bench/collector_costs.ts";
import { describeMachine } from "../bench/machine.ts";
import { renderReport, renderSoak } from "../bench/report.ts";
import { soak } from "../bench/soak.ts";
import { ensureHypervisorHost } from "../tests/real/host.ts";
import { COSTS_PATH } from "./collector_costs.ts";
import { main, say, step, StepError } from "./progress.ts";
import { ROOT, setUp } from "./set_up.ts";

const PAGE = `${ROOT}/docs/performance.md`;

/** How the collectors' costs are measured. */
const COSTED_GUESTS = 20;
const COSTED_ROUNDS = 60;

const USAGE =
  `Usage: npm run bench -- [--quick] [--write] [--real | --no-real] [--soak N | --collectors]
  --quick    about a minute: 2,000 instances of the test driver and 20 QEMU guests only
  --write    write docs/performance.md, or with --collectors docs/collector_costs.json
  --real     fail where no QEMU guests can run
  --no-real  without QEMU guests
  --soak N   scrape N times while instances come and go, and nothing else; needs what QEMU guests need
  --collectors  measure what each collector costs, and nothing else; likewise`;

await main(async () => {
  const { quick, write, real, soak: soakScrapes, collectors } = readArguments();
  await setUp();
  if (collectors) {
    await canRunGuests(true);
    await benchCollectors(write);
    return;
  }
  if (soakScrapes !== undefined) {
    await canRunGuests(true);
    print(renderSoak(await soak(soakScrapes)));
    return;
  }
  const withGuests = await canRunGuests(real);
  if (write && (quick || !withGuests)) {
    throw new StepError(
      "--write needs a whole run: leave out --quick, and run where QEMU guests can",
    );
  }
  const options: BenchmarkOptions = { quick, withGuests, baseline: await buildBaseline() };
  const report = renderReport(await runBenchmarks(options));
  print(report);
  if (!write) return;
  await Deno.writeTextFile(PAGE, report);
  await step("Formatting docs/performance.md", [Deno.execPath(), "fmt", "--quiet", PAGE]);
});

/** Measures the collectors; the documentation is made from what it writes. */
async function benchCollectors(write: boolean): Promise<void> {
  say(`Scraping ${COSTED_GUESTS} QEMU guests for one collector after the other`);
  const machine = new Map(await describeMachine());
  const text = renderCollectorCosts(
    await measureCollectorCosts(COSTED_GUESTS, COSTED_ROUNDS),
    `${machine.get("Processor")} with libvirt ${machine.get("libvirt")} and QEMU ${
      machine.get("QEMU")
    }`,
  );
  print(text);
  if (!write) return;
  await Deno.writeTextFile(`${ROOT}/${COSTS_PATH}`, text);
  say(`Wrote ${COSTS_PATH}: run "npm run docs"`);
}

function print(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(text));
}

interface Arguments {
  readonly quick: boolean;
  readonly write: boolean;
  /** Undefined to run guests where they can. */
  readonly real: boolean | undefined;
  readonly soak: number | undefined;
  readonly collectors: boolean;
}

function readArguments(): Arguments {
  try {
    const { values } = parseArgs({
      args: Deno.args,
      allowNegative: true,
      options: {
        quick: { type: "boolean", default: false },
        write: { type: "boolean", default: false },
        real: { type: "boolean" },
        soak: { type: "string" },
        collectors: { type: "boolean", default: false },
      },
    });
    return {
      quick: values.quick,
      write: values.write,
      real: values.real,
      soak: toCount(values.soak),
      collectors: values.collectors,
    };
  } catch (error) {
    throw new StepError(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
  }
}

function toCount(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const count = Number(text);
  if (!Number.isInteger(count) || count < 100) {
    throw new Error(`Invalid value "${text}" for --soak: give a whole number from 100`);
  }
  return count;
}

async function canRunGuests(wanted: boolean | undefined): Promise<boolean> {
  if (wanted === false) return false;
  const host = await ensureHypervisorHost();
  if (host.available) return true;
  if (wanted === true) throw new StepError(`No QEMU guests can run: ${host.reason}`);
  say(`Leaving out QEMU guests: ${host.reason}`);
  return false;
}

/** Builds what the exporter is compared with; returns the program. */
async function buildBaseline(): Promise<string> {
  const cargo = ["cargo", "build", "--release", "--locked", "--quiet"] as const;
  await step("Building the baselines", [...cargo], { cwd: `${ROOT}/bench/baseline` });
  return `${ROOT}/.cache/baseline/release/libvirt_baseline`;
}
