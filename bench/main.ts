/**
 * Sets up and measures the exporter against other ways to ask libvirt. What it prints is what `--write` puts into
 * docs/performance.md.
 */
import { parseArgs } from "node:util";
import { COSTS_PATH } from "../scripts/collector_costs.ts";
import { FLEET_PATH, readFleet } from "../scripts/fleet_result.ts";
import { FLEET_PARTS, type FleetPart, runFleet } from "./fleet/benchmark.ts";
import { measureCollectorCosts, renderCollectorCosts } from "./collector_costs.ts";
import { renderReport, renderSoak } from "./report.ts";
import { soak } from "./soak.ts";
import { describeMachine } from "./machine.ts";
import { ensureHypervisorHost } from "../testing/libvirt/host.ts";
import { main, say, step, StepError, withUsage } from "../testing/progress.ts";
import { type BenchmarkOptions, runBenchmarks } from "./benchmark.ts";
import { ROOT, setUpFor } from "../testing/set_up.ts";

const PAGE = `${ROOT}/docs/performance.md`;

/** How the collectors' costs are measured. */
const COSTED_GUESTS = 20;
const COSTED_ROUNDS = 60;

const USAGE = `Usage: npm run bench -- [--quick] [--write] [--real | --no-real]
                         [--soak N | --collectors | --fleet [--hosts N] [--part NAME ...]]
  --quick    about a minute: 2,000 instances of the test driver and 20 QEMU guests only
  --write    write docs/performance.md, with --collectors docs/collector_costs.json, or with --fleet docs/fleet.json
  --real     fail where no QEMU guests can run
  --no-real  without QEMU guests
  --soak N   scrape N times while instances come and go, and nothing else; needs what QEMU guests need
  --collectors  measure what each collector costs, and nothing else; likewise
  --fleet    let Prometheus and VictoriaMetrics scrape simulated hypervisors, more and more of them until this machine
             carries no more, and nothing else; needs Go, and what QEMU guests need unless --no-real
  --hosts N  no more hypervisors than these
  --part NAME  measure this part alone (${
  FLEET_PARTS.join(", ")
}); the others stay as docs/fleet.json has them`;

await main(async () => {
  const { quick, write, real, soak: soakScrapes, collectors, fleet, hosts, parts } =
    readArguments();
  await setUpFor("executable");
  if (fleet) {
    await benchFleet(await canRunGuests(real), { hosts, write, parts });
    return;
  }
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

/** Measures a fleet; the documentation is made from what it writes. */
async function benchFleet(
  withGuests: boolean,
  { hosts = Infinity, parts, write }: Pick<Arguments, "hosts" | "parts" | "write">,
): Promise<void> {
  const isWhole = parts.length === FLEET_PARTS.length;
  const result = await runFleet({
    guests: withGuests ? "QEMU guests" : "test driver",
    atMost: hosts,
    parts,
    before: isWhole ? undefined : await readFleet(),
  });
  const text = `${JSON.stringify(result, null, 2)}\n`;
  print(text);
  if (!write) return;
  await Deno.writeTextFile(`${ROOT}/${FLEET_PATH}`, text);
  say(`Wrote ${FLEET_PATH}: run "npm run docs"`);
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
  readonly fleet: boolean;
  readonly hosts: number | undefined;
  readonly parts: readonly FleetPart[];
}

function readArguments(): Arguments {
  return withUsage(USAGE, () => {
    const { values } = parseArgs({
      args: Deno.args,
      allowNegative: true,
      options: {
        quick: { type: "boolean", default: false },
        write: { type: "boolean", default: false },
        real: { type: "boolean" },
        soak: { type: "string" },
        collectors: { type: "boolean", default: false },
        fleet: { type: "boolean", default: false },
        hosts: { type: "string" },
        part: { type: "string", multiple: true, default: [] },
      },
    });
    return {
      quick: values.quick,
      write: values.write,
      real: values.real,
      soak: toCount("soak", values.soak, 100),
      collectors: values.collectors,
      fleet: values.fleet,
      hosts: toCount("hosts", values.hosts, 50),
      parts: toParts(values.part),
    };
  });
}

function toParts(names: readonly string[]): readonly FleetPart[] {
  const unknown = names.find((name) => FLEET_PARTS.every((part) => part !== name));
  if (unknown !== undefined) {
    throw new Error(`Invalid value "${unknown}" for --part: give one of ${FLEET_PARTS.join(", ")}`);
  }
  return names.length === 0 ? FLEET_PARTS : FLEET_PARTS.filter((part) => names.includes(part));
}

function toCount(flag: string, text: string | undefined, least: number): number | undefined {
  if (text === undefined) return undefined;
  const count = Number(text);
  if (!Number.isInteger(count) || count < least) {
    throw new Error(`Invalid value "${text}" for --${flag}: give a whole number from ${least}`);
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
