import {
  deepStrictEqual as deepEqual,
  match,
  ok,
  rejects,
  strictEqual as equal,
  throws,
} from "node:assert/strict";
import { waitUntil } from "../../testing/wait_until.ts";
import { ensureHypervisorHost } from "../../testing/libvirt/host.ts";
import { type InitialGuest, startHypervisor } from "../../testing/libvirt/hypervisor.ts";
import { reportProgress } from "../../testing/packages.ts";
import { novaMetadata } from "../../testing/libvirt/guest_xml.ts";
import { isAlive } from "../../testing/processes.ts";
import { runCommand, startCommand } from "../../testing/command.ts";

const host = await ensureHypervisorHost();

const GUESTS: readonly InitialGuest[] = [
  {
    name: "instance-00000001",
    uuid: "00000000-0000-4000-8000-000000000001",
    processors: { current: 1, maximum: 2 },
    disks: [{ target: "vda" }, { target: "vdb", serial: "9b1e7c0a-volume" }],
    interfaces: [{ target: "tap567a4527-b0", macAddress: "fa:16:3e:11:22:33" }],
    metadata: novaMetadata({
      version: "1.1",
      name: `a "name" \\ with\n<&> 😀`,
      project: { id: "p1", name: "R&D" },
    }),
  },
  {
    name: "instance-00000002",
    start: "paused",
    disks: [{ target: "vda" }],
    interfaces: [{ target: "tap567a4527-b1", macAddress: "fa:16:3e:11:22:34" }],
  },
  { name: "instance-00000003", start: "defined", balloonPeriodSeconds: "none" },
];

