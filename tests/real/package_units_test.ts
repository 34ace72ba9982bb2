// The units of systemd, with systemd's own checks. systemd_test.ts runs them.
import assert from "node:assert/strict";
import { packagedUnit } from "../../scripts/package.ts";
import { openTlsClient } from "../../testing/web_client.ts";
import { createTestFolder, startExecutable, type TestFolder } from "../../testing/executable.ts";
import { ROOT } from "../../testing/set_up.ts";
import { ensureDebianPackages, reportProgress } from "../../testing/packages.ts";
import { makeCertificate } from "../../testing/certificates.ts";
import { runCommand } from "../../testing/command.ts";
import { filteredCalls, SERVICE, SSH_DROP_IN } from "./unit_calls.ts";
import { waitUntil } from "../../testing/wait_until.ts";

const UNITS = `${ROOT}/contrib/systemd`;
/** What `systemd-analyze security` may say at most, of 10. */
const MAXIMUM_EXPOSURE = 1.3;
const MAXIMUM_EXPOSURE_WITH_SSH = 1.4;
/** System calls that the filter refuses and the runtime does without: it only asks for memory near its processor. */
const DISPENSABLE_CALLS = ["set_mempolicy"];

const packages = await ensureDebianPackages(["strace", "systemd"]);
if (!packages.available) {
  reportProgress(`Leaving out the tests of the units: ${packages.reason}`);
}

/** Puts the units, changed by `change`, into a folder; returns their paths. */
async function writeUnits(
  folder: TestFolder,
  change: (unit: string) => string = (unit) => unit,
): Promise<readonly string[]> {
  const names = ["libvirt_nova_exporter.service", "libvirt_nova_exporter.socket"];
  return await Promise.all(names.map(async (name) => {
    const text = await Deno.readTextFile(`${UNITS}/${name}`);
    // A program that is there: systemd-analyze looks for it.
    const unit = change(text).replaceAll(
      /\/usr(?:\/local)?\/bin\/libvirt_nova_exporter/g,
      "/bin/true",
    );
    return await folder.write(name, unit);
  }));
}

/** Puts the drop-in for ssh, changed by `change`, beside the units in a folder. */
async function writeDropIn(
  folder: TestFolder,
  change: (unit: string) => string = (unit) => unit,
): Promise<void> {
  const dropIns = `${folder.path}/libvirt_nova_exporter.service.d`;
  await Deno.mkdir(dropIns, { recursive: true });
  await Deno.writeTextFile(`${dropIns}/ssh.conf`, change(await Deno.readTextFile(SSH_DROP_IN)));
}

async function verify(units: readonly string[]): Promise<string> {
  const { output, errorOutput } = await runCommand("systemd-analyze", [
    "verify",
    "--man=no",
    "--recursive-errors=no",
    ...units,
  ]);
  return `${output}${errorOutput}`;
}

/** Of "secret", at the lowest cost. */
const HASH = "$2y$04$TCUNVdRScz9WMeXbmK3ocenbDMrNffai7iNp0pxXiFVr0gUG3qxYu";

/**
 * The system calls of an exporter that serves a page, is told to reload, and ends.
 *
 * @param isGuarded whether it does so with TLS and a login, on a Unix socket as well
 */
