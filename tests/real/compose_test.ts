import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { parse } from "yaml";
import { ROOT } from "../../testing/set_up.ts";
import { createTestFolder } from "../../testing/executable.ts";
import { runCommand } from "../../testing/command.ts";
import { ensureComposeChecker } from "../../testing/prometheus/engines.ts";
import {
  ensurePrometheus3,
  INSTALLED_PROMETHEUS,
} from "../../testing/prometheus/newer_prometheus.ts";
import {
  ALERTMANAGER_PACKAGES,
  ensureDebianPackages,
  PROMETHEUS_PACKAGES,
  reportProgress,
} from "../../testing/packages.ts";
import { promtool } from "../../testing/prometheus/prometheus.ts";

const host = await ensureDebianPackages([...PROMETHEUS_PACKAGES, ...ALERTMANAGER_PACKAGES]);

const FOLDER = `${ROOT}/contrib/compose`;

/** The parts of a Compose file that are read here. */
interface Compose {
  readonly services: Readonly<
    Record<string, { readonly command?: readonly string[]; readonly volumes?: readonly string[] }>
  >;
}

async function readYaml(name: string): Promise<unknown> {
  return parse(await Deno.readTextFile(`${FOLDER}/${name}`));
}

/** What a service sees of this project: where it is in the container, and where it is here. */
async function mountsOf(service: string): Promise<ReadonlyMap<string, string>> {
  const { services } = await readYaml("compose.yaml") as Compose;
  return new Map(
    (services[service]?.volumes ?? []).filter((volume) => volume.startsWith("."))
      .map((volume) => {
        const [source = "", target = ""] = volume.split(":");
        return [target, Deno.realPathSync(`${FOLDER}/${source}`)];
      }),
  );
}

Deno.test("Grafana finds the dashboards and the Prometheus of the same Compose file", async () => {
  const mounts = await mountsOf("grafana");
  const { providers: [provider] } = await readYaml("grafana/dashboards.yml") as {
    readonly providers: readonly { readonly options: { readonly path: string } }[];
  };
  const dashboards = mounts.get(provider?.options.path ?? "") ?? "";
  equal(dashboards, `${ROOT}/contrib/grafana`);
  deepEqual([...Deno.readDirSync(dashboards)].map(({ name }) => name).sort(), [
    "host.json",
    "instance.json",
    "project.json",
  ]);
  const { datasources: [source] } = await readYaml("grafana/datasources.yml") as {
    readonly datasources: readonly { readonly type: string; readonly url: string }[];
  };
  equal(source?.type, "prometheus");
  const { services } = await readYaml("compose.yaml") as Compose;
  const listens = services["prometheus"]?.command?.find((flag) => flag.includes("listen-address"));
  equal(source?.url, `http://${listens?.split("=")[1]}`);
  for (const kind of ["datasources", "dashboards"]) {
    const file = `/etc/grafana/provisioning/${kind}/libvirt_nova.yml`;
    equal(mounts.get(file), `${FOLDER}/grafana/${kind}.yml`);
  }
});

if (host.available) {
  Deno.test("the checker of Compose's specification accepts the files, and refuses one that is wrong", async () => {
    const checker = await ensureComposeChecker();
    const main = `${FOLDER}/compose.yaml`;
    for (const files of [[main], [main, `${FOLDER}/compose.read_only_socket.yaml`]]) {
      const { code, output, errorOutput } = await runCommand(checker, files);
      equal(code, 0, output + errorOutput);
    }
    await using folder = await createTestFolder();
    const text = await Deno.readTextFile(main);
    const wrong = await folder.write(
      "compose.yaml",
      text.replace("read_only: true", "read_only: []"),
    );
    ok((await runCommand(checker, [wrong])).code !== 0);
  });

  Deno.test("promtool and amtool accept what Prometheus and Alertmanager find in their containers", async () => {
    const [prometheus, alertmanager] = [
      await mountsOf("prometheus"),
      await mountsOf("alertmanager"),
    ];
    const path = prometheus.get("/etc/prometheus/prometheus.yml") ?? "";
    const rules = prometheus.get("/etc/prometheus/libvirt_nova") ?? "";
    await using folder = await createTestFolder();
    const file = await folder.write(
      "prometheus.yml",
      (await Deno.readTextFile(path)).replaceAll("/etc/prometheus/libvirt_nova", rules),
    );
    for (const programs of [INSTALLED_PROMETHEUS, await ensurePrometheus3()]) {
      const { code, lines } = await promtool(["check", "config", file], undefined, programs);
      equal(code, 0, lines.join("\n"));
      // The alerts of three files, and the usual rates.
      equal(lines.filter((line) => /SUCCESS: \d+ rules found/.test(line)).length, 4);
    }
    const configuration = alertmanager.get("/etc/alertmanager/alertmanager.yml") ?? "";
    const { code, output, errorOutput } = await runCommand("amtool", [
      "check-config",
      configuration,
    ]);
    equal(code, 0, output + errorOutput);
  });

  Deno.test("promtool accepts contrib/prometheus/prometheus.yml with all that it includes", async () => {
    const { code, lines } = await promtool(
      ["check", "config", `${ROOT}/contrib/prometheus/prometheus.yml`],
      undefined,
      await ensurePrometheus3(),
    );
    equal(code, 0, lines.join("\n"));
    deepEqual(lines.filter((line) => /WARNING/.test(line)), []);
  });
} else {
  reportProgress(`The checks of Compose files are left out: ${host.reason}`);
}
