import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { dashboardFiles } from "../../scripts/dashboards/mod.ts";
import { substitute, targetsOf } from "../../scripts/dashboards/targets.ts";
import {
  type Prometheus,
  type PrometheusSample,
  startPrometheus,
} from "../../testing/prometheus/prometheus.ts";
import {
  ensureDebianPackages,
  PROMETHEUS_PACKAGES,
  reportProgress,
} from "../../testing/packages.ts";
import {
  ensurePrometheus3,
  INSTALLED_PROMETHEUS,
} from "../../testing/prometheus/newer_prometheus.ts";

const host = await ensureDebianPackages(PROMETHEUS_PACKAGES);

const BOUND_MILLISECONDS = 60_000;

/** A name with all that ends a text in one language or another. */
const HOSTILE = 'two\nlines, "quotes" \\ and $dollar {a="b",uuid="c"} .*';

/** An instance on a host. */
interface Instance {
  readonly host: number;
  readonly libvirtName: string;
  readonly uuid: string;
  readonly name: string;
  readonly project: readonly [id: string, name: string];
  readonly virtualCpus: number;
  readonly state?: readonly [state: string, reason: string];
}

const RUNNING = ["running", "booted"] as const;

const INSTANCES: readonly Instance[] = [
  // Two domains of Keystone, and two cells of Nova.
  {
    host: 0,
    libvirtName: "instance-00000001",
    uuid: "u1",
    name: "a",
    project: ["aa", "admin"],
    virtualCpus: 1,
  },
  {
    host: 1,
    libvirtName: "instance-00000001",
    uuid: "u2",
    name: "b",
    project: ["bb", "admin"],
    virtualCpus: 4,
  },
  // Names that a query cannot hold; and a migration.
  {
    host: 0,
    libvirtName: "instance-00000002",
    uuid: "u3",
    name: HOSTILE,
    project: ["cc", HOSTILE],
    virtualCpus: 2,
  },
  {
    host: 1,
    libvirtName: "instance-00000002",
    uuid: "u3",
    name: HOSTILE,
    project: ["cc", HOSTILE],
    virtualCpus: 2,
    state: ["paused", "migration"],
  },
  // A project that was renamed.
  {
    host: 0,
    libvirtName: "instance-00000003",
    uuid: "u4",
    name: "c",
    project: ["dd", "old"],
    virtualCpus: 8,
  },
  {
    host: 0,
    libvirtName: "instance-00000004",
    uuid: "u5",
    name: "d",
    project: ["dd", "new"],
    virtualCpus: 8,
  },
  {
    host: 1,
    libvirtName: "instance-00000005",
    uuid: "u6",
    name: "e",
    project: ["dd", "new"],
    virtualCpus: 8,
  },
];

