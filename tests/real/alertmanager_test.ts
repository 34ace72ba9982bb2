import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { readAlerts } from "../../scripts/alerts.ts";
import { createTestFolder } from "../../testing/executable.ts";
import {
  adaptFiles,
  type AlertMessage,
  startAlertmanager,
  startWebhook,
  type Webhook,
} from "./monitoring.ts";
import {
  ALERTMANAGER_PACKAGES,
  ensureDebianPackages,
  reportProgress,
} from "../../testing/packages.ts";
import type { Service } from "../../testing/prometheus/service.ts";
import { waitUntil } from "../../testing/wait_until.ts";

const host = await ensureDebianPackages(ALERTMANAGER_PACKAGES);

/** The half minute in which alerts are gathered is a second. */
const FACTOR = 30;

type Labels = Readonly<Record<string, string>>;

/** Gives alerts to Alertmanager, as Prometheus does. */
async function send({ url }: Service, alerts: readonly Labels[]): Promise<void> {
  const response = await fetch(`${url}/api/v2/alerts`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(alerts.map((labels) => ({ labels }))),
  });
  await response.body?.cancel();
  equal(response.status, 200);
}

/** Says of each alert of a host whether Alertmanager keeps silent about it. */
async function statesOf(
  { get }: Service,
  instance: string,
): Promise<Readonly<Record<string, number>>> {
  const held: readonly {
    readonly labels: Labels;
    readonly status: { readonly state: string };
  }[] = JSON.parse((await get("/api/v2/alerts")).text);
  const states: Record<string, number> = {};
  for (const { labels, status } of held) {
    if (labels["instance"] !== instance) continue;
    states[status.state] = (states[status.state] ?? 0) + 1;
  }
  return states;
}

function messagesAbout({ messages }: Webhook, instance: string): readonly AlertMessage[] {
  return messages.filter(({ groupLabels }) => groupLabels["instance"] === instance);
}

/** An alert for each of fifty instances. */
function ofInstances(alertname: string, instance: string, severity: string): readonly Labels[] {
  return Array.from({ length: 50 }, (_, index) => ({
    alertname,
    severity,
    instance,
    job: "libvirt_nova",
    libvirtname: `instance-${index}`,
  }));
}

if (host.available) {
  Deno.test("Alertmanager makes one message of what happens on one hypervisor, and the cause silences the rest", async (context) => {
    await using stack = new AsyncDisposableStack();
    const folder = stack.use(await createTestFolder());
    await Deno.mkdir(`${folder.path}/configuration`);
    const files = await adaptFiles(`${folder.path}/configuration`, { factor: FACTOR, targets: {} });
    const webhook = stack.use(startWebhook(files.address("9095")));
    const alertmanager = stack.use(await startAlertmanager(files));
    const alert = (alertname: string, instance: string, severity: string): Labels => ({
      alertname,
      instance,
      severity,
      job: "libvirt_nova",
    });
    const messageAbout = (instance: string): Promise<AlertMessage> =>
      waitUntil(
        `a message about ${instance}`,
        () => messagesAbout(webhook, instance)[0],
      );

    for (const cause of ["LibvirtNovaExporterDown", "LibvirtNovaLibvirtDown"]) {
      await context.step(
        `${cause} silences every other alert of its host, and none of another`,
        async () => {
          const names = (await readAlerts()).map(({ name, severity = "" }) => [name, severity]);
          const others = names.filter(([name]) =>
            name !== "LibvirtNovaExporterDown" && name !== "LibvirtNovaLibvirtDown"
          );
          const dead = `${cause}.example.com`;
          const well = `not.${dead}`;
          await send(alertmanager, [
            alert(cause, dead, "critical"),
            ...others.map(([name = "", severity = ""]) => alert(name, dead, severity)),
            ...ofInstances("LibvirtNovaInstanceNotAnswering", dead, "warning"),
            ...ofInstances("LibvirtNovaInstancePausedByDiskError", dead, "critical"),
            alert("LibvirtNovaInstanceNotAnswering", well, "warning"),
          ]);
          const { receiver, alerts } = await messageAbout(dead);
          equal(receiver, "page");
          deepEqual(alerts.map(({ labels }) => labels["alertname"]), [cause]);
          equal((await messageAbout(well)).receiver, "ticket");
          deepEqual(await statesOf(alertmanager, dead), {
            active: 1,
            suppressed: others.length + 100,
          });
          equal(messagesAbout(webhook, dead).length, 1);
        },
      );
    }

    await context.step("fifty instances whose disks fail are one page", async () => {
      const instance = "storage.example.com";
      const alerts = ofInstances("LibvirtNovaInstancePausedByDiskError", instance, "critical");
      await send(alertmanager, alerts);
      const message = await messageAbout(instance);
      equal(message.receiver, "page");
      equal(message.alerts.length, alerts.length);
      equal(messagesAbout(webhook, instance).length, 1);
    });

    await context.step("fifty instances that hang are one ticket about the host", async () => {
      const instance = "hung.example.com";
      await send(alertmanager, [
        alert("LibvirtNovaInstancesQuarantined", instance, "warning"),
        ...ofInstances("LibvirtNovaInstanceNotAnswering", instance, "warning"),
      ]);
      const { receiver, alerts } = await messageAbout(instance);
      equal(receiver, "ticket");
      deepEqual(alerts.map(({ labels }) => labels["alertname"]), [
        "LibvirtNovaInstancesQuarantined",
      ]);
    });
  });
} else {
  reportProgress(`The test of Alertmanager's configuration is left out: ${host.reason}`);
}
