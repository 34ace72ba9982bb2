/**
 * Runs inside the namespaces: brings the cloud up, does all operations while a Prometheus scrapes the exporter, and writes what came
 * of them to standard output as JSON.
 *
 * Argument: the root.
 *
 * @module
 */

import { startExporterProcess } from "../../testing/exporter_process.ts";
import { reportProgress } from "../../testing/packages.ts";
import { startPrometheus } from "../../testing/prometheus/prometheus.ts";
import { SWITCHED_COLLECTORS } from "../../src/metrics/mod.ts";
import { logIn } from "./cloud_client.ts";
import { compare } from "./comparison.ts";
import { OPERATIONS } from "./operations.ts";
import type { Scene } from "./actions.ts";
import { makeStock, PROJECT, registerServices, type Stock, USER } from "./registration.ts";
import { type OperationRow, outcome, type Report } from "./report.ts";
import { pendingAlerts, ruleFiles, ruleOutcome } from "./rules.ts";
import { prepareServices } from "./services.ts";
import { messageOf } from "../../src/text.ts";

async function bringUp(root: string): Promise<Stock> {
  const services = prepareServices(root, reportProgress);
  await services.startFoundation();
  await services.startIdentity();
  await registerServices();
  await services.startRest();
  reportProgress("Making images, flavors and a network");
  return await makeStock(await logIn(USER, PROJECT));
}

async function operate(scene: Scene): Promise<Report> {
  const collectors = SWITCHED_COLLECTORS.map(({ name }) => `--collector.${name}`);
  await using exporter = await startExporterProcess("qemu:///system", collectors);
  await using prometheus = await startPrometheus({
    targets: [exporter.target],
    ruleFiles: ruleFiles(),
  });
  await prometheus.waitFor("libvirt_nova_up", ([sample]) => sample?.value === 1, 60_000);
  const rows: OperationRow[] = [];
  for (const { name, remark = "", boundMilliseconds, run } of OPERATIONS) {
    reportProgress(`Operation: ${name}`);
    const row = { name, remark };
    try {
      await run(scene);
      const expectations = [...scene.servers.values()];
      const comparison = await compare(exporter, scene.client, expectations, boundMilliseconds);
      rows.push({ ...row, ...comparison });
    } catch (error) {
      const reason = messageOf(error);
      rows.push({ ...row, pages: 0, differences: [reason] });
    }
    for (const done of rows.slice(-1)) reportProgress(`  ${outcome(done)}`);
    for (const alert of await pendingAlerts(prometheus)) reportProgress(`  pending: ${alert}`);
  }
  return { rows, rules: await ruleOutcome(prometheus) };
}

const [root = ""] = Deno.args;
const stock = await bringUp(root);
const client = await logIn(USER, PROJECT);
const report = await operate({
  client,
  project: PROJECT,
  stock,
  root,
  servers: new Map(),
  things: new Map(),
});
await new Blob([JSON.stringify(report)]).stream().pipeTo(Deno.stdout.writable);
Deno.exit(0);
