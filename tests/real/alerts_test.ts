import { fileURLToPath } from "node:url";
import { ALERT_FILES } from "../../scripts/alerts.ts";
import {
  ensureDebianPackages,
  PROMETHEUS_PACKAGES,
  reportProgress,
} from "../../testing/packages.ts";
import { checkRuleFiles } from "../../testing/prometheus/rule_tests.ts";

const FOLDER = new URL("../../contrib/prometheus/", import.meta.url);

const host = await ensureDebianPackages(PROMETHEUS_PACKAGES);

function path(file: string): string {
  return fileURLToPath(new URL(file, FOLDER));
}

if (host.available) {
  for (const file of [...ALERT_FILES.map((name) => `alerts/${name}`), "rules/rates.rules.yml"]) {
    Deno.test(`promtool accepts ${file}, and the rules do what their tests say`, async () => {
      await checkRuleFiles({
        rules: [path(file)],
        tests: [path(file.replace(/\.(alerts|rules)\.yml$/, "_test.yml"))],
      });
    });
  }
} else {
  reportProgress(`The tests of alerts are left out: ${host.reason}`);
}
