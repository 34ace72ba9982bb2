import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { parse } from "yaml";
import { createTestFolder } from "../support/executable.ts";
import { ensurePrometheus3, INSTALLED_PROMETHEUS } from "./newer_prometheus.ts";
import { ensureDebianPackages, reportProgress } from "./packages.ts";
import { promtool } from "./prometheus.ts";

const host = await ensureDebianPackages();

const DOCUMENT = new URL("../../docs/prometheus.md", import.meta.url);
const EXAMPLE = new URL(
  "../../contrib/prometheus/service_discovery/targets.example.json",
  import.meta.url,
);
/** Where the configurations say that the list of targets is. */
const TARGETS = "/etc/prometheus/targets/libvirt_nova.json";

/** The configurations on the page, each under the heading that it stands under. */
async function configurations(): Promise<readonly (readonly [heading: string, text: string])[]> {
  const sections = (await Deno.readTextFile(DOCUMENT)).split(/^## /m).slice(1);
  return sections.flatMap((section) => {
    const [heading = ""] = section.split("\n", 1);
    return Array.from(
      section.matchAll(/^```yaml\n(.*?)^```$/gms),
      ([, text = ""]) => [heading, text] as const,
    );
  });
}

if (host.available) {
  Deno.test("promtool accepts every configuration of docs/prometheus.md", async (context) => {
    await using folder = await createTestFolder();
    const targets = await folder.write("targets.json", await Deno.readTextFile(EXAMPLE));
    const versions = [INSTALLED_PROMETHEUS, await ensurePrometheus3()];
    const all = await configurations();
    ok(all.length > 5);
    for (const [index, [heading, text]] of all.entries()) {
      await context.step(`${heading}, ${index + 1}`, async () => {
        const file = await folder.write(
          `prometheus-${index}.yml`,
          text.replaceAll(TARGETS, targets),
        );
        for (const programs of versions) {
          const { code, lines } = await promtool(["check", "config", file], undefined, programs);
          equal(code, 0, lines.join("\n"));
          deepEqual(lines.filter((line) => /WARNING|does not exist/.test(line)), []);
        }
      });
    }
  });

  Deno.test("the configurations of docs/prometheus.md scrape under the name of the alerts' job", async () => {
    for (const [heading, text] of await configurations()) {
      const { scrape_configs: jobs = [] } = parse(text) as {
        readonly scrape_configs?: readonly { readonly job_name: string }[];
      };
      for (const { job_name: name } of jobs) equal(name, "libvirt_nova", heading);
    }
  });
} else {
  reportProgress(`The tests of Prometheus' configurations are left out: ${host.reason}`);
}
