import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { DomainCall, HostCall, StatisticsGroup, Verdict } from "../../src/libvirt/hypervisor.ts";
import { openHypervisor } from "../../src/shim/native.ts";
import { ensureHypervisorHost } from "../../testing/libvirt/host.ts";
import { startHypervisor } from "../../testing/libvirt/hypervisor.ts";
import { reportProgress } from "../../testing/packages.ts";
import { waitUntil } from "../../testing/wait_until.ts";
import {
  EVERY_GROUP,
  numbersOf,
  QUESTION,
  SHIM_GUESTS,
  ShimAsker,
  statistics,
} from "./shim_asker.ts";

const host = await ensureHypervisorHost();

if (host.available) {
  Deno.test("the shim tells what virsh tells about real guests and their host", async (context) => {
    await using hypervisor = await startHypervisor({ guests: SHIM_GUESTS });
    const { virsh, directory } = hypervisor;
    const shim = await openHypervisor({
      uri: hypervisor.readOnlyUri,
      concurrency: 4,
      maximumAbandoned: 5,
    });
    const asker = new ShimAsker(shim);
    const write = (name: string, text: string): string => {
      const path = `${directory}/${name}`;
      Deno.writeTextFileSync(path, text);
      return path;
    };

    await context.step(
      "the shim gives the fields of every bulk group, also when libvirt does not know one of them",
      async () => {
        for (const name of ["one-disk", "two-disks", "no-balloon"]) {
          const shown = statistics(await virsh("domstats", "--raw", name));
          const unknownGroup = 1 << 20;
          const { verdict, numbers, texts, measurement } = await asker.ask(name, {
            groups: EVERY_GROUP | unknownGroup,
          });
          equal(verdict, Verdict.complete, name);
          deepEqual(measurement.failures, []);
          const given = new Set([...numbers.keys(), ...texts.keys()]);
          deepEqual([...shown.keys()].filter((field) => !given.has(field)), [], name);
          for (const field of ["balloon.current", "vcpu.maximum", "net.count", "block.count"]) {
            equal(numbers.get(field), Number(shown.get(field)), `${name} ${field}`);
          }
        }
      },
    );

    await context.step(
      "the shim gives the fields of one group and of no other when it is asked for that one",
      async () => {
        for (
          const [group, field, form] of [
            ["cpu", "cpu.cache.monitor.count", /^cpu\./],
            ["balloon", "balloon.rss", /^balloon\./],
            ["vcpu", "vcpu.0.time", /^vcpu\./],
            ["interface", "net.0.rx.bytes", /^net\./],
            ["block", "block.0.capacity", /^block\./],
            ["dirtyrate", "dirtyrate.calc_status", /^dirtyrate\./],
          ] as const
        ) {
          const { verdict, numbers } = await asker.ask("one-disk", {
            groups: StatisticsGroup[group],
          });
          equal(verdict, Verdict.complete, group);
          const fields = [...numbers.keys()].filter((name) => !name.startsWith("state."));
          ok(fields.includes(field), `${group} has ${field}`);
          deepEqual(fields.filter((name) => !form.test(name)), [], group);
        }
      },
    );

    await context.step("the shim gives the counters of a lone disk and of several", async () => {
      for (
        const [name, groups, domainCalls, function_] of [
          ["one-disk", StatisticsGroup.balloon, DomainCall.blockCounters, "virDomainBlockStats"],
          ["one-disk", StatisticsGroup.balloon, DomainCall.blockTimes, "virDomainBlockStatsFlags"],
          ["one-disk", 0, DomainCall.blockCounters, "virDomainListGetStats"],
          ["two-disks", StatisticsGroup.balloon, DomainCall.blockTimes, "virDomainListGetStats"],
        ] as const
      ) {
        const { numbers, texts, measurement } = await asker.ask(name, {
          groups,
          domainCalls,
        });
        const calls = measurement.callTimes.map(({ call }) => call);
        ok(calls.includes(function_), `${calls}`);
        const ofDisk = function_.startsWith("virDomainBlock") ? [function_] : [];
        deepEqual(calls.filter((call) => call.startsWith("virDomainBlock")), ofDisk);
        const disks = SHIM_GUESTS.find((guest) => guest.name === name)?.disks ?? [];
        for (const [index, { target }] of disks.entries()) {
          const shown = numbersOf(await virsh("domblkstat", name, target));
          equal(texts.get(`block.${index}.name`), target);
          for (
            const [key, parameter] of [
              ["rd.reqs", "rd_req"],
              ["rd.bytes", "rd_bytes"],
              ["rd.times", "rd_total_times"],
              ["wr.reqs", "wr_req"],
              ["wr.bytes", "wr_bytes"],
              ["wr.times", "wr_total_times"],
              ["fl.reqs", "flush_operations"],
              ["fl.times", "flush_total_times"],
            ] as const
          ) {
            const expected = shown.get(`${target} ${parameter}`);
            ok(expected !== undefined, parameter);
            const isGiven = function_ !== "virDomainBlockStats" || /bytes$|req$/.test(parameter);
            const value = numbers.get(`block.${index}.${key}`);
            equal(value, isGiven ? expected : undefined, `${name} ${target} ${key}`);
          }
        }
      }
    });

    await context.step("the shim gives the place of vCPUs and the processor time", async () => {
      const shown = numbersOf(await virsh("vcpuinfo", "one-disk"));
      const { numbers } = await asker.ask("one-disk", {
        domainCalls: DomainCall.vcpuPlacement | DomainCall.cpuTime,
      });
      const processors = Number(numbersOf(await virsh("nodeinfo")).get("CPU(s)"));
      const place = numbers.get("vcpu.0.cpu") ?? NaN;
      ok(Number.isInteger(place) && place >= 0 && place < processors, `${place}`);
      equal(shown.get("VCPU"), 0);
      // The second vCPU is offline.
      ok(!numbers.has("vcpu.1.cpu"));
      ok((numbers.get("cpu.time") ?? 0) > 0 && numbers.has("cpu.user"));
    });

    await context.step("the shim counts snapshots and checkpoints", async () => {
      const count = async (): Promise<readonly (number | undefined)[]> => {
        const { numbers } = await asker.ask("one-disk", {
          domainCalls: DomainCall.snapshots | DomainCall.checkpoints,
        });
        return ["snapshot.count", "checkpoint.count"].map((field) => numbers.get(field));
      };
      const lines = async (list: string): Promise<number> =>
        (await virsh(list, "one-disk", "--name")).trim().split("\n").filter(Boolean).length;
      deepEqual(await count(), [0, 0]);
      const file = `${directory}/disks/snapshot.qcow2`;
      const disk = `vda,snapshot=external,file=${file}`;
      await virsh("snapshot-create-as", "one-disk", "first", "--disk-only", "--diskspec", disk);
      for (const name of ["first", "second"]) {
        await virsh("checkpoint-create-as", "one-disk", name);
      }
      deepEqual(await count(), [1, 2]);
      deepEqual([await lines("snapshot-list"), await lines("checkpoint-list")], [1, 2]);
    });

    await context.step("the shim tells that there is no job, and of one that runs", async () => {
      const jobOf = async (groups: number): Promise<ReadonlyMap<string, number>> => {
        const { verdict, numbers } = await asker.ask("two-disks", {
          groups,
          domainCalls: DomainCall.job,
        });
        equal(verdict, Verdict.complete);
        // The group that shows that the guest answers has values of its own.
        return new Map([...numbers].filter(([name]) => name.startsWith("job.")));
      };
      const type = "job.type";
      deepEqual([...await jobOf(0)], [[type, 0]]);
      match(await virsh("domjobinfo", "two-disks"), /Job type: +None/);
      const scratch = ["vda", "vdb"].map((target) =>
        `<disk name="${target}" type="file"><scratch file="${directory}/disks/${target}.scratch"/></disk>`
      );
      const backup = `<domainbackup mode="pull"><server transport="unix" ` +
        `socket="${directory}/backup.socket"/><disks>${scratch.join("")}</disks></domainbackup>`;
      await virsh("backup-begin", "two-disks", write("backup.xml", backup));
      const shown = numbersOf(await virsh("domjobinfo", "two-disks", "--rawstats"));
      for (const groups of [0, StatisticsGroup.balloon]) {
        const job = await jobOf(groups);
        equal(job.get(type), shown.get("Job type"));
        for (const name of ["operation", "disk_temp_total"]) {
          equal(job.get(`job.${name}`), shown.get(name), name);
        }
        ok((job.get("job.time_elapsed") ?? 0) >= (shown.get("time_elapsed") ?? Infinity));
      }
      await virsh("domjobabort", "two-disks");
    });

    await context.step(
      "the shim gives the state and the definition of a domain that is shut off",
      async () => {
        const { verdict, numbers } = await asker.ask("shut-off", {
          inactive: true,
          groups: EVERY_GROUP,
          domainCalls: DomainCall.cpuTime | DomainCall.job | DomainCall.snapshots,
        });
        equal(verdict, Verdict.complete);
        const shutOff = 5;
        equal(numbers.get("state.state"), shutOff);
        deepEqual([...numbers.keys()].filter((field) => !field.startsWith("state.")), []);
        const handle = Uint32Array.of(asker.handle("shut-off"));
        const [description] = await shim.describe(QUESTION, handle);
        match(description?.xml ?? "", /<name>shut-off<\/name>/);
      },
    );

    await context.step("the shim gives the figures of the node and of its cells", async () => {
      const shown = numbersOf(await virsh("nodeinfo"));
      const before = numbersOf(await virsh("nodecpustats"));
      const entities = await asker.entities(HostCall.node);
      const after = numbersOf(await virsh("nodecpustats"));
      const [node, ...cells] = entities;
      deepEqual(entities.map(({ kind }) => kind), ["node", ...cells.map(() => "cell")]);
      equal(node?.texts["type"], "QEMU");
      match(await virsh("nodeinfo"), new RegExp(`CPU model: +${node?.texts["model"]}\\b`));
      for (
        const [name, label] of [
          ["cpus", "CPU(s)"],
          ["sockets", "CPU socket(s)"],
          ["cores", "Core(s) per socket"],
          ["threads", "Thread(s) per core"],
          ["nodes", "NUMA cell(s)"],
        ] as const
      ) {
        equal(node?.numbers[name], shown.get(label), name);
      }
      equal(node?.numbers["memory"], (shown.get("Memory size") ?? NaN) * 1024);
      for (
        const [name, label] of [["user", "user"], ["kernel", "system"], ["idle", "idle"]] as const
      ) {
        const value = node?.numbers[`cpu.${name}`] ?? NaN;
        ok(value >= (before.get(label) ?? NaN) && value <= (after.get(label) ?? NaN), name);
      }
      const memory = numbersOf(await virsh("nodememstats"));
      equal(node?.numbers["memory.total"], memory.get("total"));
      ok((node?.numbers["memory.free"] ?? NaN) < (memory.get("total") ?? NaN));
      const version = /Using library: libvirt (\d+)\.(\d+)\.(\d+)/.exec(await virsh("version"));
      const [major, minor, release] = (version ?? []).slice(1).map(Number);
      const expected = (major ?? NaN) * 1_000_000 + (minor ?? NaN) * 1_000 + (release ?? NaN);
      equal(node?.numbers["version.client"], expected);
      equal(node?.numbers["version.daemon"], expected);
      for (const { numbers } of cells) {
        const shown = numbersOf(await virsh("nodememstats", String(numbers["cell"])));
        equal(numbers["memory.total"], shown.get("total"));
      }
    });

    await context.step("the shim gives storage pools, their volumes, and networks", async () => {
      await asker.survey({});
      deepEqual(await asker.entities(HostCall.storagePools | HostCall.networks), []);
      await virsh("pool-define-as", "pool", "dir", "--target", `${directory}/pool`);
      await virsh("pool-build", "pool");
      await virsh("pool-define-as", "inactive", "dir", "--target", `${directory}/inactive`);
      await virsh("pool-start", "pool");
      await virsh("vol-create-as", "pool", "volume", "3M", "--allocation", "1M");
      const network = `<network><name>net</name><bridge name="virbr9"/></network>`;
      await virsh("net-define", write("network.xml", network));
      // One that uses a device of the host, without a bridge.
      const other = `<network><name>other</name>` +
        `<forward mode="private"><interface dev="lo"/></forward></network>`;
      await virsh("net-define", write("other.xml", other));
      await virsh("net-start", "net");
      const entities = await asker.entities(
        HostCall.storagePools | HostCall.storageVolumes | HostCall.networks,
      );
      const byName = new Map(entities.map((entity) => [entity.texts["name"], entity]));
      const pool = byName.get("pool");
      const bytes = numbersOf(await virsh("pool-info", "--bytes", "pool"));
      equal(pool?.kind, "storage_pool");
      equal(pool?.numbers["capacity"], bytes.get("Capacity"));
      deepEqual(
        ["state", "volumes", "autostart", "persistent"].map((name) => pool?.numbers[name]),
        [2, 1, 0, 1],
      );
      match(await virsh("pool-uuid", "pool"), new RegExp(pool?.texts["uuid"] ?? "no UUID"));
      const inactive = byName.get("inactive")?.numbers;
      deepEqual(inactive, { state: 0, autostart: 0, persistent: 1 });
      const volume = byName.get("volume");
      const shown = numbersOf(await virsh("vol-info", "--bytes", "volume", "--pool", "pool"));
      equal(volume?.texts["pool"], "pool");
      equal(volume?.numbers["capacity"], shown.get("Capacity"));
      equal(volume?.numbers["allocation"], shown.get("Allocation"));
      const net = byName.get("net");
      equal(net?.texts["bridge"], "virbr9");
      deepEqual(net?.numbers, { active: 1, autostart: 0, persistent: 1, "dhcp_leases": 0 });
      match(await virsh("net-uuid", "net"), new RegExp(net?.texts["uuid"] ?? "no UUID"));
      deepEqual(byName.get("other")?.numbers, { active: 0, autostart: 0, persistent: 1 });
      equal(byName.get("other")?.texts["bridge"], undefined);
    });

    await context.step("the shim tells that a limit of a disk was changed", async () => {
      await asker.survey({});
      await virsh("blkdeviotune", "two-disks", "vda", "--total-iops-sec", "100");
      await waitUntil("the survey to tell the change", async () => {
        const changed = await asker.survey({});
        return changed.has(asker.handle("two-disks")) ? true : undefined;
      }, 10_000);
    });

    await context.step("the shim gives what needs no monitor when a guest hangs", async () => {
      const names = ["one-disk", "two-disks"];
      const changes = {
        callTimeoutMilliseconds: 500,
        groups: StatisticsGroup.balloon | StatisticsGroup.cpu,
        domainCalls: Object.values(DomainCall).reduce((sum, call) => sum | call, 0),
        hostCalls: HostCall.node,
      };
      const pid = hypervisor.guestPid("two-disks");
      await asker.survey(changes);
      Deno.kill(pid, "SIGSTOP");
      try {
        const [well, hung] = await asker.measure(names, changes);
        deepEqual([well?.verdict, hung?.verdict], [Verdict.complete, Verdict.late]);
        for (const field of ["cpu.user", "vcpu.0.cpu", "snapshot.count", "checkpoint.count"]) {
          ok(hung?.numbers.has(field), field);
        }
        for (const field of ["balloon.rss", "block.0.rd.reqs", "job.type"]) {
          ok(well?.numbers.has(field) && !hung?.numbers.has(field), field);
        }
        const counts = new Map(
          well?.measurement.callTimes.map(({ call, count }) => [call, count]),
        );
        equal(counts.get("virDomainListGetStats"), 2);
        equal(counts.get("virDomainGetJobStats"), 1);
        equal(well?.measurement.entities[0]?.kind, "node");
        await asker.survey(changes);
        const [, again] = await asker.measure(names, changes);
        equal(again?.verdict, Verdict.quarantined);
      } finally {
        Deno.kill(pid, "SIGCONT");
      }
      await waitUntil("the guest to answer again", async () => {
        const { verdict } = await asker.ask("two-disks", changes);
        return verdict === Verdict.complete ? true : undefined;
      }, 20_000);
    });

    await context.step(
      "the shim tells that somebody else is asking a guest, whichever group it asks for",
      async () => {
        const pid = hypervisor.guestPid("two-disks");
        Deno.kill(pid, "SIGSTOP");
        const blocked = virsh("domstats", "--block", "two-disks");
        try {
          await waitUntil(
            "virsh to wait for the guest",
            async () =>
              (await virsh("domcontrol", "two-disks")).startsWith("occupied") ? true : undefined,
            10_000,
          );
          const { balloon, vcpu, cpu, iothread, state, interface: network } = StatisticsGroup;
          const { job, blockCounters, cpuTime } = DomainCall;
          for (
            const [groups, domainCalls, expected] of [
              [balloon, 0, Verdict.busy],
              [vcpu, 0, Verdict.busy],
              [cpu | iothread, 0, Verdict.busy],
              [0, blockCounters, Verdict.busy],
              [0, job, Verdict.busy],
              [balloon, job | blockCounters, Verdict.busy],
              [state | network, cpuTime, Verdict.complete],
            ] as const
          ) {
            const { verdict, numbers, measurement } = await asker.ask("two-disks", {
              groups,
              domainCalls,
            });
            equal(verdict, expected, `${groups} ${domainCalls}`);
            const asked = measurement.callTimes.find(({ call }) =>
              call === "virDomainListGetStats"
            );
            // Once, and five times more; together with others for what needs no monitor.
            equal(asked?.count, expected === Verdict.busy ? 6 : 1, `${groups} ${domainCalls}`);
            for (const field of ["balloon.rss", "block.0.rd.reqs", "job.type"]) {
              ok(!numbers.has(field), field);
            }
          }
        } finally {
          Deno.kill(pid, "SIGCONT");
          await blocked;
        }
        const { verdict } = await asker.ask("two-disks", { groups: StatisticsGroup.vcpu });
        equal(verdict, Verdict.complete);
      },
    );

    await shim.close();
  });
} else {
  reportProgress(`The tests with a real hypervisor are left out: ${host.reason}`);
}
