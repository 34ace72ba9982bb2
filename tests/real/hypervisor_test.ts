import {
  deepStrictEqual as deepEqual,
  match,
  ok,
  rejects,
  strictEqual as equal,
  throws,
} from "node:assert/strict";
import { Dictionary } from "../../src/libvirt/dictionary.ts";
import {
  DomainCall,
  HostCall,
  type HostEntity,
  type Hypervisor as Shim,
  type Measurement,
  type Question,
  StatisticsGroup,
  Verdict,
} from "../../src/libvirt/hypervisor.ts";
import { openHypervisor } from "../../src/libvirt/native.ts";
import { novaMetadata } from "./guest_xml.ts";
import { ensureHypervisorHost } from "./host.ts";
import { type InitialGuest, startHypervisor } from "./hypervisor.ts";
import { reportProgress } from "./packages.ts";
import { isAlive } from "./processes.ts";
import { waitUntil } from "./wait_until.ts";

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

const EVERY_GROUP = Object.values(StatisticsGroup).reduce((sum, group) => sum | group, 0);

const QUESTION: Question = {
  timeoutMilliseconds: 20_000,
  callTimeoutMilliseconds: 15_000,
  groups: 0,
  domainCalls: 0,
  hostCalls: 0,
  inactive: false,
};

/** What the guests of the shim's tests are called, and the disks that they have. */
const SHIM_GUESTS: readonly InitialGuest[] = [
  {
    name: "one-disk",
    start: "paused",
    processors: { current: 1, maximum: 2 },
    disks: [{ target: "vda" }],
    interfaces: [{ target: "tapshim0", macAddress: "fa:16:3e:00:02:01" }],
  },
  { name: "two-disks", start: "paused", disks: [{ target: "vda" }, { target: "vdb" }] },
  { name: "no-balloon", start: "paused", balloonPeriodSeconds: "none", disks: [{ target: "vda" }] },
  { name: "shut-off", start: "defined", disks: [{ target: "vda" }] },
];

/** One domain's measurement: its numbers and texts by field, and what became of it. */
interface Measured {
  readonly verdict: number | undefined;
  readonly numbers: ReadonlyMap<string, number>;
  readonly texts: ReadonlyMap<string, string>;
  readonly measurement: Measurement;
}

/** Asks the shim about domains by libvirt's name. */
class ShimAsker {
  readonly #shim: Shim;
  readonly #dictionary = new Dictionary();
  readonly #handles = new Map<string, number>();

  constructor(shim: Shim) {
    this.#shim = shim;
  }

  async survey(changes: Partial<Question>): Promise<ReadonlySet<number>> {
    const survey = await this.#shim.survey({ ...QUESTION, ...changes });
    equal(survey.failure, undefined);
    for (const { handle, name } of survey.appeared) {
      this.#handles.set(name, handle);
      const disks = SHIM_GUESTS.find((guest) => guest.name === name)?.disks ?? [];
      this.#shim.setDevices(handle, disks.map(({ target }) => target), []);
    }
    return new Set(survey.changed);
  }

  handle(name: string): number {
    return this.#handles.get(name) ?? -1;
  }

  /** Surveys, and measures this domain alone. */
  async ask(name: string, changes: Partial<Question>): Promise<Measured> {
    await this.survey(changes);
    const [measured] = await this.measure([name], changes);
    ok(measured !== undefined);
    return measured;
  }

  async measure(names: readonly string[], changes: Partial<Question>): Promise<Measured[]> {
    const handles = Uint32Array.from(names, (name) => this.handle(name));
    const measurement = await this.#shim.measure({ ...QUESTION, ...changes }, handles);
    this.#dictionary.add(measurement.dictionaryBase, measurement.dictionaryStrings);
    const string = (number: number): string => this.#dictionary.string(number) ?? "";
    const { offsets, fields, values, textOffsets, textFields, texts } = measurement;
    return names.map((_, position) => {
      const [start, end] = [offsets[position], offsets[position + 1]];
      const [textStart, textEnd] = [textOffsets[position], textOffsets[position + 1]];
      const own = values.subarray(start, end);
      const ownTexts = texts.subarray(textStart, textEnd);
      return {
        verdict: measurement.verdicts[position],
        numbers: new Map(
          [...fields.subarray(start, end)].map((field, at) => [string(field), own[at] ?? NaN]),
        ),
        texts: new Map(
          [...textFields.subarray(textStart, textEnd)]
            .map((field, at) => [string(field), string(ownTexts[at] ?? -1)]),
        ),
        measurement,
      };
    });
  }

  async entities(hostCalls: number): Promise<readonly HostEntity[]> {
    const measurement = await this.#shim.measure({ ...QUESTION, hostCalls }, new Uint32Array());
    deepEqual(measurement.failures, []);
    return measurement.entities;
  }
}