async function callsMade(isGuarded: boolean): Promise<ReadonlySet<string>> {
  await using folder = await createTestFolder();
  const { certificate } = await makeCertificate(folder.path, "server", { names: "IP:127.0.0.1" });
  const config = await folder.write(
    "web.yml",
    `tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\nbasic_auth_users:\n  alice: ${HASH}\n`,
  );
  const guards = [
    ...["--web.config.file", config, "--web.listen-address", "127.0.0.1:0"],
    ...["--web.listen-address", `unix:${folder.path}/exporter.sock`],
  ];
  const args = ["--uri", "test:///default", "--log", "-", ...(isGuarded ? guards : [])];
  await using exporter = await startExecutable(args, {
    folder,
    // The tracer stands aside, so that the process that is started is the exporter.
    through: ["strace", "-D", "-f", "-qq", "-o", `${folder.path}/trace`],
    ...(isGuarded ? { readyWhen: "message=Started" } : {}),
  });
  if (isGuarded) {
    const client = await openTlsClient(exporter.ports[0] ?? 0, { ca: certificate });
    const login = `Authorization: Basic ${btoa("alice:secret")}`;
    client.send(`GET /metrics HTTP/1.1\r\nHost: h\r\n${login}\r\n\r\n`);
    assert.equal((await client.receive(1)).answers[0]?.status, 200);
    client.close();
  } else await exporter.scrape();
  exporter.signal("SIGHUP");
  await waitUntil(
    "the log is reopened",
    () => exporter.errorOutput().includes("Reopened"),
  );
  assert.equal((await exporter.stop()).code, 0);
  await waitUntil(
    "the trace is complete",
    async () => (await folder.read("trace")).includes(" exit_group("),
  );
  return new Set(
    Array.from((await folder.read("trace")).matchAll(/^\d+ +(\w+)\(/gm), ([, call = ""]) => call),
  );
}

if (packages.available) {
  Deno.test("systemd finds nothing wrong with the units, by hand and packaged", async () => {
    await using folder = await createTestFolder();
    assert.equal(await verify(await writeUnits(folder)), "");
    assert.equal(await verify(await writeUnits(folder, packagedUnit)), "");
    await writeDropIn(folder);
    assert.equal(await verify(await writeUnits(folder)), "");
  });

  Deno.test("systemd would find what is wrong with them", async () => {
    await using folder = await createTestFolder();
    const units = await writeUnits(folder, (unit) => unit.replace("PrivateTmp=", "PrivateTemp="));
    assert.match(await verify(units), /PrivateTemp/);
    await writeDropIn(folder, (dropIn) => dropIn.replace("=capset", "=capsett"));
    assert.match(await verify(await writeUnits(folder)), /capsett/);
  });

  Deno.test("the service is hardened", async () => {
    await using folder = await createTestFolder();
    const [service = ""] = await writeUnits(folder);
    for (const maximum of [MAXIMUM_EXPOSURE, MAXIMUM_EXPOSURE_WITH_SSH]) {
      if (maximum === MAXIMUM_EXPOSURE_WITH_SSH) await writeDropIn(folder);
      const { code, output, errorOutput } = await runCommand("systemd-analyze", [
        "security",
        "--offline=yes",
        `--threshold=${maximum * 10}`,
        service,
      ]);
      assert.equal(code, 0, `${output}${errorOutput}`);
      assert.match(output, /Overall exposure level for libvirt_nova_exporter\.service: \d\.\d/);
    }
  });

  Deno.test("the exporter makes no system call that the service's filter refuses", async (test) => {
    const { allowed } = await filteredCalls(SERVICE);
    for (const isGuarded of [false, true]) {
      await test.step(isGuarded ? "with TLS, a login and a Unix socket" : "alone", async () => {
        const made = await callsMade(isGuarded);
        assert.ok(made.has("epoll_pwait2") || made.has("epoll_wait") || made.has("epoll_pwait"));
        assert.equal(made.has("chmod") || made.has("fchmodat"), isGuarded);
        assert.deepEqual(
          [...made].filter((call) => !allowed.has(call) && !DISPENSABLE_CALLS.includes(call)),
          [],
        );
      });
    }
  });

  Deno.test("the drop-in for ssh lets one system call more through, and changes nothing else", async () => {
    const service = await filteredCalls(SERVICE);
    const { allowed } = await filteredCalls(SERVICE, SSH_DROP_IN);
    assert.deepEqual([...allowed].filter((call) => !service.allowed.has(call)), ["capset"]);
    const lines = (await Deno.readTextFile(SSH_DROP_IN)).split("\n");
    const settings = lines.filter((line) => line !== "" && !line.startsWith("#"));
    assert.deepEqual(settings, ["[Service]", "SystemCallFilter=capset"]);
  });

  Deno.test("the service tells systemd that it is ready, and systemd looks whether it is alive", async () => {
    const unit = await Deno.readTextFile(SERVICE);
    for (const line of ["Type=notify", "WatchdogSec=30", "User=libvirt_nova_exporter"]) {
      assert.match(unit, new RegExp(`^${line}$`, "m"));
    }
  });

  Deno.test("docs/web_configuration.md knows the service's user, group and folder", async () => {
    const unit = await Deno.readTextFile(`${UNITS}/libvirt_nova_exporter.service`);
    const page = await Deno.readTextFile(`${ROOT}/docs/web_configuration.md`);
    const setting = (name: string): string =>
      new RegExp(`^${name}=(.+)$`, "m").exec(unit)?.[1] ?? `no ${name}`;
    assert.ok(page.includes(`is \`${setting("User")}\`, in a group of the same name`));
    assert.equal(setting("Group"), setting("User"));
    for (const [, group] of page.matchAll(/^install .*-g (\S+)/gm)) {
      assert.equal(group, setting("Group"));
    }
    assert.ok(page.includes(`unix:/run/${setting("RuntimeDirectory")}/exporter.sock`));
    assert.doesNotMatch(page, /RuntimeDirectory=|SupplementaryGroups=/);
  });

  Deno.test("systemd-sysusers makes the user and puts it into the group libvirt", async () => {
    await using folder = await createTestFolder();
    await Deno.mkdir(`${folder.path}/etc`);
    const file = `${UNITS}/libvirt_nova_exporter.sysusers.conf`;
    const { code, output, errorOutput } = await runCommand("systemd-sysusers", [
      `--root=${folder.path}`,
      `--replace=/usr/lib/sysusers.d/libvirt_nova_exporter.conf`,
      "-",
    ], { input: await Deno.readTextFile(file) });
    assert.equal(code, 0, `${output}${errorOutput}`);
    assert.match(
      await folder.read("etc/passwd"),
      /^libvirt_nova_exporter:x:\d+:\d+:Prometheus exporter for libvirt:\/:\/usr\/sbin\/nologin$/m,
    );
    assert.match(await folder.read("etc/group"), /^libvirt:x:\d+:libvirt_nova_exporter$/m);
  });

  Deno.test("the exporter needs nothing of /proc that the service hides from it", async () => {
    await using folder = await createTestFolder();
    const script =
      `mount -t proc -o subset=pid,hidepid=invisible proc /proc && [ ! -e /proc/stat ] &&
      exec "$1" --once --uri test:///default`;
    const { code, output, errorOutput } = await runCommand("unshare", [
      "--mount",
      "sh",
      "-c",
      script,
      "sh",
      `${ROOT}/dist/libvirt_nova_exporter`,
    ], { environment: { TMPDIR: folder.temporary } });
    assert.equal(code, 0, errorOutput);
    for (const family of ["libvirt_nova_up 1", "process_start_time_seconds", "process_open_fds"]) {
      assert.ok(output.includes(`\n${family}`), family);
    }
  });
}
