// libvirt by way of a program or of ssh, as a user without rights and with the system calls of the service's unit.
import assert from "node:assert/strict";
import { type ExporterProcess, startExporterProcess } from "../../testing/exporter_process.ts";
import { ensureHypervisorHost } from "../../testing/libvirt/host.ts";
import { startHypervisor } from "../../testing/libvirt/hypervisor.ts";
import { ensureDebianPackages, reportProgress } from "../../testing/packages.ts";
import { makeSshKeys, type SshDaemon, startSshDaemon } from "./ssh_daemon.ts";
import { filteredCalls, SERVICE, SSH_DROP_IN } from "./unit_calls.ts";
import { waitUntil } from "../../testing/wait_until.ts";

const host = await ensureHypervisorHost();
const packages = await ensureDebianPackages(
  ["netcat-openbsd", "openssh-client", "openssh-server", "strace", "systemd"],
);
if (!packages.available) reportProgress(`Leaving out the tests of ssh: ${packages.reason}`);

const GUEST = "instance-00000001";
const NOBODY = 65534;

/** Puts the file of known hosts where ssh looks for it, for the command that follows alone. */
const KNOW_HOSTS = `set -e
mount -t tmpfs -o mode=755 tmpfs /etc/ssh
install -m 644 "$1" /etc/ssh/ssh_known_hosts
shift
exec "$@"`;

