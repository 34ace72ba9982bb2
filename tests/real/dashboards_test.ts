import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { dashboardFiles } from "../../scripts/dashboards/mod.ts";
import { type DashboardTarget, substitute, targetsOf } from "../../scripts/dashboards/targets.ts";
import { startExporterProcess } from "../../testing/exporter_process.ts";
import { ensureHypervisorHost } from "../../testing/libvirt/host.ts";
import {
  type Prometheus,
  type PrometheusSample,
  startPrometheus,
} from "../../testing/prometheus/prometheus.ts";
import { type InitialGuest, startHypervisor } from "../../testing/libvirt/hypervisor.ts";
import { PROMETHEUS_PACKAGES } from "../../testing/packages.ts";
import { type NovaInstance, novaMetadata } from "../../testing/libvirt/guest_xml.ts";
import { messageOf } from "../../src/text.ts";

const host = await ensureHypervisorHost(PROMETHEUS_PACKAGES);

const WEB = "instance-0000002a";
const WEB_UUID = "4f1c1a9e-3f5d-4d0c-9a55-0d6f8a1b2c3d";
const DATABASE = "instance-0000002b";

/** What docs/prometheus.md says that all panels need. */
const COLLECTORS = ["vcpu", "paging", "block_capacity", "haltpoll", "storage_pool"];

/** Rules that have a record only once something has happened that happens to no instance here. */
const WITHOUT_RECORD: readonly string[] = ["instance:libvirt_nova_instance_info:vanished5m"];

/** Panels that have no data here, and why. */
const WITHOUT_DATA: Readonly<Record<string, string>> = {
  "Runs on this host since": "the guests' /run is in a namespace that the exporter is not in",
  "Errors of libvirt's functions": "nothing fails until libvirt is ended, which is another step",
};

/** Grafana's variables, as it would fill them in. */
const VALUES: Readonly<Record<string, string>> = {
  host: ".*",
  project: "p1",
  uuid: WEB_UUID,
  libvirtname: WEB,
  "__rate_interval": "10s",
};

const BOUND_MILLISECONDS = 60_000;

const OWNER: Pick<NovaInstance, "version" | "user" | "project" | "flavor"> = {
  version: "1.1",
  user: { id: "u1", name: "alice" },
  project: { id: "p1", name: "web.shop" },
  flavor: {
    name: "m1.small",
    memoryMebibytes: 96,
    diskGibibytes: 1,
    swapMebibytes: 0,
    ephemeralGibibytes: 0,
    processors: 1,
  },
};

const GUESTS: readonly InitialGuest[] = [
  {
    name: WEB,
    uuid: WEB_UUID,
    processors: { current: 2, maximum: 2 },
    disks: [{ target: "vda" }, { target: "vdb", serial: "0b1c2d3e-volume" }],
    interfaces: [{ target: "tap567a4527-b0", macAddress: "fa:16:3e:00:00:01" }],
    heartbeat: true,
    metadata: novaMetadata({ ...OWNER, name: "front" }),
  },
  {
    name: DATABASE,
    disks: [{ target: "vda" }],
    interfaces: [{ target: "tap567a4527-b1", macAddress: "fa:16:3e:00:00:02" }],
    heartbeat: true,
    metadata: novaMetadata({ ...OWNER, name: "database" }),
  },
];

const RULES = ["alerts/exporter.alerts", "alerts/instances.alerts", "alerts/hosts.alerts"]
  .concat("rules/rates.rules")
  .map((name) => fileURLToPath(new URL(`../../contrib/prometheus/${name}.yml`, import.meta.url)));

/** The parts of Prometheus' answer about rules that are read here. */
interface RulesAnswer {
  readonly data: {
    readonly groups: readonly {
      readonly rules: readonly {
        readonly name: string;
        readonly type: "alerting" | "recording";
        readonly health: "ok" | "unknown" | "err";
        readonly lastError?: string;
      }[];
    }[];
  };
}

async function rulesOf(
  { api }: Prometheus,
): Promise<RulesAnswer["data"]["groups"][number]["rules"]> {
  const { data } = await api("/api/v1/rules") as RulesAnswer;
  return data.groups.flatMap(({ rules }) => rules);
}

