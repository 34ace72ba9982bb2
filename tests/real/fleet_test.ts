import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { type FleetEngines, startEngines } from "../../bench/fleet/collectors_of_a_fleet.ts";
import type { LostMember, Way } from "../../scripts/fleet_result.ts";
import { loseMember } from "../../bench/fleet/lost_member.ts";
import { startHost, writePages } from "../../bench/fleet/page_source.ts";
import { readTemplate } from "../../bench/fleet/simulated_page.ts";
import { startFleet } from "../../bench/fleet/simulator.ts";
import { valuesOf } from "../../bench/fleet/step.ts";
import { createTestFolder } from "../../testing/executable.ts";
import {
  ensureDebianPackages,
  HYPERVISOR_PACKAGES,
  reportProgress,
} from "../../testing/packages.ts";
import { waitUntil } from "../../testing/wait_until.ts";

const host = await ensureDebianPackages(HYPERVISOR_PACKAGES);

const HOSTS = 20;
const INSTANCES = 100;
const INTERVAL_SECONDS = 5;
const BOUND_MILLISECONDS = 180_000;

/** The sum of what an expression gives in all engines. */
async function total({ engines }: FleetEngines, expression: string): Promise<number> {
  const values = await Promise.all(engines.map((engine) => valuesOf(engine, expression)));
  return values.flat().reduce((sum, value) => sum + value, 0);
}

/** Waits for all hosts to be scraped; fails unless everything that they say has come. */
async function checkSeries(engines: FleetEngines): Promise<void> {
  await waitUntil(
    `${engines.way} to have all hosts`,
    async () => await total(engines, "count(libvirt_nova_up == 1)") === HOSTS,
    BOUND_MILLISECONDS,
  );
  const instances = await waitUntil("all instances", async () => {
    const count = await total(engines, "count(libvirt_nova_instance_scrape_success)");
    return count >= HOSTS * INSTANCES && count;
  }, BOUND_MILLISECONDS);
  // One that has been replaced may still be there.
  ok(instances < HOSTS * INSTANCES * 1.05, `${instances}`);
}

function check({ way, hosts, hostsWithGap, longestGapIntervals, intervalsAway }: LostMember): void {
  equal(hosts, HOSTS, way);
  if (way === "VictoriaMetrics") {
    deepEqual([hostsWithGap, longestGapIntervals], [0, 0]);
    return;
  }
  // Without a replica the hosts of the lost shard, and only they, have a gap: so one would be seen above.
  ok(hostsWithGap > 0 && hostsWithGap < HOSTS, `${hostsWithGap}`);
  ok(longestGapIntervals >= intervalsAway - 1, `${longestGapIntervals}`);
}

if (host.available) {
  Deno.test("twenty hypervisors with a hundred instances each are scraped in shards, one of which is lost and comes back", async (context) => {
    await using stack = new AsyncDisposableStack();
    const folder = stack.use(await createTestFolder());
    const hypervisor = stack.use(await startHost("test driver", INSTANCES));
    const pages = await writePages(folder.path, hypervisor.uri);
    equal(readTemplate(await Deno.readTextFile(pages.text)).instances, INSTANCES);
    const fleet = stack.use(
      await startFleet({
        ...pages,
        hosts: HOSTS,
        intervalSeconds: INTERVAL_SECONDS,
        simulatedSeconds: 15,
        replacedPerHour: 0.05,
      }),
    );
    const start = async (way: Way): Promise<FleetEngines> =>
      stack.use(
        await startEngines(way, {
          targets: fleet.targets,
          intervalSeconds: INTERVAL_SECONDS,
          ruleIntervalSeconds: 15,
          memoryBytes: 1.5e9,
        }),
      );
    const all = [await start("Prometheus"), await start("VictoriaMetrics")];

    await context.step("each way has the series of all", async () => {
      for (const engines of all) await checkSeries(engines);
    });

    await context.step(
      "two of vmagent's members scrape each host, and one sample of the two is kept",
      async () => {
        const cluster = all.find(({ way }) => way === "VictoriaMetrics");
        ok(cluster !== undefined);
        const before = await fleet.statistics();
        ok(before.pages > 0);
        const kept = await total(
          cluster,
          `max(count_over_time(libvirt_nova_up[${4 * INTERVAL_SECONDS}s]))`,
        );
        ok(kept <= 5, `${kept}`);
      },
    );

    await context.step(
      "a member is lost and comes back: no gap where another one scrapes the same hosts",
      async () => {
        for (
          const result of await Promise.all(all.map((one) => loseMember(one, INTERVAL_SECONDS)))
        ) {
          check(result);
        }
      },
    );

    await context.step("projects are counted over all hosts where all come together", async () => {
      const [cluster] = all.filter(({ way }) => way === "VictoriaMetrics");
      ok(cluster !== undefined);
      await waitUntil("records", async () => {
        const sum = await total(cluster, "sum(novaproject:libvirt_nova_instances:count)");
        return sum >= HOSTS * INSTANCES * 0.95;
      }, BOUND_MILLISECONDS);
    });
  });
} else {
  reportProgress(`The test of a fleet is left out: ${host.reason}`);
}