/** What systemd does for the service: no rights, none to be had, and the system calls refused that these units refuse. */
async function asService(knownHosts: string, ...units: readonly string[]): Promise<string[]> {
  const calls = [...(await filteredCalls(...units)).refused].map((call) => `?${call}`).join(",");
  const user = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"];
  return [
    ...["unshare", "--mount", "sh", "-c", KNOW_HOSTS, "service", knownHosts],
    ...["setpriv", ...user, "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"],
    // The tracer stands aside, so that the process that is started is the exporter.
    ...["strace", "-D", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null"],
    ...["-e", `trace=${calls}`, "-e", `inject=${calls}:error=EPERM`],
  ];
}

/** The lines of the log about anything but the start. */
function complaints(exporter: ExporterProcess): readonly string[] {
  return exporter.logLines().filter((line) => /^time=.* level=(?!info)/.test(line));
}

function countLines(daemon: SshDaemon, pattern: RegExp): number {
  return daemon.logLines().filter((line) => pattern.test(line)).length;
}

async function attemptsOf(exporter: ExporterProcess): Promise<number | undefined> {
  return (await exporter.scrape()).value("libvirt_nova_exporter_connection_attempts_total");
}

if (host.available && packages.available) {
  Deno.test("libvirt is reached by ssh and by programs", async (context) => {
    await using hypervisor = await startHypervisor({ guests: [{ name: GUEST, start: "paused" }] });
    const keys = await makeSshKeys(hypervisor.directory, NOBODY);
    const { port, knownHosts, noKnownHosts } = keys;
    const otherHosts = `${keys.directory}/other_hosts`;
    const otherKey = Deno.readTextFileSync(`${keys.accepted}.pub`);
    Deno.writeTextFileSync(otherHosts, `[127.0.0.1]:${port} ${otherKey}`);
    const sockets = `${hypervisor.directory}/sockets`;
    const socket = `${sockets}/libvirt-sock-ro`;
    const uriOf = (transport: string, key: string, options: string): string =>
      `qemu+${transport}://root@127.0.0.1:${port}/system?keyfile=${key}${options}`;
    const ssh = (key: string): string => uriOf("ssh", key, "&no_tty=1");
    /** libvirt's own clients, which start no program. */
    const own = (transport: string, key: string, known: string): string =>
      uriOf(transport, key, `&sshauth=privkey&known_hosts=${known}`);
    const assertUp = async (exporter: ExporterProcess): Promise<void> => {
      const page = await exporter.scrape();
      assert.equal(page.up, 1, exporter.logLines().join("\n"));
      assert.deepEqual(
        page.labelValues("libvirt_nova_instance_state_code", "libvirtname"),
        [GUEST],
      );
      assert.deepEqual(complaints(exporter), []);
    };
    const program = `${keys.directory}/program`;
    Deno.writeTextFileSync(program, `#!/bin/sh\nexec nc -U ${socket}\n`);
    Deno.chmodSync(program, 0o755);
    const external = `qemu+ext:///system?command=${program}`;

    await context.step("the service with its drop-in starts ssh, or another program", async () => {
      await using _daemon = await startSshDaemon(keys, sockets);
      const through = await asService(knownHosts, SERVICE, SSH_DROP_IN);
      const elsewhere = `${ssh(keys.accepted)}&socket=${socket}&command=/usr/bin/ssh`;
      for (const uri of [ssh(keys.accepted), elsewhere, external]) {
        await using exporter = await startExporterProcess(uri, [], { through });
        await assertUp(exporter);
      }
    });

    await context.step("the service without it says what is missing", async () => {
      await using daemon = await startSshDaemon(keys, sockets);
      const through = await asService(knownHosts, SERVICE);
      for (const uri of [ssh(keys.accepted), external]) {
        // libvirt may write to its program, which has ended, before it has read why.
        const line = await waitUntil("libvirt to read what its program says", async () => {
          await using exporter = await startExporterProcess(uri, [], { through });
          assert.equal((await exporter.scrape()).up, 0);
          const [first = "", ...others] = complaints(exporter);
          assert.deepEqual(others, []);
          return first.endsWith('reason="Cannot write data: Broken pipe"') ? undefined : first;
        });
        assert.match(line, /let the service start programs with the drop-in for ssh"$/);
      }
      assert.equal(countLines(daemon, /^Connection from/), 0);
    });

    await context.step("the service without it has libvirt's own clients for ssh", async () => {
      await using _daemon = await startSshDaemon(keys, sockets);
      const through = await asService(noKnownHosts, SERVICE);
      for (const transport of ["libssh", "libssh2"]) {
        const uri = own(transport, keys.accepted, knownHosts);
        await using exporter = await startExporterProcess(uri, [], { through });
        await assertUp(exporter);
      }
    });

    const refused: Readonly<Record<string, readonly [uri: string, known: string, said: RegExp]>> = {
      "ssh: a key that is not accepted": [ssh(keys.refused), knownHosts, /give .* a key that/],
      "ssh: a host that is not known": [
        ssh(keys.accepted),
        noKnownHosts,
        /enter the host's present key/,
      ],
      "ssh: a host with another key": [
        ssh(keys.accepted),
        otherHosts,
        /enter the host's present key/,
      ],
    };
    for (const transport of ["libssh", "libssh2"]) {
      Object.assign(refused, {
        [`${transport}: a key that is not accepted`]: [
          own(transport, keys.refused, knownHosts),
          knownHosts,
          /give .* a key that/,
        ],
        [`${transport}: a key that is not accepted, and then a password`]: [
          uriOf(transport, keys.refused, `&known_hosts=${knownHosts}`),
          knownHosts,
          /give .* a key that/,
        ],
        [`${transport}: a host that is not known`]: [
          own(transport, keys.accepted, noKnownHosts),
          noKnownHosts,
          /enter the host's present key/,
        ],
        [`${transport}: a host with another key`]: [
          own(transport, keys.accepted, otherHosts),
          otherHosts,
          /enter the host's present key/,
        ],
      });
    }
    // Tries for each page, once a second at most, and so tells when another exporter would have tried again.
    await using unreachable = await startExporterProcess("qemu+tcp://127.0.0.1:1/system");
    for (const [what, [uri, known, said]] of Object.entries(refused)) {
      await context.step(`${what}, and is not tried again soon`, async () => {
        await using daemon = await startSshDaemon(keys, sockets);
        const through = await asService(known, SERVICE, SSH_DROP_IN);
        await using exporter = await startExporterProcess(uri, [], { through });
        assert.equal((await exporter.scrape()).up, 0);
        const before = await attemptsOf(unreachable) ?? 0;
        await waitUntil("two more attempts elsewhere", async () => {
          assert.equal((await exporter.scrape()).up, 0);
          return (await attemptsOf(unreachable) ?? 0) >= before + 2 || undefined;
        }, 20_000);
        assert.equal(await attemptsOf(exporter), 1);
        assert.equal(countLines(daemon, /^Connection from/), 1);
        assert.ok(countLines(daemon, /^Failed/) <= 1, daemon.logLines().join("\n"));
        const lines = complaints(exporter);
        assert.equal(lines.length, 1, lines.join("\n"));
        assert.match(lines[0] ?? "", said);
      });
    }

    await context.step("a host that comes back is reached at once", async () => {
      const through = await asService(knownHosts, SERVICE, SSH_DROP_IN);
      await using exporter = await startExporterProcess(ssh(keys.accepted), [], { through });
      await waitUntil(
        "the exporter to try twice",
        async () => (await attemptsOf(exporter) ?? 0) >= 2 || undefined,
        10_000,
      );
      await using _daemon = await startSshDaemon(keys, sockets);
      await waitUntil(
        "the exporter to be connected",
        async () => (await exporter.scrape()).up === 1 || undefined,
        10_000,
      );
    });
  });
}
