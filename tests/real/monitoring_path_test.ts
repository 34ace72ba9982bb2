import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { ROOT } from "../../testing/set_up.ts";
import { createTestFolder } from "../../testing/executable.ts";
import {
  askedByDashboards,
  type AskedExpression,
  askedRules,
  withoutThresholds,
  withoutTop,
} from "../../bench/fleet/asked_expressions.ts";
import {
  answerAt,
  answersUntil,
  compareAnswers,
  type Comparison,
  type Engine,
} from "./engine_answers.ts";
import { type ExporterProcess, startExporterProcess } from "../../testing/exporter_process.ts";
import { novaMetadata } from "../../testing/libvirt/guest_xml.ts";
import { ensureHypervisorHost } from "../../testing/libvirt/host.ts";
import {
  type Hypervisor,
  type InitialGuest,
  startHypervisor,
} from "../../testing/libvirt/hypervisor.ts";
import { adaptFiles, type AlertMessage, type Monitoring, startMonitoring } from "./monitoring.ts";
import { ALERTMANAGER_PACKAGES, reportProgress } from "../../testing/packages.ts";
import { quicken } from "./quick_time.ts";
import { pause, waitUntil } from "../../testing/wait_until.ts";

const host = await ensureHypervisorHost(ALERTMANAGER_PACKAGES);

/** The configurations' half minute is this many times shorter here: a scrape each 1.5 s, and five minutes are 15 s. */
const FACTOR = 20;
const INTERVAL_SECONDS = 30 / FACTOR;

/** All that a rule looks back on, twice: a range and an offset of five minutes. */
const WARM_UP_MILLISECONDS = 2 * 300_000 / FACTOR + 5_000;
/** The time that Prometheus may take to send samples on. */
const LAG_SECONDS = 10;
/**
 * What counts as steady is the same for so many seconds, and over ranges that are longer by these factors. A counter that goes by
 * ones gives another rate for each range.
 */
const MOMENTS = 14;
const RANGES = [1, 1.3, 1.6, 1.9] as const;
/** MetricsQL's changes() counts the first value of a series as a change, so only the series are compared. */
const OTHER_VALUES = /\bchanges\(/;
/** Ten minutes, which the slowest of these alerts wait for, and what starts and sends them. */
const ALERT_BOUND_MILLISECONDS = 600_000 / FACTOR + 60_000;

/** Enough for every call that may hang at once to hang, and then some. */
const PAUSED_GUESTS = 10;

const COLLECTORS = ["vcpu", "paging", "block_capacity", "haltpoll", "storage_pool"]
  .map((name) => `--collector.${name}`);

const OWNER = { version: "1.1", project: { id: "p1", name: "web.shop" } } as const;

function guestsOf(host: number, running: number, paused: number): readonly InitialGuest[] {
  return Array.from({ length: running + paused }, (_, index): InitialGuest => {
    const number = `${host}${index.toString(16)}`;
    return {
      name: `instance-000000${number}`,
      uuid: `00000000-0000-4000-8000-0000000000${number}`,
      start: index < running ? "running" : "paused",
      disks: [{ target: "vda" }],
      interfaces: [{ target: `tap000000${number}-00`, macAddress: `fa:16:3e:00:00:${number}` }],
      heartbeat: index < running,
      metadata: novaMetadata({ ...OWNER, name: `server-${number}` }),
    };
  });
}

/** What Grafana's variables stand for. */
const VALUES = {
  host: ".*",
  project: "p1",
  uuid: "00000000-0000-4000-8000-000000000010",
  libvirtname: "instance-00000010",
  "__rate_interval": "2m",
};

async function storagePool(hypervisor: Hypervisor): Promise<void> {
  const pool = `${hypervisor.directory}/pool`;
  Deno.mkdirSync(pool);
  await hypervisor.virsh("pool-create-as", "images", "dir", "--target", pool);
}

/** VictoriaMetrics, as far as it has been filled by one agent. */
function filledBy({ victoriaMetrics }: Monitoring, agent: "prometheus" | "vmagent"): Engine {
  return {
    url: victoriaMetrics.url,
    parameters: { "extra_label": `agent=${agent}`, nocache: "1", "latency_offset": "1ms" },
    without: ["agent"],
  };
}

/** A moment of which all samples have come, in seconds since 1970. */
function askedMoment(): number {
  return Math.floor(Date.now() / 1_000) - LAG_SECONDS;
}

/** What both engines are asked, in the time that runs here, and at which moment. */
interface Question {
  readonly monitoring: Monitoring;
  readonly engine: Engine;
  readonly now: number;
}

/**
 * Compares the answers to an expression.
 *
 * @param record the record that is made of it, which is asked for in its place. Whether it is steady shows in the expression as well:
 * an evaluator that comes late may always see a counter at the same place between two of its steps.
 * @param counts whether a series counts; all do when left out
 */
async function compareExpression(
  { monitoring: { prometheus }, engine, now }: Question,
  expression: string,
  { record, counts }: {
    readonly record?: string;
    readonly counts?: (series: string) => boolean;
  } = {},
): Promise<Comparison> {
  const ranges = RANGES.map((range) => quicken(withoutTop(expression), FACTOR / range));
  const [query = "", ...longer] = record === undefined ? ranges : [record, ...ranges];
  const [actual, ...expected] = await Promise.all([
    answerAt(engine, query, now),
    ...[...longer, query].map((one) => answersUntil(prometheus, one, now, MOMENTS)),
  ]);
  const moments = expected.flat();
  const isOther = OTHER_VALUES.test(expression);
  return compareAnswers(isOther ? [new Map(), ...moments] : moments, actual, counts);
}

/**
 * Asks both engines for what stands in files: with every value, and with those beyond the thresholds alone, where
 * a value that is not steady may be on either side.
 *
 * @returns of how many series values were compared
 */
async function compareEngines(
  monitoring: Monitoring,
  engine: Engine,
  expressions: readonly AskedExpression[],
): Promise<number> {
  const question = { monitoring, engine, now: askedMoment() };
  const problems: string[] = [];
  let compared = 0;
  for (const { origin, expression } of expressions) {
    const all = await compareExpression(question, withoutThresholds(expression));
    const beyond = await compareExpression(
      question,
      expression,
      { counts: (series) => all.steady.has(series) },
    );
    compared += all.steady.size;
    problems.push(
      ...[...all.differences, ...beyond.differences].map((difference) =>
        `${origin}: ${difference}\n  ${expression}`
      ),
    );
  }
  deepEqual(problems, []);
  return compared;
}

function paged({ webhook }: Monitoring, hypervisor: string): readonly AlertMessage[] {
  return webhook.messages.filter(({ receiver, status, groupLabels }) =>
    receiver === "page" && status === "firing" && groupLabels["instance"] === hypervisor
  );
}

/** An alert as Alertmanager shows it. */
interface HeldAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly status: { readonly state: string; readonly inhibitedBy: readonly string[] };
}

