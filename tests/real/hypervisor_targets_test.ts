import { deepStrictEqual as deepEqual, match, strictEqual as equal } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { createTestFolder, startExecutable } from "../../testing/executable.ts";
import { startPrometheus } from "../../testing/prometheus/prometheus.ts";
import {
  ensureDebianPackages,
  PROMETHEUS_PACKAGES,
  reportProgress,
} from "../../testing/packages.ts";
import { type CommandResult, runCommand } from "../../testing/command.ts";

const host = await ensureDebianPackages(PROMETHEUS_PACKAGES);

const FOLDER = new URL("../../contrib/prometheus/service_discovery/", import.meta.url);
const SCRIPT = fileURLToPath(new URL("hypervisor_targets.py", FOLDER));

/** What `openstack hypervisor list --long -f json` prints. */
const HYPERVISORS = [
  { name: "compute2.example.com", address: "192.0.2.12", state: "up" },
  { name: "compute1.example.com", address: "192.0.2.11", state: "down" },
].map(({ name, address, state }, index) => ({
  "ID": `3e0a-${index}`,
  "Hypervisor Hostname": name,
  "Hypervisor Type": "QEMU",
  "Host IP": address,
  "State": state,
}));

/** What it prints without `--long`. */
const SHORT = HYPERVISORS.map(({ "Host IP": _address, ...row }) => row);

function makeTargets(input: string, ...parameters: readonly string[]): Promise<CommandResult> {
  return runCommand("python3", [SCRIPT, ...parameters], { input });
}

/** The targets, and their label `hypervisor`. */
function targetsIn({ code, output, errorOutput }: CommandResult): readonly string[] {
  equal(code, 0, errorOutput);
  const groups: readonly { targets: string[]; labels: Record<string, string> }[] = JSON.parse(
    output,
  );
  return groups.map(({ targets, labels }) => `${targets} ${labels["hypervisor"]}`);
}

