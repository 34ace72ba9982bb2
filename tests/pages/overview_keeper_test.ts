import assert from "node:assert/strict";
import { Collection } from "../../src/scrape/collection.ts";
import { COLLECTORS } from "../../src/metrics/mod.ts";
import { OverviewKeeper } from "../../src/pages/overview_keeper.ts";
import { FakeHypervisor } from "../../testing/fake_hypervisor.ts";
import { novaDomainXml, numberedUuid } from "../../testing/nova_domain.ts";
import { onceScraper } from "../../testing/once.ts";

const XML = novaDomainXml({ name: "instance-1", uuid: numberedUuid(1), novaName: "web-1" });

/** A collection that measured at this time, when the instance had used so many seconds of its processors. */
async function collectionAt(
  seconds: number,
  cpuSeconds: number,
  changes: Partial<Collection["findings"]> = {},
): Promise<Collection> {
  const numbers = { "state.state": 1, "state.reason": 1, "cpu.time": cpuSeconds * 1e9 };
  const domain = { uuid: numberedUuid(1), id: 1, name: "instance-1", xml: XML, numbers };
  const { findings } = await onceScraper(new FakeHypervisor([domain]), COLLECTORS).scrape();
  return new Collection({ ...findings, measuredAt: seconds * 1_000, ...changes });
}

/** A keeper with a clock that a test sets, in seconds. */
function newKeeper(): { readonly keeper: OverviewKeeper; setClock(seconds: number): void } {
  let now = 0;
  const clock = { steadyMilliseconds: () => now * 1_000, unixMilliseconds: () => now * 1_000 };
  return {
    keeper: new OverviewKeeper(COLLECTORS, clock),
    setClock: (seconds) => {
      now = seconds;
    },
  };
}

/** Rate, time of the rate and age of what a keeper knows. */
function seenBy(keeper: OverviewKeeper): readonly (number | undefined)[] | undefined {
  const seen = keeper.current();
  if (seen === undefined) return undefined;
  const { overview, ageSeconds } = seen;
  return [overview.instances[0]?.cores, overview.rateSeconds, ageSeconds];
}

Deno.test("OverviewKeeper shows rates of the last two collections, and how old they are", async () => {
  const { keeper, setClock } = newKeeper();
  assert.equal(keeper.current(), undefined);
  keeper.note(await collectionAt(10, 5));
  setClock(12);
  assert.deepEqual(seenBy(keeper), [undefined, undefined, 2]);
  keeper.note(await collectionAt(20, 5));
  keeper.note(await collectionAt(35, 20));
  setClock(36);
  assert.deepEqual(seenBy(keeper), [1, 15, 1]);
});

Deno.test("OverviewKeeper works out once what two collections show", async () => {
  const { keeper } = newKeeper();
  keeper.note(await collectionAt(10, 5));
  const first = keeper.current()?.overview;
  assert.equal(keeper.current()?.overview, first);
  keeper.note(await collectionAt(20, 5));
  assert.notEqual(keeper.current()?.overview, first);
});

Deno.test("OverviewKeeper keeps what was seen while libvirt is away", async () => {
  const domain = { uuid: numberedUuid(1), id: 1, name: "instance-1", xml: XML, numbers: {} };
  const hypervisor = new FakeHypervisor([domain]);
  const keeper = new OverviewKeeper(COLLECTORS);
  const scraper = onceScraper(hypervisor, COLLECTORS, {
    onCollection: (collection) => keeper.note(collection),
  });
  await scraper.scrape();
  const message = "Connection refused";
  hypervisor.refusal = { call: "virConnectOpenAuth", code: 38, origin: 7, message, count: 1 };
  await scraper.scrape();
  const { isUp, problems } = scraper.status;
  assert.deepEqual([isUp, problems.map(({ text }) => text)], [
    false,
    ["libvirt is not available: Connection refused"],
  ]);
  assert.deepEqual(keeper.current()?.overview.instances.map(({ name }) => name), ["web-1"]);
});

Deno.test("OverviewKeeper passes over collections of some collectors, without libvirt, and of the same moment", async () => {
  const { keeper, setClock } = newKeeper();
  keeper.note(await collectionAt(10, 5));
  keeper.note(await collectionAt(20, 25));
  const passedOver: readonly (readonly [string, Collection])[] = [
    ["some collectors", await collectionAt(30, 0, { collectors: COLLECTORS.slice(1) })],
    ["no libvirt", await collectionAt(30, 0, { snapshot: undefined, isUp: false })],
    ["the same moment", await collectionAt(20.9, 25)],
  ];
  setClock(40);
  for (const [name, collection] of passedOver) {
    keeper.note(collection);
    assert.deepEqual(seenBy(keeper), [2, 10, 20], name);
  }
});

Deno.test("OverviewKeeper takes the next collection at once when definitions were still to be read", async () => {
  const { keeper } = newKeeper();
  keeper.note(await collectionAt(10, 5));
  keeper.note(await collectionAt(20, 5, { unread: 3 }));
  keeper.note(await collectionAt(20.5, 26));
  assert.deepEqual(seenBy(keeper), [2, 10.5, -20.5]);
});

Deno.test("a look begins a collection when there are no rates yet or the values are old, and waits for it", async () => {
  const { keeper, setClock } = newKeeper();
  let collections = 0;
  const lookAt = async (seconds: number): Promise<number> => {
    setClock(seconds);
    const before = collections;
    await keeper.refresh(async () => {
      collections++;
      keeper.note(await collectionAt(seconds + 0.1, 0));
    });
    return collections - before;
  };
  const cases: readonly (readonly [seconds: number, collections: number])[] = [
    [100, 1],
    [100.5, 0],
    [101.2, 1],
    [116.2, 0],
    [116.4, 1],
    [120, 0],
  ];
  for (const [seconds, expected] of cases) {
    assert.equal(await lookAt(seconds), expected, `${seconds}`);
  }
});

Deno.test("a look begins no second collection for five seconds after one that brought nothing", async () => {
  const { keeper, setClock } = newKeeper();
  const tried: number[] = [];
  for (const seconds of [100, 101, 104.9, 105, 106, 110]) {
    setClock(seconds);
    await keeper.refresh(() => Promise.resolve(tried.push(seconds)));
  }
  assert.deepEqual(tried, [100, 105, 110]);
});

Deno.test("a look does not wait for a collection that hangs", async () => {
  const { keeper } = newKeeper();
  const never = new Promise<void>(() => {});
  await keeper.refresh(() => never);
  assert.equal(keeper.current(), undefined);
});

Deno.test("OverviewKeeper lets all who look while it collects wait for the same collection", async () => {
  const { keeper, setClock } = newKeeper();
  keeper.note(await collectionAt(10, 5));
  keeper.note(await collectionAt(20, 5));
  setClock(120);
  let collections = 0;
  const collected = Promise.withResolvers<void>();
  const look = async (): Promise<number | undefined> => {
    await keeper.refresh(() => {
      collections++;
      return collected.promise;
    });
    return keeper.current()?.ageSeconds;
  };
  const looks = [look(), look(), look()];
  keeper.note(await collectionAt(119, 20));
  collected.resolve();
  assert.deepEqual(await Promise.all(looks), [1, 1, 1]);
  assert.equal(collections, 1);
});
