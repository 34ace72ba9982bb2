import assert from "node:assert/strict";
import { COLLECTORS } from "../../src/metrics/mod.ts";
import { type Observation, type Overview, overviewOf } from "../../src/once/overview.ts";
import { withMotion } from "../../scripts/moving_hypervisor.ts";
import { type FakeDomain, FakeHypervisor } from "../../testing/fake_hypervisor.ts";
import { novaDomainXml, numberedUuid } from "../../testing/nova_domain.ts";
import { onceScraper } from "../../testing/once.ts";

const NOW = 1_800_000_000;
/** Memory of each instance. */
const KIBIBYTES = 4_000_000;

function domain(number: number, virtualCpus: number): FakeDomain {
  const uuid = numberedUuid(number);
  const name = `instance-${number}`;
  return {
    uuid,
    id: number,
    name,
    xml: novaDomainXml({ name, uuid, maximumVirtualCpus: virtualCpus }),
    numbers: {
      "state.state": 1,
      "cpu.time": 48e9,
      "balloon.current": KIBIBYTES,
      "balloon.available": KIBIBYTES,
      "balloon.usable": KIBIBYTES / 2,
      "balloon.unused": KIBIBYTES / 2,
      "balloon.last-update": 600_000_000,
    },
  };
}

/** What is seen of a hypervisor at these times of the demo; something may happen after each look. */
async function lookAt(
  fake: FakeHypervisor,
  seconds: readonly number[],
  after: () => void = (): void => {},
): Promise<readonly Overview[]> {
  let now = 0;
  const scraper = onceScraper(withMotion(fake, () => now, () => NOW + now), COLLECTORS);
  let before: Observation | undefined;
  const seen: Overview[] = [];
  for (now of seconds) {
    const { findings } = await scraper.scrape();
    const observation = { findings, steadySeconds: now, unixSeconds: NOW + now };
    seen.push(overviewOf(before, observation));
    before = observation;
    after();
  }
  return seen;
}

Deno.test("withMotion() has processors busy within the vCPUs, memory used within what there is, and both change", async () => {
  const domains = Array.from({ length: 20 }, (_, number) => domain(number + 1, 1 + number % 8));
  const seconds = Array.from({ length: 40 }, (_, number) => number * 15);
  const [first, ...seen] = await lookAt(new FakeHypervisor(domains), seconds);
  assert.equal(first?.instances.length, 20);
  for (const { name, virtualCpus = 0 } of first.instances) {
    const facts = seen.flatMap(({ instances }) => instances.filter((one) => one.name === name));
    for (const { cores = -1, usedBytes = -1 } of facts) {
      assert.ok(cores > 0 && cores < virtualCpus, `${name}: ${cores} of ${virtualCpus}`);
      assert.ok(usedBytes > 0 && usedBytes < KIBIBYTES * 1024, `${name}: ${usedBytes}`);
    }
    assert.ok(new Set(facts.map(({ cores = 0 }) => cores.toFixed(4))).size > 20, name);
    assert.ok(new Set(facts.map(({ usedBytes }) => usedBytes)).size > 20, name);
  }
});

Deno.test("withMotion() leaves alone what is not measured, and finds fields again in a dictionary that starts anew", async () => {
  const fake = new FakeHypervisor([domain(1, 2), {
    ...domain(2, 2),
    numbers: { "state.state": 1 },
  }]);
  const [, ...seen] = await lookAt(fake, [0, 15, 30], () => fake.forgetStrings());
  assert.equal(seen.length, 2);
  for (const { instances: [moving, still] } of seen) {
    assert.ok((moving?.cores ?? 0) > 0);
    assert.deepEqual([still?.cores, still?.usedBytes], [undefined, undefined]);
  }
});
