// Logins that a daemon asks for, as Kolla-Ansible sets them up for TCP: libvirt finds them in its file auth.conf.
import assert from "node:assert/strict";
import { startExporterProcess } from "../../testing/exporter_process.ts";
import { ensureHypervisorHost } from "../../testing/libvirt/host.ts";
import { type Hypervisor, startHypervisor } from "../../testing/libvirt/hypervisor.ts";
import { outputOf, runCommand } from "../../testing/command.ts";
import { type NetworkRelay, startNetworkRelay } from "./network_relay.ts";
import { ensureDebianPackages, reportProgress } from "../../testing/packages.ts";
import { waitUntil } from "../../testing/wait_until.ts";

const host = await ensureHypervisorHost();
const packages = await ensureDebianPackages(["libsasl2-modules", "sasl2-bin"]);
if (!packages.available) reportProgress(`Leaving out the tests of SASL: ${packages.reason}`);

const GUEST = "instance-00000001";
const NOBODY = { uid: 65534, gid: 65534 };
const PORT = 16509;
const PASSWORD = "not for the log";

const RIGHT = `authname=nova\npassword=${PASSWORD}\n`;
const COLLECT = "Failed to collect auth credentials: ";
const ENTER = "enter authname and password for the daemon's host into libvirt's auth.conf, " +
  "where the exporter's user can read it";
const CORRECT = "authentication failed: correct authname and password of the daemon's host in " +
  "libvirt's auth.conf";

/** Files that do not let the exporter in, and how its line about that ends. */
const REFUSED: Readonly<Record<string, readonly [credentials: string, reason: string]>> = {
  "a wrong password": ["authname=nova\npassword=wrong\n", CORRECT],
  "a user whom the daemon does not know": [`authname=other\npassword=${PASSWORD}\n`, CORRECT],
  "no password": ["authname=nova\n", COLLECT + ENTER],
  "no credentials": ["", COLLECT + ENTER],
};

/** Writes a file of credentials for the hosts that it names. */
function writeCredentials(path: string, credentials: string, server: string): string {
  const group = `[auth-libvirt-${server}]\ncredentials=nova\n`;
  Deno.writeTextFileSync(path, `[credentials-nova]\n${credentials}\n${group}`);
  return path;
}

/** Starts libvirtd anew with a user and the mechanisms that it offers. */
async function setMechanisms(hypervisor: Hypervisor, mechanisms: string): Promise<void> {
  const etc = `${hypervisor.directory}/etc`;
  Deno.mkdirSync(`${etc}/sasl2`, { recursive: true });
  const settings = `mech_list: ${mechanisms}\nsasldb_path: ${etc}/sasl.db\n`;
  Deno.writeTextFileSync(`${etc}/sasl2/libvirt.conf`, settings);
  Deno.writeTextFileSync(
    `${etc}/libvirtd.environment`,
    "export SASL_CONF_PATH=/etc/libvirt/sasl2\n",
  );
  const user = ["-p", "-c", "-a", "libvirt", "-f", `${etc}/sasl.db`, "nova"];
  await outputOf("saslpasswd2", user, { input: PASSWORD });
  await hypervisor.restartLibvirtd();
}

/** Starts a hypervisor whose daemon asks everybody who reads for a login, and lets this process reach it by TCP. */
async function startGuarded(
  stack: AsyncDisposableStack,
): Promise<{ readonly hypervisor: Hypervisor; readonly relay: NetworkRelay }> {
  const hypervisor = stack.use(
    await startHypervisor({
      guests: [{ name: GUEST, start: "paused" }],
      libvirtdSettings: {
        "auth_unix_ro": "sasl",
        "auth_tcp": "sasl",
        "listen_tcp": 1,
        "listen_tls": 0,
        "listen_addr": "127.0.0.1",
        "tcp_port": String(PORT),
      },
    }),
  );
  const network = [`--target=${hypervisor.firstProcess}`, "--net"];
  await outputOf("nsenter", [...network, "ip", "link", "set", "lo", "up"]);
  const relay = stack.use(startNetworkRelay(hypervisor.firstProcess, PORT));
  return { hypervisor, relay };
}

