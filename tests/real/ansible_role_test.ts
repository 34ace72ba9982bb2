// The Ansible role: the play of the documentation, run in a Debian of its own.
import assert from "node:assert/strict";
import { parse } from "yaml";
import { ROOT } from "../../testing/set_up.ts";
import { VERSION } from "../../src/version.ts";
import { createTestFolder } from "../../testing/executable.ts";
import { outputOf, runCommand } from "../../testing/command.ts";
import { copyDebian, type DebianRoot, ROOT_PACKAGES } from "./debian_root.ts";
import { packageForMachine } from "./machine_package.ts";
import { ensureDebianPackages, reportProgress } from "../../testing/packages.ts";
import { systemdArguments } from "./systemd_arguments.ts";

const ANSIBLE_VERSION = "2.19.14";
const ANSIBLE = `${ROOT}/.cache/ansible-${ANSIBLE_VERSION}`;
const DEFAULTS = "/etc/default/libvirt_nova_exporter";
const INSTALLATION_BOUND_MILLISECONDS = 300_000;

const packages = await ensureDebianPackages([...ROOT_PACKAGES, "python3-venv", "systemd"]);
const canRun = packages.available && Deno.uid() === 0;
if (!canRun && Deno.env.get("CI") === "true") {
  throw new Error(packages.available ? "These tests need root" : packages.reason);
}
if (!canRun) reportProgress("Leaving out the tests of the Ansible role: they need root on Debian");

/** Installs Ansible for Debian's own Python, which the Debian in a folder has as well. */
async function ensureAnsible(): Promise<void> {
  const program = `${ANSIBLE}/bin/ansible-playbook`;
  if ((await runCommand(program, ["--version"]).catch(() => undefined))?.code === 0) return;
  reportProgress("Installing Ansible for the tests");
  await outputOf("/usr/bin/python3", ["-m", "venv", "--clear", ANSIBLE]);
  const install = ["install", "--quiet", "--disable-pip-version-check"];
  await outputOf(`${ANSIBLE}/bin/pip`, [...install, `ansible-core==${ANSIBLE_VERSION}`], {
    boundMilliseconds: INSTALLATION_BOUND_MILLISECONDS,
  });
}

