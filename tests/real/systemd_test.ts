// The packaged units under a real systemd, which runs as the first process of a Debian in a folder.
import assert from "node:assert/strict";
import { createTestFolder } from "../../testing/executable.ts";
import { ROOT } from "../../testing/set_up.ts";
import { copyDebian, type DebianRoot, ROOT_PACKAGES } from "./debian_root.ts";
import { packageForMachine } from "./machine_package.ts";
import { ensureDebianPackages, reportProgress } from "../../testing/packages.ts";
import { bootMachine, MACHINE_PACKAGES, type SystemdMachine } from "./systemd_machine.ts";
import { waitUntil } from "../../testing/wait_until.ts";

const PACKAGE = "libvirt-nova-exporter";
/** Where the machine finds it. */
const PACKAGE_FILE = "/srv/package.deb";
const SERVICE = "libvirt_nova_exporter.service";
const SOCKET = "libvirt_nova_exporter.socket";
const USER = "libvirt_nova_exporter";
const DEFAULTS = "/etc/default/libvirt_nova_exporter";
const DROP_IN = `/etc/systemd/system/${SERVICE}.d/override.conf`;
const TEST_DRIVER = "--uri test:///default";

/** Its bound is for what never answers; it is far beyond what an answer takes. */
const CURL = ["--silent", "--fail", "--max-time", "20"];

const packages = await ensureDebianPackages([...ROOT_PACKAGES, "iproute2"]);
const canRun = packages.available && Deno.uid() === 0;
if (!canRun && Deno.env.get("CI") === "true") {
  throw new Error(packages.available ? "These tests need root" : packages.reason);
}
if (!canRun) reportProgress("Leaving out the tests under systemd: they need root on Debian");

/** A machine with the package, and questions about its service. */
interface Exporter extends SystemdMachine {
  systemctl(...parameters: readonly string[]): Promise<string>;
  /** A property of the service. */
  property(name: string): Promise<string>;
  /** The lines of its journal since the machine began. */
  journal(): Promise<string>;
  /** A page of it, or `undefined` when nobody answers. */
  page(port?: number): Promise<string | undefined>;
  /** Puts lines into the `[Service]` section of a drop-in, in the place of those before. */
  edit(...lines: readonly string[]): Promise<void>;
}

function exporterOf(machine: SystemdMachine): Exporter {
  const systemctl = (...parameters: readonly string[]): Promise<string> =>
    machine.run("systemctl", ...parameters);
  return {
    ...machine,
    systemctl,
    property: (name) => systemctl("show", "--value", `--property=${name}`, SERVICE),
    async journal(): Promise<string> {
      // What was sent to it is written first.
      await machine.run("journalctl", "--sync");
      return await machine.run("journalctl", "--output=cat", "--no-pager", `--unit=${SERVICE}`);
    },
    async page(port = 9100): Promise<string | undefined> {
      const url = `http://127.0.0.1:${port}/metrics`;
      const { code, output } = await machine.outcomeOf("curl", ...CURL, url);
      return code === 0 ? output : undefined;
    },
    async edit(...lines): Promise<void> {
      await machine.write(DROP_IN, ["[Service]", ...lines, ""].join("\n"));
      await systemctl("daemon-reload");
    },
  };
}

async function installPackage(root: DebianRoot, { run }: SystemdMachine): Promise<void> {
  await using folder = await createTestFolder();
  const file = await packageForMachine("deb", folder.path);
  await Deno.copyFile(file, `${root.path}${PACKAGE_FILE}`);
  await run("dpkg", "--install", PACKAGE_FILE);
}

/** A page that was made from an answer of libvirt. */
function assertUp(page: string | undefined): void {
  assert.match(page ?? "nobody answers", /^libvirt_nova_up 1$/m);
}

