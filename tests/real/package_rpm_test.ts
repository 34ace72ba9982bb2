// The RPM package, with rpm's own checks and in an empty folder. There is no distribution with RPM to be had here, so its
// scripts are only read.
import assert from "node:assert/strict";
import { VERSION } from "../../src/version.ts";
import { OLDEST_GLIBC } from "../../testing/glibc.ts";
import { createTestFolder } from "../../testing/executable.ts";
import { runCommand } from "../../testing/command.ts";
import { packageStandIn } from "./package_stand_in.ts";
import { ensureDebianPackages, reportProgress } from "../../testing/packages.ts";

const NAME = "libvirt-nova-exporter";
const DEFAULTS = "/etc/default/libvirt_nova_exporter";

const packages = await ensureDebianPackages(["rpm"]);
const canRun = packages.available && Deno.uid() === 0;
if (!canRun && Deno.env.get("CI") === "true") {
  throw new Error(packages.available ? "These tests need root" : packages.reason);
}
if (!canRun) reportProgress("Leaving out the tests of the RPM package: they need root on Debian");

/** Runs rpm; fails when it does. */
async function rpm(...parameters: readonly string[]): Promise<string> {
  const { code, output, errorOutput } = await runCommand("rpm", parameters);
  assert.equal(code, 0, `rpm ${parameters.join(" ")}: ${output}${errorOutput}`);
  return output;
}

if (canRun) {
  Deno.test("the RPM package holds what an operator expects, with intact digests", async () => {
    await using folder = await createTestFolder();
    const file = await packageStandIn(folder, "rpm", VERSION, "first");
    assert.match(await rpm("--checksig", "--nosignature", file), /: digests OK$/m);
    assert.deepEqual((await rpm("-qlp", file)).trim().split("\n"), [
      DEFAULTS,
      "/usr/bin/libvirt_nova_exporter",
      "/usr/lib/systemd/system/libvirt_nova_exporter.service",
      "/usr/lib/systemd/system/libvirt_nova_exporter.socket",
      "/usr/lib/sysusers.d/libvirt_nova_exporter.conf",
      "/usr/share/bash-completion/completions/libvirt_nova_exporter",
      `/usr/share/doc/${NAME}/libvirt_nova_exporter.cdx.json`,
      "/usr/share/fish/vendor_completions.d/libvirt_nova_exporter.fish",
      `/usr/share/libvirt-nova-exporter/ssh.conf`,
      `/usr/share/licenses/${NAME}/LICENSE`,
      `/usr/share/licenses/${NAME}/copyright`,
      "/usr/share/man/man1/libvirt_nova_exporter.1.gz",
      "/usr/share/zsh/site-functions/_libvirt_nova_exporter",
    ]);
    assert.equal(await rpm("-qcp", file), `${DEFAULTS}\n`);
    const format = "%{NAME} %{VERSION} %{RELEASE} %{LICENSE} %{BUILDHOST}";
    assert.equal(
      await rpm("-qp", "--queryformat", format, file),
      `${NAME} ${VERSION} 1 Apache-2.0 localhost`,
    );
    const requirements = await rpm("-qp", "--requires", file);
    assert.match(requirements, /^libvirt\.so\.0\(\)\(64bit\)$/m);
    assert.ok(requirements.split("\n").includes(`glibc >= ${OLDEST_GLIBC}`), requirements);
  });

  Deno.test("the RPM package's scripts are sound", async () => {
    await using folder = await createTestFolder();
    const file = await packageStandIn(folder, "rpm", VERSION, "first");
    for (const script of ["POSTIN", "PREUN", "POSTUN"]) {
      const text = await rpm("-qp", "--queryformat", `%{${script}}`, file);
      assert.notEqual(text, "(none)", script);
      const { code, errorOutput } = await runCommand("sh", ["-n"], { input: text });
      assert.equal(code, 0, errorOutput);
    }
  });

  Deno.test("the RPM package installs, verifies, upgrades with the operator's settings, and goes", async () => {
    await using folder = await createTestFolder();
    const root = `${folder.path}/root`;
    await Deno.mkdir(root);
    const [first, second] = [
      await packageStandIn(folder, "rpm", VERSION, "first"),
      await packageStandIn(folder, "rpm", "999.0.0", "second"),
    ];
    const inRoot = (...parameters: readonly string[]): Promise<string> =>
      rpm("--root", root, "--dbpath", "/var/lib/rpm", "--force-debian", ...parameters);
    const withoutHost = ["--nodeps", "--noscripts"];
    const version = async (): Promise<string> =>
      (await runCommand(`${root}/usr/bin/libvirt_nova_exporter`, [])).output;

    await inRoot("--install", ...withoutHost, first);
    assert.equal(await version(), "first\n");
    assert.equal(await inRoot("--verify", ...withoutHost, NAME), "");

    const flags = `EXPORTER_FLAGS="--port 9204"\n`;
    await Deno.writeTextFile(`${root}${DEFAULTS}`, flags);
    await inRoot("--upgrade", ...withoutHost, second);
    assert.equal(await version(), "second\n");
    assert.equal(await Deno.readTextFile(`${root}${DEFAULTS}`), flags);
    assert.equal(await inRoot("-q", NAME), `${NAME}-999.0.0-1.${Deno.build.arch}\n`);

    await inRoot("--erase", ...withoutHost, NAME);
    const { output } = await runCommand("find", [
      root,
      "-path",
      `${root}/var`,
      "-prune",
      "-o",
      "-type",
      "f",
      "-print",
    ]);
    // rpm's way to keep what the operator wrote.
    assert.equal(output, `${root}${DEFAULTS}.rpmsave\n`);
  });
}
