/**
 * Tests the executable beside a real Nova: brings up a whole OpenStack in namespaces of its own, does to servers what users and
 * operators do, and compares the exporter's page with what Nova and virsh say. docs/openstack.md gets the results.
 */
import { hasPassed, isGood, outcome, type Report, withReport } from "./report.ts";
import { ensureGuestImage } from "../../testing/libvirt/guest_image.ts";
import { formatMarkdown } from "../../scripts/markdown.ts";
import { main, print, say, StepError } from "../../testing/progress.ts";
import { runCommand, startCommand } from "../../testing/command.ts";
import { ensureRoot, type Host, startHost } from "./root.ts";
import { ensureDebianPackages, REQUIRED_PACKAGES } from "../../testing/packages.ts";
import { ROOT, setUpFor } from "../../testing/set_up.ts";

const DOCUMENT = `${ROOT}/docs/openstack.md`;
const LOGS = `${ROOT}/.cache/openstack_logs`;

await main(async () => {
  await setUpFor("executable");
  const packages = await ensureDebianPackages([...REQUIRED_PACKAGES, "mmdebstrap"]);
  if (!packages.available) throw new StepError(packages.reason);
  await ensureGuestImage();
  const lower = await ensureRoot();
  await using host = await startHost(lower);
  const report = await runInside(host);
  const document = withReport(await Deno.readTextFile(DOCUMENT), report);
  await Deno.writeTextFile(DOCUMENT, await formatMarkdown(document));
  const { rules } = report;
  print(`Alerts that were pending for a while: ${rules.pending.join(", ") || "none"}`);
  print(`Alerts that fired: ${rules.firing.join(", ") || "none"}`);
  for (const line of rules.broken) print(`Rule that failed: ${line}`);
  const failed = report.rows.filter((row) => !hasPassed(row));
  for (const row of failed) print(`${row.name}: ${outcome(row)}`);
  print(`${report.rows.length - failed.length} operations passed, ${failed.length} failed`);
  if (isGood(report)) return 0;
  await keepLogs(host.enter, host.root);
  return 1;
});

/** Runs the part that needs the cloud's network, and returns what it has found. */
async function runInside({ enter, root, temporary }: Host): Promise<Report> {
  const [program = "", ...words] = enter;
  const inside = `${ROOT}/tests/openstack/main.ts`;
  const command = [...words, Deno.execPath(), "run", "--quiet", "--no-check", "-A", inside, root];
  const child = startCommand(program, command, {
    cwd: ROOT,
    // There is no way out of the namespaces, to a proxy or elsewhere.
    env: { NO_PROXY: "127.0.0.1", TMPDIR: temporary },
    stdout: "piped",
  });
  const { success, stdout } = await child.output();
  if (!success) {
    await keepLogs(enter, root);
    throw new StepError("The cloud did not come up, see above");
  }
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** Copies the logs of the services to where they outlive the namespaces. */
async function keepLogs(enter: readonly string[], root: string): Promise<void> {
  const [program = "", ...words] = enter;
  await Deno.mkdir(LOGS, { recursive: true });
  await runCommand(program, [
    ...words,
    "sh",
    "-c",
    'cp "$1"/var/log/cloud/* "$2"',
    "copy",
    root,
    LOGS,
  ]);
  say(`The logs of the services are in ${LOGS}`);
}