/** What is wrong with a query: the reason for which it gives no data; undefined when it does. */
async function problemWith(
  { waitFor }: Prometheus,
  { panel, expression, legend }: DashboardTarget,
): Promise<string | undefined> {
  try {
    await waitFor(substitute(expression, VALUES), ({ length }) => length > 0, BOUND_MILLISECONDS);
    return undefined;
  } catch (error) {
    return `${panel}, "${legend}": ${messageOf(error)}`;
  }
}

if (host.available) {
  Deno.test("with real guests, dashboards have data and rules do what they should", async (context) => {
    await using hypervisor = await startHypervisor({ guests: GUESTS });
    for (const { name } of GUESTS) await hypervisor.waitForGuestReady(name);
    const pool = `${hypervisor.directory}/pool`;
    Deno.mkdirSync(pool);
    await hypervisor.virsh("pool-create-as", "images", "dir", "--target", pool);
    await using exporter = await startExporterProcess(
      hypervisor.readOnlyUri,
      COLLECTORS.map((name) => `--collector.${name}`),
    );
    await using prometheus = await startPrometheus({
      targets: [exporter.target],
      ruleFiles: RULES,
    });

    for (const { path, dashboard } of dashboardFiles()) {
      const targets = targetsOf(dashboard);
      await context.step(`each panel of ${path} has data`, async () => {
        const wanted = targets.filter(({ panel }) => WITHOUT_DATA[panel] === undefined);
        ok(wanted.length > 0);
        const problems = await Promise.all(
          wanted.map((target) => problemWith(prometheus, target)),
        );
        deepEqual(problems.filter((problem) => problem !== undefined), []);
      });
    }

    await context.step("panels that are said to have no data have none", async () => {
      const targets = dashboardFiles().flatMap(({ dashboard }) => targetsOf(dashboard))
        .filter(({ panel }) => WITHOUT_DATA[panel] !== undefined);
      deepEqual(new Set(targets.map(({ panel }) => panel)), new Set(Object.keys(WITHOUT_DATA)));
      for (const { panel, expression } of targets) {
        deepEqual(await prometheus.query(substitute(expression, VALUES)), [], panel);
      }
    });

    await context.step("every recording rule has a record, and no rule an error", async () => {
      const rules = await rulesOf(prometheus);
      deepEqual(rules.filter(({ health }) => health !== "ok"), []);
      const records = rules.filter(({ type }) => type === "recording");
      ok(records.length > 0);
      for (const { name } of records.filter((record) => !WITHOUT_RECORD.includes(record.name))) {
        await prometheus.waitFor(name, ({ length }) => length > 0, BOUND_MILLISECONDS);
      }
      for (const name of WITHOUT_RECORD) {
        ok(records.some((record) => record.name === name), name);
        deepEqual(await prometheus.query(name), [], name);
      }
    });

    const isPending = async (alert: string): Promise<PrometheusSample["labels"]> => {
      const [sample] = await prometheus.waitFor(
        `ALERTS{alertname="${alert}"}`,
        ({ length }) => length > 0,
        BOUND_MILLISECONDS,
      );
      equal(sample?.labels["alertstate"], "pending");
      return sample?.labels ?? {};
    };

    await context.step("the exporter is known by its page, and no alert fires", async () => {
      const [seen] = await prometheus.waitFor(
        "instance:libvirt_nova_up:seen",
        ({ length }) => length > 0,
        BOUND_MILLISECONDS,
      );
      equal(seen?.labels["instance"], exporter.target);
      // The job has another name here than the alerts know beforehand.
      deepEqual(await prometheus.query('ALERTS{alertname=~"LibvirtNovaExporter.*"}'), []);
      deepEqual(await prometheus.query('ALERTS{alertstate="firing"}'), []);
    });

    await context.step("a guest that hangs is about to raise its alert", async () => {
      Deno.kill(hypervisor.guestPid(DATABASE), "SIGSTOP");
      const { libvirtname } = await isPending("LibvirtNovaInstanceNotAnswering");
      equal(libvirtname, DATABASE);
    });

    await context.step(
      "a libvirt that is gone is about to raise its alert, and is on the panel of errors",
      async () => {
        await hypervisor.killLibvirtd("SIGKILL");
        await isPending("LibvirtNovaLibvirtDown");
        const panels = dashboardFiles().flatMap(({ dashboard }) => targetsOf(dashboard))
          .filter(({ panel }) => panel === "Errors of libvirt's functions");
        ok(panels.length > 0);
        for (const target of panels) equal(await problemWith(prometheus, target), undefined);
      },
    );
  });
}
