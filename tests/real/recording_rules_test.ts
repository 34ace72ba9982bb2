import { fileURLToPath } from "node:url";
import { PEERS } from "../../scripts/peer_families.ts";
import { checkRuleFiles } from "../support/rule_tests.ts";
import { ensureDebianPackages, reportProgress } from "./packages.ts";

const FOLDER = new URL("../../contrib/prometheus/recording_rules/", import.meta.url);

const host = await ensureDebianPackages();

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