if (host.available && packages.available) {
  Deno.test("a daemon that asks for a login gets what auth.conf has for it", async (context) => {
    await using stack = new AsyncDisposableStack();
    const { hypervisor, relay } = await startGuarded(stack);
    const { directory } = hypervisor;
    const tcp = `qemu+tcp://127.0.0.1:${relay.port}/system`;
    const unix = hypervisor.readOnlyUri;
    const file = `${directory}/auth.conf`;
    const assertIn = async (
      uri: string,
      environment: Readonly<Record<string, string>> = {},
    ): Promise<void> => {
      // What virsh can do is what an operator expects.
      await outputOf("virsh", ["-r", "-c", uri, "list"], { environment });
      await using exporter = await startExporterProcess(uri, [], { environment });
      const page = await exporter.scrape();
      assert.equal(page.up, 1, exporter.logLines().join("\n"));
      assert.deepEqual(
        page.labelValues("libvirt_nova_instance_state_code", "libvirtname"),
        [GUEST],
      );
      assert.deepEqual(exporter.logLines().filter((line) => !line.includes("level=info")), []);
    };

    for (const [mechanism, uri] of [["digest-md5", tcp], ["scram-sha-256", unix]] as const) {
      await setMechanisms(hypervisor, mechanism);
      const server = uri === tcp ? "127.0.0.1" : "localhost";

      await context.step(`${mechanism}: wherever libvirt looks for the file`, async () => {
        writeCredentials(file, RIGHT, server);
        await assertIn(uri, { LIBVIRT_AUTH_FILE: file });
        const separator = uri.includes("?") ? "&" : "?";
        await assertIn(`${uri}${separator}authfile=${encodeURIComponent(file)}`);
        Deno.mkdirSync(`${directory}/home/libvirt`, { recursive: true });
        Deno.copyFileSync(file, `${directory}/home/libvirt/auth.conf`);
        await assertIn(uri, { XDG_CONFIG_HOME: `${directory}/home` });
      });

      for (const [what, [credentials, reason]] of Object.entries(REFUSED)) {
        await context.step(`${mechanism}: ${what} in it, and then the right ones`, async () => {
          writeCredentials(file, credentials, "default");
          await using exporter = await startExporterProcess(uri, [], {
            environment: { LIBVIRT_AUTH_FILE: file },
          });
          assert.equal((await exporter.scrape()).up, 0);
          assert.equal((await exporter.scrape()).up, 0);
          const lines = exporter.logLines().filter((line) => !line.includes("level=info"));
          assert.equal(lines.length, 1, lines.join("\n"));
          assert.ok(lines[0]?.includes(`call=virConnectOpenAuth code=45 reason="`), lines[0]);
          assert.ok(lines[0]?.endsWith(`${reason}"`), lines[0]);
          writeCredentials(file, RIGHT, "default");
          await waitUntil(
            "the exporter to log in",
            async () => (await exporter.scrape()).up === 1 || undefined,
            10_000,
          );
          assert.ok(!exporter.logLines().join("\n").includes(PASSWORD));
        });
      }
    }

    await context.step("a client without the mechanism that the daemon offers", async () => {
      const environment = {
        LIBVIRT_AUTH_FILE: writeCredentials(file, RIGHT, "default"),
        SASL_PATH: `${directory}/no_mechanisms`,
      };
      await using exporter = await startExporterProcess(unix, [], { environment });
      assert.equal((await exporter.scrape()).up, 0);
      const lines = exporter.logLines().filter((line) => !line.includes("level=info"));
      assert.equal(lines.length, 1, lines.join("\n"));
      assert.match(lines[0] ?? "", /install the SASL mechanism that the daemon offers/);
    });

    await context.step("a file that the exporter's user cannot read", async () => {
      writeCredentials(file, RIGHT, "default");
      Deno.chmodSync(file, 0o600);
      for (const given of [true, false]) {
        const environment: Record<string, string> = given
          ? { LIBVIRT_AUTH_FILE: file }
          : { XDG_CONFIG_HOME: `${directory}/home` };
        Deno.chmodSync(`${directory}/home/libvirt/auth.conf`, 0o600);
        await using exporter = await startExporterProcess(unix, [], { environment, user: NOBODY });
        assert.equal((await exporter.scrape()).up, 0);
        const lines = exporter.logLines().filter((line) => !line.includes("level=info"));
        assert.equal(lines.length, 1, lines.join("\n"));
        const reason = given ? "names a file, let the exporter's user read it" : COLLECT + ENTER;
        assert.ok(lines[0]?.endsWith(`${reason}"`), lines[0]);
      }
    });

    await context.step("the exporter asks nobody for a login that is missing", async () => {
      const environment = { LIBVIRT_AUTH_FILE: writeCredentials(file, "", "default") };
      const program = new URL("../../dist/libvirt_nova_exporter", import.meta.url).pathname;
      const { code, output } = await runCommand(program, ["--once", "--uri", unix], {
        input: `nova\n${PASSWORD}\n`,
        environment,
      });
      assert.equal(code, 1);
      assert.doesNotMatch(output, /libvirt_nova_up 1|[Pp]lease enter/);
    });
  });
}
