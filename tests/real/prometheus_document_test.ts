import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { parse } from "yaml";
import { createTestFolder, startExecutable } from "../../testing/executable.ts";
import {
  ensurePrometheus3,
  INSTALLED_PROMETHEUS,
} from "../../testing/prometheus/newer_prometheus.ts";
import { promtool, startPrometheus } from "../../testing/prometheus/prometheus.ts";
import {
  ensureDebianPackages,
  PROMETHEUS_PACKAGES,
  reportProgress,
} from "../../testing/packages.ts";

const host = await ensureDebianPackages(PROMETHEUS_PACKAGES);

const DOCUMENT = new URL("../../docs/prometheus.md", import.meta.url);
/** It has other programs' files as well. */
const INSTALLATION = new URL("../../docs/installation.md", import.meta.url);
const EXAMPLE = new URL(
  "../../contrib/prometheus/service_discovery/targets.example.json",
  import.meta.url,
);
/** Where the configurations say that the list of targets is. */
const TARGETS = "/etc/prometheus/targets/libvirt_nova.json";

/** A text in YAML, and the heading that it stands under. */
type Block = readonly [heading: string, text: string];

async function blocksOf(document: URL): Promise<readonly Block[]> {
  const sections = (await Deno.readTextFile(document)).split(/^## /m).slice(1);
  return sections.flatMap((section) => {
    const [heading = ""] = section.split("\n", 1);
    return Array.from(
      section.matchAll(/^```yaml\n(.*?)^```$/gms),
      ([, text = ""]): Block => [heading, text],
    );
  });
}

/** What Debian's Prometheus, which is built without Kubernetes, can check: the rest of a job that finds its targets there. */
const KUBERNETES_DISCOVERY = /^ {4}kubernetes_sd_configs:\n(?: {6}.*\n)+/m;

/** What Debian's Prometheus 3, but not its Prometheus 2, is built without. */
const OPENSTACK_DISCOVERY = /^ {4}openstack_sd_configs:\n(?: {6}.*\n)+/m;

/** The configurations of Prometheus on both pages. */
async function configurations(): Promise<readonly Block[]> {
  const ofInstallation = await blocksOf(INSTALLATION);
  return [
    ...await blocksOf(DOCUMENT),
    ...ofInstallation.filter(([, text]) => text.startsWith("scrape_configs:")),
  ];
}

interface ListedHypervisor {
  readonly type: string;
  readonly name: string;
  readonly address: string;
}

/** A server that answers as Keystone and Nova do, as far as Prometheus asks them. */
function startNova(
  hypervisors: readonly ListedHypervisor[],
): AsyncDisposable & { readonly origin: string } {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const { pathname, origin } = new URL(request.url);
    switch (pathname) {
      case "/v3/auth/tokens":
        return Response.json({
          token: {
            "expires_at": "2999-01-01T00:00:00.000000Z",
            catalog: [{
              type: "compute",
              name: "nova",
              endpoints: [{
                interface: "public",
                region: "RegionOne",
                "region_id": "RegionOne",
                url: `${origin}/v2.1`,
              }],
            }],
          },
        }, { status: 201, headers: { "X-Subject-Token": "token" } });
      case "/v2.1/os-hypervisors/detail":
        return Response.json({
          hypervisors: hypervisors.map(({ type, name, address }, index) => ({
            id: index + 1,
            "hypervisor_hostname": name,
            "hypervisor_type": type,
            "hypervisor_version": 9_000_000,
            "host_ip": address,
            // Prometheus reads the list only with all of these.
            "free_disk_gb": 1,
            "local_gb": 1,
            state: "up",
            status: "enabled",
            "cpu_info": "",
            service: { host: name, id: index + 1, "disabled_reason": null },
          })),
        });
      default:
        return new Response("Not found", { status: 404 });
    }
  });
  return {
    origin: `http://127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

if (host.available) {
  Deno.test("promtool accepts every configuration of docs/prometheus.md and docs/installation.md", async (context) => {
    await using folder = await createTestFolder();
    const targets = await folder.write("targets.json", await Deno.readTextFile(EXAMPLE));
    const versions = [INSTALLED_PROMETHEUS, await ensurePrometheus3()];
    const all = await configurations();
    ok(all.length > 5);
    ok(all.some(([heading]) => heading === "Kubernetes"));
    for (const [index, [heading, text]] of all.entries()) {
      await context.step(`${heading}, ${index + 1}`, async () => {
        const configuration = text.replaceAll(TARGETS, targets).replace(KUBERNETES_DISCOVERY, "");
        for (const programs of versions) {
          const file = await folder.write(
            `prometheus-${index}.yml`,
            programs === INSTALLED_PROMETHEUS
              ? configuration
              : configuration.replace(OPENSTACK_DISCOVERY, ""),
          );
          const { code, lines } = await promtool(["check", "config", file], undefined, programs);
          equal(code, 0, lines.join("\n"));
          deepEqual(lines.filter((line) => /WARNING|does not exist/.test(line)), []);
        }
      });
    }
  });

  Deno.test("Prometheus finds the hypervisors with libvirt, and no others, in Nova itself", async () => {
    await using folder = await createTestFolder();
    await using exporter = await startExecutable(["--uri", "test:///default"], { folder });
    await using nova = startNova([
      { type: "QEMU", name: "compute1.example.com", address: "127.0.0.1" },
      { type: "ironic", name: "6f2c5a6e-0000-4000-8000-000000000001", address: "127.0.0.1" },
      { type: "VMware vCenter Server", name: "domain-c7(Cluster1)", address: "127.0.0.1" },
    ]);
    const [, text = ""] = (await configurations()).find(([, block]) =>
      OPENSTACK_DISCOVERY.test(block)
    ) ?? [];
    const { scrape_configs: [job] } = parse(text) as {
      readonly scrape_configs: readonly [
        {
          readonly openstack_sd_configs: readonly [Readonly<Record<string, unknown>>];
          readonly relabel_configs: unknown;
        },
      ];
    };
    const discovery = {
      ...job.openstack_sd_configs[0],
      "identity_endpoint": `${nova.origin}/v3`,
      "refresh_interval": "1s",
      port: exporter.ports[0],
    };
    await using prometheus = await startPrometheus({
      targets: [],
      scrapeSettings: {
        "static_configs": [],
        "openstack_sd_configs": [discovery],
        "relabel_configs": job.relabel_configs,
      },
    });
    const samples = await prometheus.waitFor("up", ([sample]) => sample?.value === 1, 30_000);
    deepEqual(samples.map(({ labels }) => labels["instance"]), ["compute1"]);
  });

  Deno.test("the configurations on these pages scrape under the name that the alerts know beforehand", async () => {
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
