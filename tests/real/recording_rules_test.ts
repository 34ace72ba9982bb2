import { fileURLToPath } from "node:url";
import { PEERS } from "../../scripts/peer_families.ts";
import {
  ensureDebianPackages,
  PROMETHEUS_PACKAGES,
  reportProgress,
} from "../../testing/packages.ts";
import { checkRuleFiles } from "../../testing/prometheus/rule_tests.ts";

const FOLDER = new URL("../../contrib/prometheus/migration_rules/", import.meta.url);

const host = await ensureDebianPackages(PROMETHEUS_PACKAGES);

if (host.available) {
  for (const { rules } of PEERS) {
    if (rules === undefined) continue;
    Deno.test(`promtool accepts ${rules}, and the rules do what their tests say`, async () => {
      await checkRuleFiles({
        rules: [fileURLToPath(new URL(rules, FOLDER))],
        tests: [fileURLToPath(new URL(rules.replace(".rules.yml", "_test.yml"), FOLDER))],
      });
    });
  }
} else {
  reportProgress(`Leaving out the tests of recording rules: ${host.reason}`);
}