/** The play that docs/installation.md shows. */
async function documentedPlay(): Promise<string> {
  const page = await Deno.readTextFile(`${ROOT}/docs/installation.md`);
  const section = page.split(/^## /m).find((text) => text.startsWith("Ansible\n")) ?? "";
  return /^```yaml\n(?<play>.*?)^```$/ms.exec(section)?.groups?.["play"] ?? "";
}

/** Puts Ansible, the role and a project with the package into the Debian; returns the folder of the project. */
async function prepare(root: DebianRoot): Promise<string> {
  await using folder = await createTestFolder();
  const file = await packageForMachine("deb", folder.path);
  const project = "/srv/project";
  await Deno.mkdir(`${root.path}${project}/dist`, { recursive: true });
  await Deno.copyFile(file, `${root.path}${project}/dist/${file.slice(file.lastIndexOf("/") + 1)}`);
  await Deno.mkdir(`${root.path}${ANSIBLE}`, { recursive: true });
  for (
    const [from, to] of [
      [ANSIBLE, ANSIBLE],
      [`${ROOT}/contrib`, `${project}/contrib`],
    ]
  ) {
    await outputOf("cp", ["-a", "-T", `${from}`, `${root.path}${to}`]);
  }
  return project;
}

/** What a run printed, and the counts of its recap. */
interface PlayResult {
  readonly output: string;
  readonly counts: Readonly<Record<string, number>>;
}

async function runPlay(
  root: DebianRoot,
  project: string,
  play: string,
  ...parameters: readonly string[]
): Promise<PlayResult> {
  await Deno.writeTextFile(`${root.path}${project}/site.yml`, play);
  await Deno.writeTextFile(
    `${root.path}${project}/inventory`,
    "[compute]\nlocalhost ansible_connection=local ansible_python_interpreter=/usr/bin/python3\n",
  );
  const { output } = await root.run(
    ...["env", `--chdir=${project}`, "HOME=/root", "LC_ALL=C.UTF-8", "ANSIBLE_NOCOLOR=1"] as const,
    "ANSIBLE_ROLES_PATH=contrib/ansible/roles",
    ...[`${ANSIBLE}/bin/ansible-playbook`, "-i", "inventory", ...parameters, "site.yml"],
  );
  const recap = /^localhost +: (?<counts>.*)$/m.exec(output)?.groups?.["counts"] ?? "";
  const counts = Object.fromEntries(
    Array.from(recap.matchAll(/(\w+)=(\d+)/g), ([, name = "", count]) => [name, Number(count)]),
  );
  return { output, counts };
}

/** A play that only has the role with these variables. */
function playWith(variables: Readonly<Record<string, unknown>>): string {
  const [play] = parse("- hosts: compute\n  roles: []\n") as [Record<string, unknown>];
  return JSON.stringify([{ ...play, roles: [{ role: "libvirt_nova_exporter", vars: variables }] }]);
}

/** Items of the play's list, and the words that the exporter is to get for them. */
const ITEMS: readonly (readonly [item: string, words: readonly string[]])[] = [
  ["--domain.nova-only", ["--domain.nova-only"]],
  ["-h", ["-h"]],
  ["--domain.include ^instance-\\d+$", ["--domain.include", "^instance-\\d+$"]],
  ["--domain.include=\\\\.", ["--domain.include=\\\\."]],
  ['--domain.project-exclude "my project"', ["--domain.project-exclude", "my project"]],
  ["--domain.project-exclude 'my project'", ["--domain.project-exclude", "my project"]],
  ["--domain.project-exclude my project", ["--domain.project-exclude", "my project"]],
  ["--domain.project-exclude=my project", ["--domain.project-exclude=my project"]],
  [`--domain.exclude O'Brien|"x" y`, ["--domain.exclude", `O'Brien|"x" y`]],
  [`--domain.exclude 'a "b" \\s'`, ["--domain.exclude", 'a "b" \\s']],
  ['--domain.exclude "a --b"', ["--domain.exclude", "a --b"]],
  ["--domain.exclude=$HOME`id`%h#{}", ["--domain.exclude=$HOME`id`%h#{}"]],
  ["--path ''", ["--path", ""]],
  ["--port 9204 --log.level debug", ["--port", "9204", "--log.level", "debug"]],
];

if (canRun) {
  Deno.test("the role does what the play of the documentation says", async (t) => {
    await ensureAnsible();
    await using root = await copyDebian(["libvirt0", "passwd", "python3", "python3-apt"]);
    const project = await prepare(root);
    const play = await documentedPlay();
    const notStarted = ["-e", "libvirt_nova_exporter_start=false"];

    await t.step(
      "--check --diff tells what it would do to a new host, and does nothing",
      async () => {
        for (const parameters of [[], notStarted]) {
          const { output, counts } = await runPlay(
            root,
            project,
            play,
            "--check",
            "--diff",
            ...parameters,
          );
          assert.equal(counts["failed"], 0, output);
          assert.equal(counts["changed"], 2, output);
          assert.match(output, /^\+EXPORTER_FLAGS=.*192\.0\.2\.10:9100/m);
        }
        await assert.rejects(Deno.stat(`${root.path}${DEFAULTS}`));
        await assert.rejects(Deno.stat(`${root.path}/usr/bin/libvirt_nova_exporter`));
      },
    );

    await t.step("it installs the package and writes the flags, once", async () => {
      const first = await runPlay(root, project, play, ...notStarted);
      assert.equal(first.counts["failed"], 0, first.output);
      const { output } = await root.run("/usr/bin/libvirt_nova_exporter", "--version");
      assert.match(output, /^libvirt_nova_exporter /);
      for (const parameters of [[], ["--check", "--diff"]]) {
        const again = await runPlay(root, project, play, ...notStarted, ...parameters);
        assert.equal(again.counts["failed"], 0, again.output);
        assert.equal(again.counts["changed"], 0, again.output);
      }
    });

    await t.step("systemd hands over its flags", async () => {
      const file = await Deno.readTextFile(`${root.path}${DEFAULTS}`);
      assert.deepEqual(await systemdArguments([file]), [[
        ...["--web.listen-address", "192.0.2.10:9100"],
        ...["--domain.include", "^instance-\\d+$"],
        ...["--domain.project-exclude", "my project"],
      ]]);
    });

    await t.step("flags with any character in them reach the exporter as they are", async () => {
      const variables = {
        "libvirt_nova_exporter_package": `dist/libvirt-nova-exporter_${VERSION}-1_amd64.deb`,
        "libvirt_nova_exporter_flags": ITEMS.map(([item]) => item),
      };
      await runPlay(root, project, playWith(variables), ...notStarted);
      const file = await Deno.readTextFile(`${root.path}${DEFAULTS}`);
      assert.deepEqual(await systemdArguments([file]), [ITEMS.flatMap(([, words]) => words)], file);
    });

    await t.step("the playbook that comes with it runs as it says", async () => {
      const playbook = await Deno.readTextFile(`${ROOT}/contrib/ansible/playbook.yml`);
      const [, parameter = ""] = /-e (\S+)="\$PWD/.exec(playbook) ?? [];
      const file = `dist/libvirt-nova-exporter_${VERSION}-1_amd64.deb`;
      const { counts, output } = await runPlay(
        root,
        project,
        playbook,
        ...notStarted,
        ...["-e", `${parameter}=${project}/${file}`],
      );
      assert.equal(counts["failed"], 0, output);
      assert.equal(
        await Deno.readTextFile(`${root.path}${DEFAULTS}`).then(lastLine),
        'EXPORTER_FLAGS=""',
      );
    });
  });
}

function lastLine(text: string): string {
  return text.trimEnd().split("\n").at(-1) ?? "";
}
