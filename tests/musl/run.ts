/**
 * Tests the executable for musl in a system whose only C library that is: against libvirt's test driver and a real libvirtd, beside
 * the executable for glibc; and the image for Alpine Linux. docs/installation.md gets what it costs.
 */
import { measureCosts, withCosts } from "./costs.ts";
import { ensureMuslSystem } from "./musl_system.ts";
import { ensureDebianPackages, REQUIRED_PACKAGES } from "../../testing/packages.ts";
import { crossBuild } from "../../scripts/cross_build.ts";
import { formatMarkdown } from "../../scripts/markdown.ts";
import { main, print, say, StepError } from "../../testing/progress.ts";
import { filesBelow } from "../../scripts/files_below.ts";
import { runDenoTests } from "../../scripts/test_runs.ts";
import { ROOT, setUpFor } from "../../testing/set_up.ts";

const DOCUMENT = `${ROOT}/docs/installation.md`;
const MEASURED_SCRAPES = 20_000;

await main(async () => {
  if (Deno.build.arch !== "x86_64" || Deno.uid() !== 0) {
    throw new StepError("These tests run as root on Debian for x86-64");
  }
  const packages = await ensureDebianPackages([
    ...REQUIRED_PACKAGES,
    "buildah",
    "mmdebstrap",
    "strace",
  ]);
  if (!packages.available) throw new StepError(packages.reason);
  await setUpFor("executable");
  await crossBuild("linux-x64-musl");
  const system = await ensureMuslSystem();
  const { passed, failed } = await runDenoTests(await filesBelow(`${ROOT}/tests/musl`, "_test.ts"));
  const isGood = failed === 0 && passed > 0;
  if (isGood) await writeCosts(system);
  print(`\n${passed} passed, ${failed} failed`);
  return isGood ? 0 : 1;
});

async function writeCosts(system: string): Promise<void> {
  say(`Scraping both executables ${MEASURED_SCRAPES} times`);
  const costs = await measureCosts(system, MEASURED_SCRAPES);
  const document = withCosts(await Deno.readTextFile(DOCUMENT), costs);
  await Deno.writeTextFile(DOCUMENT, await formatMarkdown(document));
}
