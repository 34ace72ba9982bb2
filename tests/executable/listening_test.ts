import assert from "node:assert/strict";
import type { RequestOptions } from "node:http";
import { runExecutable } from "../../testing/executable.ts";
import { type Answer, request, sClient, TLS, withScene } from "./web_config_fixture.ts";
import { waitUntil } from "../../testing/wait_until.ts";

Deno.test("it listens on a Unix socket, in place of one that was left behind, and removes it at the end", async () => {
  await withScene(async ({ start, folder, server }) => {
    const path = `${folder.path}/exporter.sock`;
    const get = (isTls: boolean): Promise<Answer> =>
      request(
        { socketPath: path, path: "/-/healthy", ca: server.certificate, host: "localhost" },
        isTls,
      );
    const listen = ["--web.listen-address", `unix:${path}`];
    {
      await using exporter = await start("", listen);
      assert.deepEqual(await get(false), { status: 200, body: "Healthy\n" });
      assert.equal((await Deno.lstat(path)).mode! & 0o777, 0o660);
      const second = await runExecutable([...listen, "--log", "-"], { folder });
      assert.equal(second.code, 1);
      assert.match(
        second.errorOutput,
        /^[^\n]*"unix:.*exporter\.sock": another program answers there[^\n]*\n$/,
      );
      assert.equal((await get(false)).status, 200);
      exporter.signal("SIGKILL");
      await exporter.ended();
    }
    assert.ok((await Deno.lstat(path)).isSocket, "it was left behind");
    {
      await using exporter = await start(TLS, [
        "--web.listen-address",
        `unix:${path}?mode=0606`,
        "--web.listen-address",
        "127.0.0.1:0",
      ]);
      assert.equal((await get(true)).status, 200);
      assert.equal((await Deno.lstat(path)).mode! & 0o777, 0o606);
      assert.equal((await sClient(exporter, [])).code, 0);
      await exporter.stop();
    }
    assert.ok(!await folder.has("exporter.sock"));
    await folder.write("exporter.sock", "no socket");
    const blocked = await runExecutable([...listen, "--log", "-"], { folder });
    assert.match(blocked.errorOutput, /there is a file that is no socket/);
    assert.equal(await folder.read("exporter.sock"), "no socket");
  });
});

/** Does what systemd does: opens a TCP socket and a Unix socket, and starts the exporter with them as 3 and 4. */
const ACTIVATE = `
use Socket; use POSIX ();
my $path = shift @ARGV;
socket(my $tcp, PF_INET, SOCK_STREAM, 0) or die;
bind($tcp, sockaddr_in(0, INADDR_LOOPBACK)) or die;
socket(my $unix, PF_UNIX, SOCK_STREAM, 0) or die;
bind($unix, sockaddr_un($path)) or die;
my ($tcp_copy, $unix_copy) = (POSIX::dup2(fileno($tcp), 10), POSIX::dup2(fileno($unix), 11));
listen($tcp, 16) or die; listen($unix, 16) or die;
POSIX::dup2(10, 3); POSIX::dup2(11, 4); POSIX::close(10); POSIX::close(11);
$ENV{LISTEN_FDS} = 2; $ENV{LISTEN_PID} = $$;
exec { $ARGV[0] } @ARGV or die;
`;

Deno.test("it listens on the sockets that systemd passes, with and without TLS", async () => {
  for (const isTls of [false, true]) {
    await withScene(async ({ start, folder, server }) => {
      const path = `${folder.path}/passed.sock`;
      await using exporter = await start(isTls ? TLS : "", ["--web.systemd-socket"], {
        through: ["perl", "-e", ACTIVATE, path],
      });
      const ask = (where: RequestOptions): Promise<Answer> =>
        request({ ...where, path: "/-/healthy", ca: server.certificate, host: "localhost" }, isTls);
      assert.equal((await ask({ socketPath: path })).status, 200);
      assert.equal(exporter.ports.length, 1);
      const answer = await request({
        host: "127.0.0.1",
        port: exporter.ports[0],
        path: "/metrics",
        ca: server.certificate,
      }, isTls);
      assert.equal(answer.status, 200);
      const { code } = await exporter.stop();
      assert.equal(code, 0);
      // The socket is systemd's, which goes on listening.
      assert.ok((await Deno.lstat(path)).isSocket);
    });
  }
});

Deno.test("with the metrics at the root there is no page for people", async () => {
  await withScene(async ({ start }) => {
    await using exporter = await start("", ["--path", "/"]);
    const { status, body } = await exporter.get("/");
    assert.equal(status, 200);
    assert.match(body, /^libvirt_nova_up /m);
    assert.equal((await exporter.get("/-/healthy")).status, 200);
    assert.equal((await exporter.get("/metrics")).status, 404);
  });
});

Deno.test("it says that it is not ready while libvirt is away, at once and with the reason", async () => {
  await withScene(async ({ start }) => {
    await using exporter = await start("", ["--uri", "qemu+unix:///system?socket=/nowhere/socket"]);
    await waitUntil("it has asked libvirt", async () => {
      const { body } = await exporter.get("/-/ready");
      return body.includes("libvirt is not available");
    });
    const { status, body } = await exporter.get("/-/ready");
    assert.equal(status, 503);
    assert.match(body, /^Not ready: libvirt is not available: [^\n]+\n$/);
    assert.equal((await exporter.get("/-/healthy")).status, 200);
    assert.match((await exporter.get("/")).body, /not available/);
  });
});
