import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { type AnsweredScrape, startExporterProcess } from "../../testing/exporter_process.ts";
import {
  assertBackInTwoScrapes,
  assertToldOnce,
  defineInTime,
  eachSecond,
  incompleteBecause,
  pageWithAll,
  pausedGuests,
  scrapeInFault,
} from "./fault_watch.ts";
import { type Hypervisor, startHypervisor } from "../../testing/libvirt/hypervisor.ts";
import { waitUntil } from "../../testing/wait_until.ts";
import { ensureHypervisorHost } from "../../testing/libvirt/host.ts";

const host = await ensureHypervisorHost();

const OTHERS = pausedGuests(6);
const OTHER_NAMES = OTHERS.map(({ name }) => name);
const LOCKED = "instance-00locked";
const PAGES = 6;

/** Long for what waits for nobody, short for what waits for a lock that is held while {@link PAGES} are made. */
const DEFINE_BOUND_MILLISECONDS = 2_000;
const LOCK_BOUND_MILLISECONDS = 10_000;
/** Ends a hook that is forgotten. */
const HOOK_BOUND_SECONDS = 30;

const SIGTERM_PENDING = 1n << 14n;

/** Moments at which libvirt runs a hook for a domain, and holds the domain's lock until the hook has ended. */
type Moment = "prepare" | "started" | "release";

const HOOK = `#!/bin/sh
tries=0
while [ -e "/run/hook/hold-$1-$2" ] && [ "$tries" -lt ${HOOK_BOUND_SECONDS * 10} ]; do
  : > /run/hook/holds
  sleep 0.1
  tries=$((tries + 1))
done
rm -f /run/hook/holds
`;

/** Puts the hook where libvirtd looks for it when it starts. */
async function addHook(hypervisor: Hypervisor): Promise<void> {
  Deno.mkdirSync(`${hypervisor.directory}/run/hook`);
  Deno.mkdirSync(`${hypervisor.directory}/etc/hooks`);
  Deno.writeTextFileSync(`${hypervisor.directory}/etc/hooks/qemu`, HOOK, { mode: 0o755 });
  await hypervisor.restartLibvirtd();
}

/** Says whether a stopped process has been told to end. */
function isToldToEnd(processId: number): boolean {
  const status = Deno.readTextFileSync(`/proc/${processId}/status`);
  const pending = /^ShdPnd:\s+([0-9a-f]+)$/m.exec(status)?.[1] ?? "0";
  return (BigInt(`0x${pending}`) & SIGTERM_PENDING) !== 0n;
}

/** A time in which libvirt holds the lock of {@link LOCKED}. */
interface Lock {
  /** Whether the instance is active, and so on the page, before and after. */
  readonly before: boolean;
  readonly after: boolean;
  /** Begins it; returns when libvirt holds the lock. */
  begin(): Promise<void>;
  /** Lets libvirt go on; nothing where it goes on by itself. */
  end?(): void;
  /** What ends the lock, and with it the instance or its start. */
  operation(): Promise<void>;
}

/** A start or an end that waits in a hook. */
function heldInHook(hypervisor: Hypervisor, moment: Moment): Lock {
  const folder = `${hypervisor.directory}/run/hook`;
  const hold = `${folder}/hold-${LOCKED}-${moment}`;
  const isEnd = moment === "release";
  let operation = Promise.resolve();
  return {
    before: isEnd,
    after: !isEnd,
    async begin(): Promise<void> {
      Deno.writeTextFileSync(hold, "");
      operation = isEnd
        ? hypervisor.destroyGuest(LOCKED)
        : hypervisor.startGuest(LOCKED, { paused: true });
      await waitUntil(
        `the hook "${moment}" to hold the lock`,
        () => existsSync(`${folder}/holds`) || undefined,
        LOCK_BOUND_MILLISECONDS,
      );
    },
    end: () => Deno.removeSync(hold),
    operation: () => operation,
  };
}

/** The end of a QEMU that is stopped: libvirt asks it to end, waits for 10 s, and kills it. */
function heldByStoppedProcess(hypervisor: Hypervisor): Lock {
  let operation = Promise.resolve();
  return {
    before: true,
    after: false,
    async begin(): Promise<void> {
      const guest = hypervisor.guestPid(LOCKED);
      Deno.kill(guest, "SIGSTOP");
      operation = hypervisor.destroyGuest(LOCKED);
      await waitUntil(
        "libvirt to end the stopped process",
        () => isToldToEnd(guest) || undefined,
        LOCK_BOUND_MILLISECONDS,
      );
    },
    operation: () => operation,
  };
}

const listAge = (page: AnsweredScrape): number =>
  page.value("libvirt_nova_exporter_list_age_seconds") ?? NaN;

/** Scrapes once a second while libvirt holds the lock, and after. */
async function assertNobodyElseNotices(hypervisor: Hypervisor, lock: Lock): Promise<void> {
  const guests = (isThere: boolean): readonly string[] =>
    isThere ? [...OTHER_NAMES, LOCKED] : OTHER_NAMES;
  await using exporter = await startExporterProcess(hypervisor.readOnlyUri);
  const reference = await pageWithAll(exporter, guests(lock.before));
  // Whoever starts or ends the instance waits for libvirt as well.
  const watch = { hypervisor, exporter, reference, uninvolved: OTHER_NAMES, othersWorkers: 1 };
  let age = 0;
  await lock.begin();
  try {
    await eachSecond(PAGES, async () => {
      const page = await scrapeInFault(watch);
      assert.ok(listAge(page) > age, `The list is ${listAge(page)} s old, and was ${age} s old`);
      age = listAge(page);
      if (lock.before) assert.equal(incompleteBecause(page, "locked"), 1);
      await defineInTime(hypervisor, `defined-${crypto.randomUUID()}`, DEFINE_BOUND_MILLISECONDS);
    });
  } finally {
    lock.end?.();
    await lock.operation();
  }
  const page = await assertBackInTwoScrapes(watch, guests(lock.after));
  assert.ok(listAge(page) < age, `The list is ${listAge(page)} s old, and was ${age} s old`);
  assert.equal(incompleteBecause(page, "locked"), 0);
  assertToldOnce(exporter);
}

if (host.available) {
  Deno.test("a domain that libvirt has locked costs no other domain its values", async (context) => {
    await using hypervisor = await startHypervisor({
      guests: [...OTHERS, { name: LOCKED, start: "defined", disks: [{ target: "vda" }] }],
    });
    await addHook(hypervisor);
    const locks: readonly (readonly [name: string, lock: Lock])[] = [
      ["a start that waits before it", heldInHook(hypervisor, "prepare")],
      ["an end that waits after it", heldInHook(hypervisor, "release")],
      ["a start that waits after it", heldInHook(hypervisor, "started")],
      ["an end for which a stopped QEMU is killed", heldByStoppedProcess(hypervisor)],
    ];
    for (const [name, lock] of locks) {
      await context.step(name, () => assertNobodyElseNotices(hypervisor, lock));
    }
  });
}