if (canRun) {
  Deno.test("the packaged units do under systemd what they say", async (test) => {
    await using root = await copyDebian([...MACHINE_PACKAGES, "libvirt0", "passwd"]);
    await using machine = await bootMachine(root);
    await installPackage(root, machine);
    const exporter = exporterOf(machine);
    const { run, write, systemctl, property, journal, page, edit } = exporter;

    await test.step("a new installation starts nothing", async () => {
      assert.equal(await property("ActiveState"), "inactive");
      assert.equal(await property("UnitFileState"), "disabled");
    });

    await test.step("it is started when it serves, and libvirt answers it", async () => {
      await write(DEFAULTS, `EXPORTER_FLAGS="${TEST_DRIVER}"\n`);
      await systemctl("enable", "--now", SERVICE);
      assertUp(await page());
      assert.equal(await property("ActiveState"), "active");
      assert.equal(await property("SubState"), "running");
      await waitUntil(
        "systemctl status tells what it sees",
        async () => await property("StatusText") === "libvirt connected, 1 instance",
      );
    });

    await test.step("it is the unit's user, who may do nothing else", async () => {
      const status = await run("cat", `/proc/${await property("MainPID")}/status`);
      const user = await run("id", "--user", USER);
      assert.match(status, new RegExp(`^Uid:\t${user}\t${user}\t${user}\t${user}$`, "m"));
      for (const line of ["CapEff:\t0+", "CapBnd:\t0+", "NoNewPrivs:\t1", "Seccomp:\t2"]) {
        assert.match(status, new RegExp(`^${line}$`, "m"));
      }
    });

    await test.step("reload opens the log anew, in the same process", async () => {
      const before = await property("MainPID");
      await systemctl("reload", SERVICE);
      await waitUntil(
        "the journal has it",
        async () => (await journal()).includes("Reopened the log"),
      );
      assertUp(await page());
      assert.equal(await property("MainPID"), before);
    });

    await test.step("stop ends it with success, and the journal tells the whole story", async () => {
      await systemctl("stop", SERVICE);
      assert.equal(await property("ActiveState"), "inactive");
      assert.equal(await property("Result"), "success");
      assert.equal(await property("ExecMainStatus"), "0");
      const lines = await journal();
      assert.match(
        lines,
        /message=Started[^]*Reopened the log[^]*message=Stopping[^]*message=Stopped/,
      );
      assert.doesNotMatch(lines, /level=(warn|error)|timed out|Failed|SIGKILL/);
      assert.equal(await page(), undefined);
    });

    await test.step("one that does not say that it is ready is not started, though it serves", async () => {
      await edit(
        "ExecStart=",
        `ExecStart=/usr/bin/env -u NOTIFY_SOCKET /usr/bin/libvirt_nova_exporter --log - ${TEST_DRIVER}`,
      );
      await systemctl("start", "--no-block", SERVICE);
      await waitUntil("it serves", async () => await page() !== undefined);
      assert.equal(await property("ActiveState"), "activating");
      await systemctl("stop", SERVICE);
    });

    await test.step("one that hangs is started anew", async () => {
      await edit("WatchdogSec=2", "RestartSec=0", "TimeoutAbortSec=1");
      await systemctl("start", SERVICE);
      const before = await property("MainPID");
      await systemctl("kill", "--kill-whom=main", "--signal=STOP", SERVICE);
      await waitUntil(
        "it was started anew",
        async () => await property("NRestarts") === "1" && await property("SubState") === "running",
      );
      assertUp(await page());
      assert.notEqual(await property("MainPID"), before);
      assert.match(await journal(), /Watchdog timeout/);
      const lastSign = async (): Promise<number> =>
        Number(await property("WatchdogTimestampMonotonic"));
      const first = await lastSign();
      await waitUntil(
        "it says again that it is alive",
        async () => await lastSign() > first,
      );
      assert.equal(await property("NRestarts"), "1");
      await systemctl("stop", SERVICE);
    });

    await test.step("one with a wrong command line is not started again and again", async () => {
      await edit(`EnvironmentFile=`, `Environment="EXPORTER_FLAGS=--prot 9204"`, "RestartSec=0");
      const { code } = await exporter.outcomeOf("systemctl", "start", SERVICE);
      assert.notEqual(code, 0);
      assert.equal(await property("NRestarts"), "0");
      assert.equal(await property("ExecMainStatus"), "2");
      assert.match(await journal(), /Unknown flag "--prot"/);
      await systemctl("reset-failed", SERVICE);
    });

    await test.step("a drop-in changes flags where the file of flags sets none", async () => {
      await write(DEFAULTS, await Deno.readTextFile(`${ROOT}/contrib/packages/default`));
      await edit(`Environment="EXPORTER_FLAGS=${TEST_DRIVER} --port 9204"`);
      await systemctl("start", SERVICE);
      assertUp(await page(9204));
      assert.equal(await page(9100), undefined);
      await systemctl("stop", SERVICE);
    });

    await test.step("flags in the file win over those of a drop-in", async () => {
      await write(DEFAULTS, `EXPORTER_FLAGS="${TEST_DRIVER} --port 9205"\n`);
      await systemctl("start", SERVICE);
      assertUp(await page(9205));
      await systemctl("stop", SERVICE);
    });

    await test.step("variables that make something else of the executable do not reach it", async () => {
      await write(
        DEFAULTS,
        `EXPORTER_FLAGS="${TEST_DRIVER}"\nBUN_BE_BUN=1\nBUN_OPTIONS=--help\nBUN_INSPECT_PRELOAD=/nonexistent\n`,
      );
      await edit("Environment=BUN_INSPECT=ws://127.0.0.1:6499/");
      await systemctl("start", SERVICE);
      assertUp(await page());
      assert.doesNotMatch(
        await run("cat", `/proc/${await property("MainPID")}/environ`),
        /BUN_(BE_BUN|OPTIONS|INSPECT)/,
      );
      await systemctl("stop", SERVICE);
    });

    await test.step("its hardening lets it load its shim from memory", async () => {
      await edit("Environment=TMPDIR=/nonexistent");
      await systemctl("start", SERVICE);
      assertUp(await page());
      await systemctl("stop", SERVICE);
    });

    await test.step("it listens on a Unix socket in its own folder", async () => {
      const socket = "/run/libvirt_nova_exporter/exporter.sock";
      await write(
        DEFAULTS,
        `EXPORTER_FLAGS="${TEST_DRIVER} --web.listen-address unix:${socket}"\n`,
      );
      await edit();
      await systemctl("start", SERVICE);
      assertUp(await run("curl", ...CURL, "--unix-socket", socket, "http://exporter/metrics"));
      await systemctl("stop", SERVICE);
    });

    await test.step("the socket unit starts it with a scrape, and holds the port while it is stopped", async () => {
      await write(DEFAULTS, `EXPORTER_FLAGS="${TEST_DRIVER} --web.systemd-socket"\n`);
      await systemctl("disable", "--now", SERVICE);
      await systemctl("enable", "--now", SOCKET);
      for (const round of ["first", "second"]) {
        assert.equal(await property("ActiveState"), "inactive", round);
        assertUp(await page());
        assert.equal(await property("ActiveState"), "active", round);
        await exporter.outcomeOf("systemctl", "stop", SERVICE);
      }
    });

    await test.step("an upgrade restarts it if it runs", async () => {
      assertUp(await page());
      const before = await property("MainPID");
      await run("dpkg", "--install", PACKAGE_FILE);
      assert.notEqual(await property("MainPID"), before);
      assertUp(await page());
    });

    await test.step("removing the package stops it, and the socket", async () => {
      await run("dpkg", "--remove", PACKAGE);
      assert.equal(await property("ActiveState"), "inactive");
      assert.equal(await page(), undefined);
      const failed = await systemctl("list-units", "--failed", "--plain", "--no-legend");
      assert.doesNotMatch(failed, /libvirt_nova_exporter/);
    });
  });
}
