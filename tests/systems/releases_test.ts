// The executable in other releases of Debian, each with its own C library, libvirt and QEMU.
import assert from "node:assert/strict";
import { outputOf } from "../../testing/command.ts";
import { ensureDebian } from "../../testing/debian.ts";
import {
  type AnsweredScrape,
  assertInTime,
  type ExporterProcess,
  startExporterProcess,
} from "../../testing/exporter_process.ts";
import { ensureHypervisorHost } from "../../testing/libvirt/host.ts";
import {
  type Hypervisor,
  SEEN_EXECUTABLE,
  startHypervisor,
} from "../../testing/libvirt/hypervisor.ts";
import { startVirshShell } from "../../testing/libvirt/virsh_shell.ts";
import { ensureDebianPackages, reportProgress } from "../../testing/packages.ts";
import { waitUntil } from "../../testing/wait_until.ts";
import {
  assertBackInTwoScrapes,
  assertWhole,
  pageWithAll,
  successOf,
} from "../real/fault_watch.ts";
import {
  BUSY,
  furnish,
  furnishHost,
  GUESTS,
  knownGuests,
  PAUSED,
} from "../real/furnished_guests.ts";
import {
  ALL_ON,
  assertCountersTold,
  assertGuestsTold,
  assertHostTold,
  assertNothingFailed,
} from "../real/told_values.ts";

/** A release that there is a system of. */
interface Release {
  readonly suite: string;
  /** The beginnings of the versions that belong to it, as docs/installation.md has them; a rolling release has none. */
  readonly versions:
    | { readonly glibc: string; readonly libvirt: string; readonly qemu: string }
    | undefined;
}

const RELEASES: readonly Release[] = [
  { suite: "bullseye", versions: { glibc: "2.31", libvirt: "7.0", qemu: "5.2" } },
  { suite: "bookworm", versions: { glibc: "2.36", libvirt: "9.0", qemu: "7.2" } },
  { suite: "trixie", versions: { glibc: "2.41", libvirt: "11.3", qemu: "10.0" } },
  { suite: "sid", versions: undefined },
];

const PACKAGES = [
  "iproute2",
  "libvirt-clients",
  "libvirt-daemon-system",
  "qemu-system-x86",
  "qemu-utils",
];

/** The oldest and the newest stable one by themselves; `npm run test:systems` says "all". */
const CHOSEN = Deno.env.get("SYSTEMS") ?? "bullseye trixie";
const NAMES = GUESTS.map(({ name }) => name);

const packages = await ensureDebianPackages(["mmdebstrap"]);
const host = packages.available ? await ensureHypervisorHost() : packages;
if (!host.available) {
  if (Deno.env.get("CI") === "true") throw new Error(host.reason);
  reportProgress(`Leaving out the tests in other releases of Debian: ${host.reason}`);
}

/** Starts the executable in the hypervisor's system. */
function startExporter(
  { enter }: Hypervisor,
  uri: string,
  flags: readonly string[] = [],
  temporaryDirectory: string = "/tmp",
): Promise<ExporterProcess> {
  return startExporterProcess(uri, flags, {
    through: enter,
    executable: SEEN_EXECUTABLE,
    environment: { TMPDIR: temporaryDirectory },
  });
}

async function scrapeUp(exporter: ExporterProcess): Promise<AnsweredScrape> {
  const page = await exporter.scrape();
  assert.equal(page.up, 1);
  return page;
}

/** Fails unless what runs is of that release. */
async function assertVersions({ suite, versions }: Release, hypervisor: Hypervisor): Promise<void> {
  if (versions === undefined) return;
  const [program = "", ...rest] = [...hypervisor.enter, "getconf", "GNU_LIBC_VERSION"];
  assert.equal((await outputOf(program, rest)).trim(), `glibc ${versions.glibc}`, suite);
  const told = await hypervisor.virsh("version", "--daemon");
  const lines = [
    `Using library: libvirt ${versions.libvirt}.`,
    `Running against daemon: ${versions.libvirt}.`,
    `Running hypervisor: QEMU ${versions.qemu}.`,
  ];
  for (const line of lines) assert.ok(told.includes(line), `${line} is not in ${told}`);
}

/** One guest hangs: the page comes in time, and has everything of the others. */
async function assertHungGuestCostsItselfOnly(
  hypervisor: Hypervisor,
  exporter: ExporterProcess,
): Promise<void> {
  const reference = await pageWithAll(exporter, NAMES);
  const others = NAMES.filter((name) => name !== PAUSED);
  const process = hypervisor.guestPid(PAUSED);
  Deno.kill(process, "SIGSTOP");
  try {
    for (let time = 0; time < 3; time++) {
      const page = await exporter.scrape();
      assertInTime(page);
      assertWhole(page, reference, others);
      assert.equal(successOf(page, PAUSED), 0);
    }
  } finally {
    Deno.kill(process, "SIGCONT");
  }
  assertWhole(await pageWithAll(exporter, NAMES), reference, NAMES);
}

async function assertRelease(release: Release, context: Deno.TestContext): Promise<void> {
  const system = await ensureDebian({ suite: release.suite, packages: PACKAGES });
  await using hypervisor = await startHypervisor({ system, guests: GUESTS });
  await assertVersions(release, hypervisor);
  await hypervisor.waitForGuestReady(BUSY);
  await furnish(hypervisor);
  await furnishHost(hypervisor);
  // The private libvirtd has its state elsewhere than its sockets; libvirtd's own are neighbours.
  Deno.symlinkSync("../run/libvirt/qemu", `${hypervisor.directory}/sockets/qemu`);
  const known = await knownGuests(hypervisor);
  const { enter, readOnlyUri, readWriteUri } = hypervisor;
  await using shell = startVirshShell(readWriteUri, enter);
  await using exporter = await startExporter(hypervisor, readOnlyUri, ALL_ON);
  const told = { shell, known, scrape: () => scrapeUp(exporter) };
  await waitUntil("the guest's balloon to report", async () => {
    return (await shell.run(`dommemstat ${BUSY}`)).includes("usable") || undefined;
  }, 30_000);
  await context.step("counters of a guest that runs are what virsh says", async () => {
    await told.scrape();
    await assertCountersTold(told);
  });
  await hypervisor.suspend(BUSY);
  await context.step("all series of guests that stand still are what virsh says", () => {
    return assertGuestsTold(told, hypervisor, () => startExporter(hypervisor, readOnlyUri));
  });
  await context.step("the host, pools, volumes, networks and projects likewise", () => {
    return assertHostTold(told);
  });
  await context.step("nothing that was asked failed", async () => {
    assertNothingFailed(await told.scrape(), exporter.logLines());
  });
  await context.step("a guest that hangs costs itself only", () => {
    return assertHungGuestCostsItselfOnly(hypervisor, exporter);
  });
  await context.step("a daemon that restarts costs nothing after two scrapes", async () => {
    const reference = await pageWithAll(exporter, NAMES);
    await hypervisor.restartLibvirtd();
    await assertBackInTwoScrapes({ exporter, reference }, NAMES);
  });
  assert.equal(await exporter.stop(), 0);
  await context.step("the shim is loaded from memory where it cannot be unpacked", async () => {
    await using other = await startExporter(hypervisor, readOnlyUri, [], "/nonexistent");
    assertNothingFailed(await scrapeUp(other), other.logLines());
  });
}

if (host.available) {
  for (const release of RELEASES) {
    if (CHOSEN !== "all" && !CHOSEN.split(" ").includes(release.suite)) continue;
    Deno.test(`in Debian "${release.suite}" every value is what its own virsh says`, (context) => {
      return assertRelease(release, context);
    });
  }
}