/** Reads `domstats` lines such as `  balloon.available=60720`. */
function statistics(output: string): ReadonlyMap<string, string> {
  return new Map(
    output.split("\n").map((line) => line.trim().split("="))
      .flatMap(([name, value]) => name === undefined || value === undefined ? [] : [[name, value]]),
  );
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Names the directories that a hypervisor of this directory has among the machine's control groups. */
function controlGroups(directory: string): readonly string[] {
  const group = directory.replace(/^.*\//, "");
  return Deno.readTextFileSync("/proc/self/mounts").split("\n")
    .map((line) => line.split(" "))
    .filter(([, , type]) => type === "cgroup" || type === "cgroup2")
    .map(([, point]) => `${point}/${group}`)
    .filter(exists);
}

if (host.available) {
  Deno.test("startHypervisor() runs real guests that boot, report, and outlive libvirtd", async (context) => {
    await using hypervisor = await startHypervisor({ guests: GUESTS });
    const { virsh } = hypervisor;
    const guestPids = ["instance-00000001", "instance-00000002"].map(hypervisor.guestPid);

    await context.step("shows running, paused and merely defined guests", async () => {
      const states = (await virsh("list", "--all")).trim().split("\n")
        .map((line) => line.trim().split(/\s{2,}/).slice(1));
      deepEqual(states.sort(), [
        ["instance-00000001", "running"],
        ["instance-00000002", "paused"],
        ["instance-00000003", "shut off"],
      ]);
      throws(() => hypervisor.guestPid("instance-00000003"), /does not run; start it first/);
    });

    await context.step("keeps Nova's metadata", async () => {
      const document = await virsh("dumpxml", "instance-00000001");
      match(document, /<nova:name>a "name" \\ with\n&lt;&amp;&gt; 😀<\/nova:name>/);
    });

    await context.step("lets every user read, and only read, at the read-only URI", async () => {
      const nobody = 65534;
      const virshAsNobody = async (...parameters: readonly string[]): Promise<string> => {
        const { output, errorOutput } = await runCommand(
          "virsh",
          ["--quiet", "--connect", hypervisor.readOnlyUri, ...parameters],
          { uid: nobody, gid: nobody, environment: { HOME: "/nonexistent" } },
        );
        return output + errorOutput;
      };
      equal((await virshAsNobody("domstate", "instance-00000002")).trim(), "paused");
      match(await virshAsNobody("destroy", "instance-00000002"), /read only access/);
    });

    await context.step("boots a guest whose counters count", async () => {
      await hypervisor.waitForGuestReady("instance-00000001");
      const found = await waitUntil("the balloon driver to report", async () => {
        const values = statistics(await virsh("domstats", "instance-00000001"));
        return values.has("balloon.available") && values.has("balloon.usable") ? values : undefined;
      }, 30_000);
      for (
        const name of [
          "cpu.time",
          "balloon.available",
          "balloon.unused",
          "balloon.last-update",
          "vcpu.0.time",
          "net.0.rx.bytes",
          "net.0.tx.bytes",
          "block.0.rd.reqs",
          "block.0.wr.bytes",
          "block.1.rd.bytes",
        ]
      ) {
        ok(Number(found.get(name)) > 0, `"${name}" is "${found.get(name)}"`);
      }
      equal(found.get("vcpu.maximum"), "2");
      equal(found.get("net.0.name"), "tap567a4527-b0");
    });

    await context.step("accounts the processor time of each guest by itself", async () => {
      const seconds = async (name: string): Promise<number> =>
        Number(/cpu_time\s+([\d.]+)/.exec(await virsh("cpu-stats", name, "--total"))?.[1]);
      const [booted, paused] = [
        await seconds("instance-00000001"),
        await seconds("instance-00000002"),
      ];
      ok(paused > 0 && booted > paused, `booted ${booted} s, paused ${paused} s`);
    });

    await context.step("keeps the guests while libvirtd restarts or crashes", async () => {
      const before = hypervisor.libvirtdPid();
      await hypervisor.restartLibvirtd();
      ok(!isAlive(before));
      await hypervisor.killLibvirtd("SIGKILL");
      throws(hypervisor.libvirtdPid, /No libvirtd runs/);
      await rejects(virsh("list"), /Command "virsh .*list" failed with exit code 1: .*connect/s);
      await hypervisor.startLibvirtd();
      await rejects(hypervisor.startLibvirtd(), /runs already/);
      deepEqual(["instance-00000001", "instance-00000002"].map(hypervisor.guestPid), guestPids);
      equal((await virsh("list", "--name")).trim().split("\n").length, 2);
    });

    await context.step("suspends, resumes, destroys and starts guests", async () => {
      const stateOf = async (name: string): Promise<string> =>
        (await virsh("domstate", name)).trim();
      await hypervisor.suspend("instance-00000001");
      equal(await stateOf("instance-00000001"), "paused");
      await hypervisor.resume("instance-00000001");
      equal(await stateOf("instance-00000001"), "running");
      await hypervisor.destroyGuest("instance-00000002");
      equal(await stateOf("instance-00000002"), "shut off");
      await hypervisor.startGuest("instance-00000003", { paused: true });
      equal(await stateOf("instance-00000003"), "paused");
    });

    await context.step("leaves nothing behind, whatever state it is in", async () => {
      Deno.kill(hypervisor.guestPid("instance-00000001"), "SIGSTOP");
      await hypervisor.killLibvirtd("SIGSTOP");
      const processes = hypervisor.processIds();
      ok(processes.length >= 4, `processes "${processes}"`);
      await hypervisor.stop();
      await hypervisor.stop();
      deepEqual(processes.filter(isAlive), []);
      deepEqual(hypervisor.processIds(), []);
      deepEqual(controlGroups(hypervisor.directory), []);
      ok(!exists(hypervisor.directory));
    });
  });
} else {
  reportProgress(`The tests with a real hypervisor are left out: ${host.reason}`);
}

if (host.available) {
  Deno.test("startHypervisor() shows libvirtd's own words when libvirtd does not start", async () => {
    const libvirtdSettings = { "log_outputs": "no such output" };
    await rejects(startHypervisor({ libvirtdSettings }), /does not start: .*log output 'no'/s);
  });
} else {
  reportProgress(`The tests with a real hypervisor are left out: ${host.reason}`);
}

if (host.available) {
  Deno.test("startHypervisor() ends with the process that has called it", async () => {
    const program = `
      import { startHypervisor } from ${
      JSON.stringify(import.meta.resolve("../../testing/libvirt/hypervisor.ts"))
    };
      const { directory, processIds } = await startHypervisor();
      console.log(JSON.stringify({ directory, processes: processIds() }));
      await Deno.stdin.readable.pipeTo(new WritableStream());
      Deno.exit(1);
    `;
    // It waits for the end of its input, so that it goes too when this test is killed.
    const streams = { stdin: "piped", stdout: "piped" } as const;
    const child = startCommand(Deno.execPath(), ["eval", "--no-check", program], streams);
    const { value } = await child.stdout.pipeThrough(new TextDecoderStream()).values().next();
    const { directory, processes } = JSON.parse(value ?? "");
    ok(processes.every(isAlive) && processes.length > 0);
    child.kill("SIGKILL");
    await child.status;
    await child.stdin.close();
    await waitUntil("the hypervisor's end", () => exists(directory) ? undefined : true, 20_000);
    deepEqual(processes.filter(isAlive), []);
    deepEqual(controlGroups(directory), []);
  });
} else {
  reportProgress(`The tests with a real hypervisor are left out: ${host.reason}`);
}