/** Reads lines of virsh such as `Capacity:  251 GiB`, `vda rd_req 0` or ` total  :  12 KiB`: the first number of each. */
function numbersOf(output: string): ReadonlyMap<string, number> {
  return new Map(
    [...output.matchAll(/^\s*(.+?)\s*(?::|\s)\s*(-?\d+)\b.*$/gm)]
      .map(([, name, value]) => [name ?? "", Number(value)]),
  );
}

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

    await context.step("every bulk group, also of a libvirt that does not know it", async () => {
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
    });

    await context.step("one group at a time, and nothing else", async () => {
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
    });

    await context.step("the counters of a lone disk and of several", async () => {
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

    await context.step("the place of vCPUs and the processor time", async () => {
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

    await context.step("snapshots and checkpoints", async () => {
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

    await context.step("no job, and a running one", async () => {
      const jobOf = async (groups: number): Promise<ReadonlyMap<string, number>> => {
        const { verdict, numbers } = await asker.ask("two-disks", {
          groups,
          domainCalls: DomainCall.job,
        });
        equal(verdict, Verdict.complete);
        const fields = [...numbers].filter(([name]) => !name.startsWith("state."));
        return new Map(fields);
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

    await context.step("domains that are shut off", async () => {
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
    });

    await context.step("the node", async () => {
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

    await context.step("storage pools, their volumes, and networks", async () => {
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
      ok(!byName.has("inactive"));
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

    await context.step("that a limit of a disk was changed", async () => {
      await asker.survey({});
      await virsh("blkdeviotune", "two-disks", "vda", "--total-iops-sec", "100");
      await waitUntil("the survey to tell the change", 10_000, async () => {
        const changed = await asker.survey({});
        return changed.has(asker.handle("two-disks")) ? true : undefined;
      });
    });

    await context.step("what needs no monitor, of a guest that hangs", async () => {
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
      await waitUntil("the guest to answer again", 20_000, async () => {
        const { verdict } = await asker.ask("two-disks", changes);
        return verdict === Verdict.complete ? true : undefined;
      });
    });

    await context.step("that somebody else is asking a guest, whichever group tells", async () => {
      const pid = hypervisor.guestPid("two-disks");
      Deno.kill(pid, "SIGSTOP");
      const blocked = virsh("domstats", "--block", "two-disks");
      try {
        await waitUntil(
          "virsh to wait for the guest",
          10_000,
          async () =>
            (await virsh("domcontrol", "two-disks")).startsWith("occupied") ? true : undefined,
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
          const asked = measurement.callTimes.find(({ call }) => call === "virDomainListGetStats");
          equal(asked?.count, expected === Verdict.busy ? 2 : undefined, "asked once more");
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
    });

    await shim.close();
  });

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
        const { stdout, stderr } = await new Deno.Command("virsh", {
          args: ["--quiet", "--connect", hypervisor.readOnlyUri, ...parameters],
          uid: nobody,
          gid: nobody,
          env: { HOME: "/nonexistent" },
        }).output();
        return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
      };
      equal((await virshAsNobody("domstate", "instance-00000002")).trim(), "paused");
      match(await virshAsNobody("destroy", "instance-00000002"), /read only access/);
    });

    await context.step("boots a guest whose counters count", async () => {
      await hypervisor.waitForGuestReady("instance-00000001");
      const found = await waitUntil("the balloon driver to report", 30_000, async () => {
        const values = statistics(await virsh("domstats", "instance-00000001"));
        return values.has("balloon.available") && values.has("balloon.usable") ? values : undefined;
      });
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

  Deno.test("startHypervisor() shows libvirtd's own words when libvirtd does not start", async () => {
    const libvirtdSettings = { "log_outputs": "no such output" };
    await rejects(startHypervisor({ libvirtdSettings }), /does not start: .*log output 'no'/s);
  });

  Deno.test("startHypervisor() ends with the process that has called it", async () => {
    const program = `
      import { startHypervisor } from ${JSON.stringify(import.meta.resolve("./hypervisor.ts"))};
      const { directory, processIds } = await startHypervisor();
      console.log(JSON.stringify({ directory, processes: processIds() }));
      await Deno.stdin.readable.pipeTo(new WritableStream());
      Deno.exit(1);
    `;
    const child = new Deno.Command(Deno.execPath(), {
      args: ["eval", "--no-check", program],
      // It waits for the end of its input, so that it goes too when this test is killed.
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const { value } = await child.stdout.pipeThrough(new TextDecoderStream()).values().next();
    const { directory, processes } = JSON.parse(value ?? "");
    ok(processes.every(isAlive) && processes.length > 0);
    child.kill("SIGKILL");
    await child.status;
    await child.stdin.close();
    await waitUntil("the hypervisor's end", 20_000, () => exists(directory) ? undefined : true);
    deepEqual(processes.filter(isAlive), []);
    deepEqual(controlGroups(directory), []);
  });
} else {
  reportProgress(`The tests with a real hypervisor are left out: ${host.reason}`);
}
