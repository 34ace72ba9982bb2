import { ok, strictEqual as equal } from "node:assert/strict";
import { domainStartSeconds } from "../../src/libvirt/domain_start.ts";
import { waitUntil } from "../../testing/wait_until.ts";
import { ensureHypervisorHost } from "../../testing/libvirt/host.ts";
import {
  type Hypervisor,
  type InitialGuest,
  startHypervisor,
} from "../../testing/libvirt/hypervisor.ts";
import { reportProgress } from "../../testing/packages.ts";
import { outputOf, runCommand } from "../../testing/command.ts";

const host = await ensureHypervisorHost();

const RUNNING = "instance-00000001";
const PAUSED = "instance-00000002";
const NOBODY = 65_534;

const GUESTS: readonly InitialGuest[] = [
  // The first one counts; the test guests' own would end the guest at a reset.
  { name: RUNNING, additionalDomainXml: "<on_reboot>restart</on_reboot>" },
  { name: PAUSED, start: "paused" },
];

/** Clock and process times come from different calls, and a file is written a moment after its process began. */
const TOLERANCE_SECONDS = 5;

/** When a process began, by the kernel's account of it. */
async function processStartSeconds(processId: number): Promise<number> {
  const ticksPerSecond = Number(await outputOf("getconf", ["CLK_TCK"]));
  const fields = Deno.readTextFileSync(`/proc/${processId}/stat`).replace(/^.*\) /s, "").split(" ");
  const uptime = Number(Deno.readTextFileSync("/proc/uptime").split(" ")[0]);
  return Date.now() / 1000 - uptime + Number(fields[19]) / ticksPerSecond;
}

/** libvirt's state directory lies elsewhere than the sockets of a private hypervisor, so this names no real socket. */
function startSeconds(hypervisor: Hypervisor, name: string): number | undefined {
  const socket = `${hypervisor.directory}/run/libvirt/libvirt-sock-ro`;
  return domainStartSeconds(name, { uri: `qemu+unix:///system?socket=${socket}` });
}

if (host.available) {
  Deno.test("domainStartSeconds() is when QEMU began to run a domain", async (context) => {
    await using hypervisor = await startHypervisor({ guests: GUESTS });
    const { virsh } = hypervisor;
    const saved = `${hypervisor.directory}/saved`;
    const start = (): number | undefined => startSeconds(hypervisor, RUNNING);

    for (const name of [RUNNING, PAUSED]) {
      await context.step(`is the start of QEMU's process: ${name}`, async () => {
        const found = startSeconds(hypervisor, name) ?? NaN;
        const expected = await processStartSeconds(hypervisor.guestPid(name));
        const difference = Math.abs(found - expected);
        ok(difference < TOLERANCE_SECONDS, `${found} s, while QEMU began at ${expected} s`);
      });
    }

    await context.step("may be seen by every user", async () => {
      const file = `${hypervisor.directory}/run/libvirt/qemu/${RUNNING}.pid`;
      const { code } = await runCommand("stat", [file], { uid: NOBODY, gid: NOBODY });
      equal(code, 0);
    });

    const metadata = ["--live", "--uri", "urn:a", "--key", "a", "--set", "<b/>"];
    const changes: Readonly<Record<string, () => Promise<unknown>>> = {
      "suspending": () => hypervisor.suspend(RUNNING),
      "resuming": () => hypervisor.resume(RUNNING),
      "a reset": () => virsh("reset", RUNNING),
      "a reboot": () => virsh("reboot", RUNNING),
      "new metadata": () => virsh("metadata", RUNNING, ...metadata),
      "a restart of libvirtd": () => hypervisor.restartLibvirtd(),
      "a crash of libvirtd": async () => {
        await hypervisor.killLibvirtd("SIGKILL");
        await hypervisor.startLibvirtd();
      },
    };
    for (const [title, change] of Object.entries(changes)) {
      await context.step(`does not change with ${title}`, async () => {
        const [process, before] = [hypervisor.guestPid(RUNNING), start()];
        ok(before !== undefined);
        await change();
        equal(hypervisor.guestPid(RUNNING), process);
        equal(start(), before);
      });
    }

    const ends: Readonly<
      Record<string, readonly [() => Promise<unknown>, () => Promise<unknown>]>
    > = {
      "a managed save": [() => virsh("managedsave", RUNNING), () => virsh("start", RUNNING)],
      "a save to a file": [() => virsh("save", RUNNING, saved), () => virsh("restore", saved)],
      "destroying": [() => hypervisor.destroyGuest(RUNNING), () => virsh("start", RUNNING)],
      "a crash of QEMU": [
        async () => {
          Deno.kill(hypervisor.guestPid(RUNNING), "SIGKILL");
          await waitUntil("libvirt to see the end of QEMU", async () => {
            return (await virsh("domstate", RUNNING)).trim() === "shut off" ? true : undefined;
          }, 30_000);
        },
        () => virsh("start", RUNNING),
      ],
    };
    for (const [title, [end, startAgain]] of Object.entries(ends)) {
      await context.step(`ends with ${title}, and is new afterwards`, async () => {
        const before = start() ?? NaN;
        await end();
        equal(start(), undefined);
        await startAgain();
        const after = start() ?? NaN;
        ok(after > before, `${after} s after ${before} s`);
      });
    }
  });
} else {
  reportProgress(`The test of a domain's start is left out: ${host.reason}`);
}