async function heldAlerts(
  { alertmanager }: Monitoring,
  hypervisor: string,
): Promise<readonly HeldAlert[]> {
  const held: HeldAlert[] = JSON.parse((await alertmanager.get("/api/v2/alerts")).text);
  return held.filter(({ labels }) => labels["instance"] === hypervisor);
}

/** Names of the alerts that an evaluator says are firing about a host. */
async function firingOf(
  text: Promise<string>,
  hypervisor: string,
): Promise<readonly string[]> {
  const { data }: {
    readonly data: {
      readonly alerts: readonly {
        readonly state: string;
        readonly labels: Readonly<Record<string, string>>;
      }[];
    };
  } = JSON.parse(await text);
  return data.alerts.filter(({ state, labels }) =>
    state === "firing" && labels["instance"] === hypervisor
  ).map(({ labels }) => labels["alertname"] ?? "");
}

async function waitForPage(monitoring: Monitoring, hypervisor: string): Promise<AlertMessage> {
  return await waitUntil(
    `a page about ${hypervisor}`,
    () => paged(monitoring, hypervisor)[0],
    ALERT_BOUND_MILLISECONDS,
  );
}

if (host.available) {
  Deno.test("from three exporters through two agents and two engines to one page for one outage", async (context) => {
    await using stack = new AsyncDisposableStack();
    const real = stack.use(await startHypervisor({ guests: guestsOf(1, 2, PAUSED_GUESTS) }));
    const stopped = stack.use(await startHypervisor({ guests: guestsOf(3, 0, 3) }));
    await storagePool(real);
    const exporters: readonly ExporterProcess[] = [
      stack.use(await startExporterProcess(real.readOnlyUri, COLLECTORS)),
      stack.use(
        await startExporterProcess(`test://${ROOT}/contrib/demo/hypervisor.xml`, COLLECTORS),
      ),
      stack.use(await startExporterProcess(stopped.readOnlyUri, COLLECTORS)),
    ];
    const folder = stack.use(await createTestFolder());
    const targets = Object.fromEntries(
      exporters.map(({ target }, index) => [`compute${index + 1}`, target]),
    );
    await Deno.mkdir(`${folder.path}/configuration`);
    const files = await adaptFiles(`${folder.path}/configuration`, { factor: FACTOR, targets });
    const monitoring = stack.use(await startMonitoring(files, 2));
    await monitoring.prometheus.waitFor(
      "libvirt_nova_up == 1",
      ({ length }) => length === exporters.length,
      60_000,
    );
    await pause(WARM_UP_MILLISECONDS + LAG_SECONDS * 1_000);
    const { alerts, records } = await askedRules();
    const dashboards = askedByDashboards(VALUES);
    const everything = [...alerts, ...records, ...dashboards];

    await context.step(
      "two agents that scrape the same hosts leave one sample in each interval",
      async () => {
        const window = 20 * INTERVAL_SECONDS;
        const counts = await answerAt(
          filledBy(monitoring, "vmagent"),
          `count_over_time(libvirt_nova_up[${window}s])`,
          Date.now() / 1_000 - LAG_SECONDS,
        );
        equal(counts.size, exporters.length);
        for (const count of counts.values()) ok(count >= 19 && count <= 21, `${count}`);
      },
    );

    for (const agent of ["prometheus", "vmagent"] as const) {
      await context.step(
        `VictoriaMetrics answers as Prometheus does, from what ${agent} has sent`,
        async () => {
          const compared = await compareEngines(
            monitoring,
            filledBy(monitoring, agent),
            everything,
          );
          ok(compared > everything.length, `${compared}`);
        },
      );
    }

    await context.step("vmalert makes the records that Prometheus makes", async () => {
      const engine = filledBy(monitoring, "vmagent");
      const question = { monitoring, engine, now: askedMoment() };
      const problems: string[] = [];
      let compared = 0;
      for (const { origin: record, expression } of records) {
        const { steady, differences } = await compareExpression(question, expression, { record });
        compared += steady.size;
        problems.push(...differences.map((difference) => `${record}: ${difference}`));
      }
      deepEqual(problems, []);
      ok(compared > records.length, `${compared}`);
    });

    await context.step("nobody has been paged", () => {
      deepEqual(monitoring.webhook.messages.filter(({ receiver }) => receiver === "page"), []);
    });

    await context.step(
      "a libvirtd that is stopped makes one page, from both evaluators",
      async () => {
        await stopped.killLibvirtd("SIGTERM");
        const { alerts: sent } = await waitForPage(monitoring, "compute3");
        deepEqual(sent.map(({ labels }) => labels["alertname"]), ["LibvirtNovaLibvirtDown"]);
        const { prometheus, vmalert } = monitoring;
        await waitUntil("both evaluators to have the alert", async () => {
          const lists = await Promise.all([
            firingOf(prometheus.api("/api/v1/alerts").then(JSON.stringify), "compute3"),
            firingOf(vmalert.get("/api/v1/alerts").then(({ text }) => text), "compute3"),
          ]);
          return lists.every((names) => names.includes("LibvirtNovaLibvirtDown"));
        }, ALERT_BOUND_MILLISECONDS);
        const held = await heldAlerts(monitoring, "compute3");
        deepEqual(held.map(({ labels }) => labels["alertname"]), ["LibvirtNovaLibvirtDown"]);
      },
    );

    await context.step(
      "storage that is gone makes one page, and silences the alerts of its instances",
      async () => {
        for (const { name } of guestsOf(1, 2, PAUSED_GUESTS)) {
          Deno.kill(real.guestPid(name), "SIGSTOP");
        }
        await waitForPage(monitoring, "compute1");
        await waitUntil("each instance to have an alert", async () => {
          const held = (await heldAlerts(monitoring, "compute1"))
            .filter(({ labels }) => labels["alertname"] === "LibvirtNovaInstanceNotAnswering");
          return held.length === PAUSED_GUESTS + 2 &&
            held.every(({ status }) => status.state === "suppressed");
        }, ALERT_BOUND_MILLISECONDS);
      },
    );

    await context.step(
      "VictoriaMetrics answers as Prometheus does while two hosts are in trouble",
      async () => {
        await pause(LAG_SECONDS * 1_000);
        await compareEngines(monitoring, filledBy(monitoring, "prometheus"), alerts);
      },
    );

    await context.step(
      "each outage has been one page, and no instance had a message of its own",
      () => {
        const { messages } = monitoring.webhook;
        for (const hypervisor of ["compute1", "compute3"]) {
          equal(paged(monitoring, hypervisor).length, 1, JSON.stringify(messages, null, 1));
        }
        equal(paged(monitoring, "compute2").length, 0);
        const about = messages.flatMap((message) => message.alerts)
          .map(({ labels }) => labels["alertname"]);
        ok(!about.includes("LibvirtNovaInstanceNotAnswering"), about.join());
      },
    );
  });
} else {
  reportProgress(`The test of the whole path is left out: ${host.reason}`);
}