function labelsOf(labels: Readonly<Record<string, string>>): string {
  const escaped = (text: string): string =>
    text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
  return Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`).join(",");
}

/** What an exporter would say of the instances of its host. */
function pageOf(instances: readonly Instance[], reads: number): string {
  const lines = instances.flatMap((
    { libvirtName, uuid, name, project: [id, project], virtualCpus, state = RUNNING },
  ) => {
    const identity = { libvirtname: libvirtName, novaname: name, novaproject: project };
    const sample = (family: string, value: number, more: Readonly<Record<string, string>> = {}) =>
      `libvirt_nova_instance_${family}{${labelsOf({ ...identity, ...more })}} ${value}`;
    return [
      sample("scrape_success", 1),
      sample("vcpus", virtualCpus),
      sample("cpu_seconds_total", reads),
      sample("block_read_bytes_total", reads, { "target_device": "vda" }),
      sample("info", 1, { uuid, "project_id": id }),
      sample("state_info", 1, { state: state[0], reason: state[1] }),
    ];
  });
  return `${lines.join("\n")}\n`;
}

/** Exporters that say so, one for each host. */
function startExporters(): readonly Deno.HttpServer<Deno.NetAddr>[] {
  return [0, 1].map((number) => {
    let reads = 0;
    return Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: (): void => {} },
      (): Response => {
        reads++;
        return new Response(pageOf(INSTANCES.filter((one) => one.host === number), reads), {
          headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
        });
      },
    );
  });
}

/** The parts of a variable of Grafana's that are read here. */
interface Variable {
  readonly name: string;
  readonly query?: { readonly query: string } | string | Readonly<Record<string, unknown>>;
  readonly regex?: string;
}

function variable(path: string, name: string): { readonly query: string; readonly regex: RegExp } {
  const list: readonly Variable[] = dashboardFiles()
    .find((file) => file.path.endsWith(path))?.dashboard.templating.list ?? [];
  const found = list.find((one) => one.name === name);
  const query = typeof found?.query === "object" ? found.query["query"] : undefined;
  const [, expression = ""] = /^query_result\((.*)\)$/.exec(String(query)) ?? [];
  const [, regex = ""] = /^\/(.*)\/$/.exec(found?.regex ?? "") ?? [];
  ok(expression !== "" && regex !== "", `${path}: ${name}`);
  return { query: expression, regex: new RegExp(regex) };
}

/** How Grafana writes a series of a query's answer before it looks for the text and the value of an option in it. */
function written({ labels, value }: PrometheusSample): string {
  const list = Object.entries(labels).map(([name, text]) => `${name}="${text}"`).join(",");
  return `{${list}} ${value} 1798000000000`;
}

/** What can be chosen: the text that is shown, and the value. */
async function optionsOf(
  { query }: Prometheus,
  { query: expression, regex }: ReturnType<typeof variable>,
  values: Readonly<Record<string, string>>,
): Promise<readonly (readonly [text: string | undefined, value: string | undefined])[]> {
  const samples = await query(substitute(expression, { "__range": "1h", ...values }));
  return samples.map((sample) => {
    const { text, value } = regex.exec(written(sample))?.groups ?? {};
    return [text, value] as const;
  }).sort(([, one = ""], [, other = ""]) => one < other ? -1 : 1);
}

/** The query of a panel, by its place in it. */
function queryOf(path: string, panel: string, place = 0): string {
  const dashboard = dashboardFiles().find((file) => file.path.endsWith(path))?.dashboard;
  ok(dashboard !== undefined);
  const target = targetsOf(dashboard).filter((one) => one.panel === panel)[place];
  ok(target !== undefined, panel);
  return target.expression;
}

async function checkDashboards(context: Deno.TestContext, prometheus: Prometheus): Promise<void> {
  await context.step(
    "each project can be chosen once, by its id",
    () => checkProjectChoice(prometheus),
  );
  await context.step(
    "each instance can be chosen once, by its UUID",
    () => checkInstanceChoice(prometheus),
  );
  await context.step(
    "a project has its own instances, and one that migrates once",
    () => checkProjectFigures(prometheus),
  );
  await context.step(
    "a renamed project is one line, with the name that most carry",
    () => checkRenamedProject(prometheus),
  );
  await context.step(
    "a line of a graph leads to its instance",
    () => checkLinesOfGraph(prometheus),
  );
  await context.step(
    "two instances of one libvirt name have panels of their own",
    () => checkSharedLibvirtName(prometheus),
  );
}

async function checkProjectChoice(prometheus: Prometheus): Promise<void> {
  const projects = variable("project.json", "project");
  deepEqual(await optionsOf(prometheus, projects, {}), [
    ["admin / aa", "aa"],
    ["admin / bb", "bb"],
    [`${HOSTILE} / cc`, "cc"],
    ["new / dd", "dd"],
  ]);
}

async function checkInstanceChoice(prometheus: Prometheus): Promise<void> {
  const instances = variable("instance.json", "uuid");
  deepEqual((await optionsOf(prometheus, instances, { project: ".*" })).map(([, id]) => id), [
    "u1",
    "u2",
    "u3",
    "u4",
    "u5",
    "u6",
  ]);
  deepEqual(await optionsOf(prometheus, instances, { project: "cc" }), [
    [`${HOSTILE} / instance-00000002`, "u3"],
  ]);
  deepEqual(await optionsOf(prometheus, instances, { project: "(aa|bb)" }), [
    ["a / instance-00000001", "u1"],
    ["b / instance-00000001", "u2"],
  ]);
}

async function checkProjectFigures(prometheus: Prometheus): Promise<void> {
  const figures: readonly (readonly [project: string, instances: number, cpus: number])[] = [
    ["aa", 1, 1],
    ["bb", 1, 4],
    ["cc", 1, 2],
    ["dd", 3, 24],
    ["(aa|cc)", 2, 3],
  ];
  for (const [project, count, virtualCpus] of figures) {
    const figure = async (panel: string): Promise<readonly number[]> => {
      const values = { project, host: ".*" };
      return (await prometheus.query(substitute(queryOf("project.json", panel), values)))
        .map(({ value }) => value);
    };
    deepEqual(await figure("Instances"), [count], project);
    deepEqual(await figure("vCPUs"), [virtualCpus], project);
  }
}

async function checkRenamedProject(prometheus: Prometheus): Promise<void> {
  const values = { project: "(bb|cc|dd)", host: ".*", "__rate_interval": "10s" };
  const samples = await prometheus.waitFor(
    substitute(queryOf("project.json", "Disk throughput"), values),
    ({ length }) => length === 3,
    BOUND_MILLISECONDS,
  );
  deepEqual(samples.map(({ labels }) => labels["novaproject"]).sort(), ["admin", "new", HOSTILE]);
}

async function checkLinesOfGraph(prometheus: Prometheus): Promise<void> {
  const values = { project: "(aa|bb)", host: ".*", "__rate_interval": "10s" };
  const samples = await prometheus.waitFor(
    substitute(queryOf("project.json", "Processors"), values),
    ({ length }) => length === 2,
    BOUND_MILLISECONDS,
  );
  deepEqual(samples.map(({ labels }) => labels["uuid"]).sort(), ["u1", "u2"]);
}

async function checkSharedLibvirtName(prometheus: Prometheus): Promise<void> {
  for (const [uuid, virtualCpus] of [["u1", 1], ["u2", 4]] as const) {
    const values = { uuid, libvirtname: "instance-00000001" };
    const samples = await prometheus.query(
      substitute(queryOf("instance.json", "vCPUs"), values),
    );
    deepEqual(samples.map(({ value }) => value), [virtualCpus]);
    equal(
      (await prometheus.query(substitute(queryOf("instance.json", "Instance"), values))).length,
      1,
    );
  }
}

if (host.available) {
  for (
    const [version, programs] of [
      ["Prometheus 2", INSTALLED_PROMETHEUS],
      ["Prometheus 3", await ensurePrometheus3()],
    ] as const
  ) {
    Deno.test(`with ${version}, dashboards tell projects and instances apart whatever their names are`, async (context) => {
      const exporters = startExporters();
      try {
        await using prometheus = await startPrometheus({
          targets: exporters.map(({ addr }) => `${addr.hostname}:${addr.port}`),
          programs,
        });
        await prometheus.waitFor(
          "libvirt_nova_instance_info",
          ({ length }) => length === INSTANCES.length,
          BOUND_MILLISECONDS,
        );
        await checkDashboards(context, prometheus);
      } finally {
        await Promise.all(exporters.map((exporter) => exporter.shutdown()));
      }
    });
  }
} else {
  reportProgress(`The tests of names on dashboards are left out: ${host.reason}`);
}