if (host.available) {
  Deno.test("hypervisor_targets.py makes the example from what openstack prints", async () => {
    const { code, output } = await makeTargets(JSON.stringify(HYPERVISORS));
    equal(code, 0);
    equal(output, await Deno.readTextFile(new URL("targets.example.json", FOLDER)));
  });

  Deno.test("hypervisor_targets.py takes lists of several kinds", async () => {
    const cases: readonly {
      readonly input: string;
      readonly parameters?: readonly string[];
      readonly targets: readonly string[];
    }[] = [
      {
        input: JSON.stringify(SHORT),
        targets: ["compute1.example.com:9100 compute1", "compute2.example.com:9100 compute2"],
      },
      {
        input: JSON.stringify(HYPERVISORS),
        parameters: ["--by-address", "--port", "9204"],
        targets: ["192.0.2.11:9204 compute1", "192.0.2.12:9204 compute2"],
      },
      {
        input: "# two\n\ncompute2.example.com # the new one\r\n compute1 \ncompute1\n",
        targets: ["compute1:9100 compute1", "compute2.example.com:9100 compute2"],
      },
      {
        input: "192.0.2.11\n2001:db8::11\n",
        targets: ["192.0.2.11:9100 192.0.2.11", "[2001:db8::11]:9100 2001:db8::11"],
      },
    ];
    for (const { input, parameters = [], targets } of cases) {
      deepEqual(targetsIn(await makeTargets(input, ...parameters)), targets);
    }
  });

  Deno.test("hypervisor_targets.py says in one line what is wrong with a list", async () => {
    const cases: readonly (readonly [input: string, parameters: string[], message: RegExp])[] = [
      ["", [], /^The list is empty/],
      ["[]", [], /^The list is empty/],
      ['[{"ID": 1', [], /^The list is cut or no JSON/],
      ['{"error": "no"}', [], /no list of hypervisors: use "openstack hypervisor list -f json"/],
      ['[{"ID": 1}]', [], /no "Hypervisor Hostname": use/],
      [JSON.stringify(SHORT), ["--by-address"], /no "Host IP": add --long/],
      ["compute 1", [], /^"compute 1" is no host name or address/],
      ["compute1/metrics", [], /^"compute1\/metrics" is no host name/],
      ["[".repeat(100_000), [], /^The list is cut or no JSON/],
    ];
    for (const [input, parameters, message] of cases) {
      const { code, output, errorOutput } = await makeTargets(input, ...parameters);
      equal(code, 2, input);
      equal(output, "");
      match(errorOutput, message);
      equal(errorOutput.trimEnd().split("\n").length, 1, errorOutput);
    }
  });

  Deno.test("hypervisor_targets.py leaves out hypervisors without libvirt, and says how many", async () => {
    const rows = [
      ...HYPERVISORS,
      ...["6f2c5a6e-0000-4000-8000-000000000001", "6f2c5a6e-0000-4000-8000-000000000002"]
        .map((name) => ({ name, type: "ironic" })),
      { name: "domain-c7(Cluster1)", type: "VMware vCenter Server" },
      ...["KVM", "LXC"].map((type) => ({ name: `${type}.example.com`, type })),
    ].map((row) =>
      "name" in row
        ? {
          "Hypervisor Hostname": row.name,
          "Hypervisor Type": row.type,
          "Host IP": `192.0.2.${row.type.length}`,
        }
        : row
    );
    const result = await makeTargets(JSON.stringify(rows));
    deepEqual(targetsIn(result), [
      "KVM.example.com:9100 KVM",
      "LXC.example.com:9100 LXC",
      "compute1.example.com:9100 compute1",
      "compute2.example.com:9100 compute2",
    ]);
    deepEqual(result.errorOutput.split("\n"), [
      '1 of the type "VMware vCenter Server" left out: no libvirt runs there',
      '2 of the type "ironic" left out: no libvirt runs there',
      "",
    ]);
    const none = await makeTargets(JSON.stringify(rows.slice(2, 5)));
    equal(none.code, 2);
    match(none.errorOutput, /no libvirt runs there\n$/);
  });

  Deno.test("hypervisor_targets.py loses to an odd row nothing but that row", async () => {
    const [good] = HYPERVISORS;
    const cases: readonly (readonly [row: unknown, parameters: string[], remark: RegExp])[] = [
      [7, [], /^A row is no hypervisor/],
      [{ "ID": 1 }, [], /^A row has no "Hypervisor Hostname"/],
      [{ "Hypervisor Hostname": null }, [], /^A row has no "Hypervisor Hostname"/],
      [{ "Hypervisor Hostname": "a b\u001b[31m" }, [], /^"a b\\u001b\[31m" is no host name/],
      [
        { "Hypervisor Hostname": "compute3", "Host IP": null },
        ["--by-address"],
        /^The row of "compute3" has no "Host IP"/,
      ],
      [
        { ...good, "Hypervisor Hostname": "other" },
        ["--by-address"],
        /^"192\.0\.2\.12:9100" stands in the list with two names: the first one counts/,
      ],
    ];
    for (const [row, parameters, remark] of cases) {
      const result = await makeTargets(JSON.stringify([good, row]), ...parameters);
      equal(targetsIn(result).length, 1);
      match(result.errorOutput, remark);
      equal(result.errorOutput.trimEnd().split("\n").length, 1, result.errorOutput);
    }
    const lines = await makeTargets("compute1\ncompute 2\n");
    deepEqual(targetsIn(lines), ["compute1:9100 compute1"]);
    match(lines.errorOutput, /^"compute 2" is no host name or address: correct the list\n$/);
  });

  Deno.test("hypervisor_targets.py leaves a file alone that need not or cannot be written anew", async () => {
    await using folder = await createTestFolder();
    const file = await folder.write("targets.json", "[]\n");
    const parameters = ["--output", file] as const;
    const inode = async (): Promise<number | null> => (await Deno.stat(file)).ino;

    const first = await inode();
    equal((await makeTargets("", ...parameters)).code, 2);
    equal(await Deno.readTextFile(file), "[]\n");
    equal(await inode(), first);

    equal((await makeTargets("compute1", ...parameters)).code, 0);
    match(await Deno.readTextFile(file), /"compute1:9100"/);
    const second = await inode();
    equal((await makeTargets("compute1", ...parameters)).code, 0);
    equal(await inode(), second);

    const { code, errorOutput } = await makeTargets("compute1", "--output", `${file}/x`);
    equal(code, 2);
    match(errorOutput, /^Cannot write ".*": Not a directory\n$/);

    await Deno.writeFile(file, new Uint8Array([0xff, 0xfe]));
    equal((await makeTargets("compute1", ...parameters)).code, 0);
    match(await Deno.readTextFile(file), /"compute1:9100"/);
  });

  Deno.test("hypervisor_targets.py says so when its output cannot be written, or its port is none", async () => {
    for (const redirection of [">/dev/full", ">&-"]) {
      const command = `echo compute1 | python3 "$1" ${redirection}`;
      const { code, errorOutput } = await runCommand("sh", ["-c", command, "sh", SCRIPT]);
      equal(code, 2, redirection);
      match(errorOutput, /^Cannot write to standard output: [^\n]+\n$/);
    }
    for (const port of ["0", "65536", "-1", "http"]) {
      const { code, errorOutput } = await makeTargets("compute1", `--port=${port}`);
      equal(code, 2, port);
      match(errorOutput, /is no port: give a number from 1 to 65535\n$/);
    }
  });

  Deno.test("Prometheus scrapes what hypervisor_targets.py wrote, under the host's short name", async () => {
    await using folder = await createTestFolder();
    await using exporter = await startExecutable(["--uri", "test:///default"], { folder });
    const file = await folder.write("targets.json", "[]\n");
    const written = await makeTargets(
      "localhost.localdomain",
      ...["--port", String(exporter.ports[0]), "--output", file],
    );
    equal(written.code, 0, written.errorOutput);
    await using prometheus = await startPrometheus({
      targets: [],
      scrapeSettings: {
        "static_configs": [],
        "file_sd_configs": [{ files: [file] }],
        "relabel_configs": [
          { "source_labels": ["hypervisor"], "target_label": "instance" },
          // The name is not known here.
          {
            "source_labels": ["__address__"],
            regex: "[^:]*(:.*)",
            replacement: "127.0.0.1$1",
            "target_label": "__address__",
          },
        ],
      },
    });
    const [sample] = await prometheus.waitFor(
      "libvirt_nova_up",
      (samples) => samples[0]?.value === 1,
      30_000,
    );
    equal(sample?.labels["instance"], "localhost");
    equal(sample?.labels["hypervisor"], "localhost");
  });
} else {
  reportProgress(`The tests of hypervisor_targets.py are left out: ${host.reason}`);
}
