// The Debian package in a Debian of its own: installed, started, upgraded, removed and purged.
import assert from "node:assert/strict";
import { VERSION } from "../../src/version.ts";
import { OLDEST_GLIBC } from "../../testing/glibc.ts";
import { createTestFolder, startExecutable, type TestFolder } from "../../testing/executable.ts";
import { startNotifyReceiver } from "../../testing/notify_receiver.ts";
import { copyDebian, type DebianRoot, ROOT_PACKAGES } from "./debian_root.ts";
import { packageForMachine } from "./machine_package.ts";
import { ensureDebianPackages, reportProgress } from "../../testing/packages.ts";
import { outputOf, runCommand } from "../../testing/command.ts";

const NAME = "libvirt-nova-exporter";
const USER = "libvirt_nova_exporter";
const DEFAULTS = "/etc/default/libvirt_nova_exporter";
const LATER_VERSION = "999.0.0";

const packages = await ensureDebianPackages([...ROOT_PACKAGES, "lintian"]);
const canRun = packages.available && Deno.uid() === 0;
if (!canRun && Deno.env.get("CI") === "true") {
  throw new Error(packages.available ? "These tests need root" : packages.reason);
}
if (!canRun) {
  reportProgress("Leaving out the tests of the Debian package: they need root on Debian");
}

/** All files, users and groups, but what package managers write for themselves. */
async function inventory(root: DebianRoot): Promise<readonly string[]> {
  const script = `find / -xdev \\( -path /proc -o -path /dev -o -path /tmp -o -path /var/lib/dpkg \\
    -o -path /var/lib/apt -o -path /var/cache -o -path /var/log \\) -prune -o -print | sort
    getent passwd; getent group`;
  const lines = (await root.run("sh", "-c", script)).output.split("\n");
  // The tools for users keep a copy of the files as they were before.
  return lines.filter((line) =>
    !/^\/etc\/(passwd|group|shadow|gshadow|subuid|subgid)-$/.test(line)
  );
}

/** Starts the service without systemd: its command line, in its environment, as its user. */
async function startService(
  root: DebianRoot,
  folder: TestFolder,
  notifySocket: string,
): ReturnType<typeof startExecutable> {
  const unit = await Deno.readTextFile(
    `${root.path}/usr/lib/systemd/system/libvirt_nova_exporter.service`,
  );
  const settings = (name: string): readonly string[] =>
    Array.from(unit.matchAll(new RegExp(`^${name}=(.*)$`, "gm")), ([, value = ""]) => value);
  const [user = ""] = settings("User");
  const [command = ""] = settings("ExecStart");
  const [environmentFile = ""] = settings("EnvironmentFile");
  const script = `set -a
${settings("Environment").join("\n")}
. ${environmentFile.replace(/^-/, "")}
exec setpriv --reuid=${user} --regid=${user} --init-groups --no-new-privs -- ${command}`;
  return await startExecutable([], {
    folder,
    environment: { TMPDIR: "/tmp", NOTIFY_SOCKET: notifySocket },
    through: [...root.through(), "sh", "-c", script],
    addressIsGiven: true,
  });
}

if (canRun) {
  Deno.test("the Debian package installs, serves, upgrades, and leaves nothing behind", async (t) => {
    await using folder = await createTestFolder();
    await using root = await copyDebian(["libvirt0", "passwd"]);
    const first = await packageForMachine("deb", folder.path);
    const standIn = await folder.write("stand_in", "#!/bin/sh\necho later\n");
    await Deno.chmod(standIn, 0o755);
    const second = await packageForMachine("deb", folder.path, {
      version: LATER_VERSION,
      executable: standIn,
    });
    const install = async (file: string): Promise<void> => {
      await Deno.copyFile(file, `${root.path}/tmp/package.deb`);
      // apt-get, unlike dpkg, looks whether what the package depends on is there.
      await root.run("apt-get", "install", "-y", "/tmp/package.deb");
    };
    const status = async (): Promise<string> =>
      (await root.run("dpkg-query", "--show", "--showformat=${db:Status-Abbrev} ${Version}", NAME))
        .output;
    const before = await inventory(root);

    await t.step("it depends on the glibc that is promised, and on libvirt's client", async () => {
      const depends = await outputOf("dpkg-deb", ["--field", first, "Depends"]);
      assert.equal(depends.trim(), `libc6 (>= ${OLDEST_GLIBC}), libvirt0, passwd`);
    });

    await t.step("lintian finds nothing but what the package says why", async () => {
      const { output, errorOutput, code } = await runCommand("lintian", [
        "--fail-on=error,warning",
        "--allow-root",
        first,
      ], { boundMilliseconds: 240_000 });
      assert.equal(code, 0, `${output}${errorOutput}`);
    });

    await t.step("it makes a user in the group libvirt, and starts nothing", async () => {
      await install(first);
      assert.equal(await status(), `ii  ${VERSION}-1`);
      const { output } = await root.run("id", "--name", "--groups", USER);
      assert.deepEqual(output.trim().split(" "), [USER, "libvirt"]);
      assert.match(
        (await root.run("getent", "passwd", USER)).output,
        /:\/:\/usr\/sbin\/nologin$/m,
      );
      const { output: version } = await root.run("/usr/bin/libvirt_nova_exporter", "--version");
      assert.ok(version.startsWith(`libvirt_nova_exporter ${VERSION} `), version);
    });

    const flags = `EXPORTER_FLAGS="--uri test:///default --web.listen-address 127.0.0.1:0"\n`;
    await t.step("the command line of its service serves as that user, and stops", async () => {
      await Deno.writeTextFile(`${root.path}${DEFAULTS}`, flags);
      const address = `@${folder.path}/notify`;
      await using receiver = await startNotifyReceiver(address);
      await using exporter = await startService(root, folder, address);
      await receiver.waitFor(/^READY=1$/);
      const up = (await exporter.scrape()).get("libvirt_nova_up")?.samples[0]?.value;
      assert.equal(up, 1);
      const processStatus = await Deno.readTextFile(`/proc/${exporter.processId}/status`);
      const { output: userId } = await root.run("id", "--user", USER);
      assert.equal(/^Uid:\t(\d+)/m.exec(processStatus)?.[1], userId.trim());
      const { code, errorOutput } = await exporter.stop();
      assert.equal(code, 0, errorOutput);
    });

    await t.step("an upgrade brings the new files and keeps the operator's settings", async () => {
      await install(second);
      assert.equal(await status(), `ii  ${LATER_VERSION}-1`);
      assert.equal(await Deno.readTextFile(`${root.path}${DEFAULTS}`), flags);
      assert.equal((await root.run("/usr/bin/libvirt_nova_exporter")).output, "later\n");
    });

    await t.step("removed, it leaves the operator's settings alone", async () => {
      await root.run("dpkg", "--remove", NAME);
      assert.match(await status(), /^rc /);
      assert.equal(await Deno.readTextFile(`${root.path}${DEFAULTS}`), flags);
      await assert.rejects(Deno.lstat(`${root.path}/usr/bin/libvirt_nova_exporter`));
    });

    await t.step("purged, it leaves nothing but the group libvirt, which others use", async () => {
      await root.run("dpkg", "--purge", NAME);
      assert.equal((await root.run("dpkg", "--audit")).output, "");
      const known = new Set(before);
      const left = (await inventory(root)).filter((line) => !known.has(line));
      assert.deepEqual(left.map((line) => line.replace(/\d+/, "N")), ["libvirt:x:N:"]);
      const after = new Set(await inventory(root));
      assert.deepEqual(before.filter((line) => !after.has(line)), []);
    });
  });
}
